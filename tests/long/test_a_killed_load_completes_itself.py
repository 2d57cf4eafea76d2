"""load_drops killed between any two commits, and twice at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from bronze.load_drops import load_drops
from lakehouse.config import Config
from lakehouse.delta import path_of
from lakehouse.errors import LeaseHeldError
from lakehouse.job import execute
from lakehouse.lease import held_lease
from lakehouse.tables import BRONZE_DROP_FILES, DROPS, Table
from tests.bronze.landing_folder import csv, deliver
from tests.conftest import LOCAL, override
from tests.faults.world import killed

POLICIES = "policy_id,policy_name,policy_data,effective_date\np,n,{},2026-03-01\n"
MONEY_EVENTS = DROPS["money_events"]
WRITTEN = (MONEY_EVENTS, DROPS["policies"], BRONZE_DROP_FILES)


def rows_of(spark: SparkSession, config: Config, table: Table) -> list[tuple[Any, ...]]:
    """All rows of a table, but for the time of judgement."""
    rows = spark.read.format("delta").load(path_of(config, table)).drop("judged_at")
    return sorted((tuple(row) for row in rows.collect()), key=str)


def test_killed_anywhere_and_run_again_tables_are_equal(
    config: Config, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = config.lake.landing
    deliver(landing, "a.csv", csv("1,100,EUR,", "2,200,EUR,x"))
    deliver(landing, "empty.csv", "")
    deliver(landing, "b.csv", POLICIES, kind="policies")
    # money events are the first commit, policies the second, the manifest is the last
    killed("load_drops", "behind", MONEY_EVENTS, 1)
    killed("load_drops", "before", BRONZE_DROP_FILES, 1)
    execute(load_drops, config)
    found = {table.name: rows_of(spark, config, table) for table in WRITTEN}

    override(monkeypatch, {"LAKE__ROOT": tmp_path / "other", "LEASE__LOCATION": tmp_path / "own"})
    other = Config.load(LOCAL)
    execute(load_drops, other)
    assert {table.name: rows_of(spark, other, table) for table in WRITTEN} == found
    assert [len(rows) for rows in found.values()] == [2, 1, 3]


def test_of_two_loads_at_once_one_is_refused(config: Config) -> None:
    with (
        held_lease(config, "load_drops"),
        pytest.raises(LeaseHeldError, match="load_drops is already running"),
    ):
        execute(load_drops, config)
