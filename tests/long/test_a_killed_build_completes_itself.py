"""build_batch killed, process group and all, between any two commits; and twice at once."""

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
from lakehouse.tables import (
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FX_RATES,
    SILVER_MONEY_EVENTS,
    SILVER_OFFLINE_SCORES,
    SILVER_POLICIES,
    SILVER_QUALITY_METRICS,
    SILVER_QUARANTINE_BATCH,
    Table,
)
from silver.build_batch import build_batch
from tests.bronze.landing_folder import deliver
from tests.conftest import LOCAL, override
from tests.faults.world import killed
from tests.silver.deliveries import (
    a_log_row,
    a_money_event,
    a_policy,
    an_offline_score,
    as_lines,
)

WRITTEN = (
    SILVER_FX_RATES,
    SILVER_POLICIES,
    SILVER_OFFLINE_SCORES,
    SILVER_MONEY_EVENTS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_QUARANTINE_BATCH,
)
CORRECTED, VANISHING, STEADY = 1, 2, 3
VELOCITY = {"rule": "velocity_limit", "max_count": 1, "window_seconds": 3600}


def first_drops(landing: str) -> None:
    """A day of everything."""
    log = [a_log_row(CORRECTED), a_log_row(VANISHING), a_log_row(STEADY), a_log_row(4, amount="x")]
    deliver(landing, "a.jsonl", as_lines(log), kind="transactions")
    deliver(landing, "a.jsonl", as_lines([an_offline_score(STEADY, "0.9")]), kind="fraud_scores")
    deliver(landing, "a.jsonl", as_lines([a_policy("v", VELOCITY)]), kind="policies")
    deliver(landing, "a.jsonl", as_lines([a_money_event(STEADY)]))
    rates = "rate_date,base,currency,rate\n2026-03-02,EUR,USD,1.10\n"
    deliver(landing, "a.csv", rates, kind="fx_rates")


def second_drops(landing: str) -> None:
    """The log corrected, and a score that came late."""
    log = [a_log_row(CORRECTED, amount="5"), a_log_row(STEADY)]
    deliver(landing, "a.jsonl", as_lines(log), kind="transactions")
    scores = [an_offline_score(CORRECTED, "0.7")]
    deliver(landing, "b.jsonl", as_lines(scores), kind="fraud_scores", day="2026-03-09")


def rows_of(spark: SparkSession, config: Config, table: Table) -> list[tuple[Any, ...]]:
    """All rows of a table."""
    rows = spark.read.format("delta").load(path_of(config, table))
    return sorted((tuple(row) for row in rows.collect()), key=str)


def test_killed_anywhere_and_run_again_tables_are_equal(
    config: Config, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_drops(config.lake.landing)
    execute(load_drops, config)
    killed("build_batch", "behind", SILVER_OFFLINE_SCORES, 1)
    killed("build_batch", "behind", SILVER_BATCH_TRANSACTIONS, 1)
    # the verdicts are the last commits
    killed("build_batch", "before", SILVER_QUALITY_METRICS, 1)
    execute(build_batch, config)
    second_drops(config.lake.landing)
    execute(load_drops, config)
    killed("build_batch", "before", SILVER_BATCH_TRANSACTIONS, 1)
    execute(build_batch, config)
    found = {table.name: rows_of(spark, config, table) for table in WRITTEN}

    landing = tmp_path / "other-landing"
    override(
        monkeypatch,
        {
            "LAKE__ROOT": tmp_path / "other",
            "LAKE__LANDING": landing,
            "LEASE__LOCATION": tmp_path / "own",
        },
    )
    other = Config.load(LOCAL)
    for delivery in (first_drops, second_drops):
        delivery(str(landing))
        execute(load_drops, other)
        execute(build_batch, other)
    assert {table.name: rows_of(spark, other, table) for table in WRITTEN} == found
    # three first revisions, an amount, a withdrawal; the score came with the amount
    assert len(found[SILVER_BATCH_TRANSACTIONS.name]) == 5


def test_of_two_builds_at_once_one_is_refused(config: Config) -> None:
    with (
        held_lease(config, "build_batch"),
        pytest.raises(LeaseHeldError, match="build_batch is already running"),
    ):
        execute(build_batch, config)
