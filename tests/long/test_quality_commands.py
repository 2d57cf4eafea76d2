"""`lakehouse quality`: a batch is held, seen, and released by name with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner, Result

from lakehouse.cli import app
from lakehouse.config import Config
from lakehouse.context import Lakehouse
from lakehouse.delta import path_of
from lakehouse.errors import BatchNotHeldError, BatchNotJudgedError, BatchStillHeldError
from lakehouse.tables import SILVER_MONEY_EVENTS
from tests.conftest import LOCAL
from tests.quality.builders import a_gate, write_rules
from tests.silver.deliveries import a_money_event, deliver

BATCH = "money_events/date=2026-03-03"


def asked(*words: str) -> Result:
    return CliRunner().invoke(app, ["quality", *words, "--config", str(LOCAL)])


def shown(*words: str) -> Any:
    answer = asked("show", *words, "--json")
    assert answer.exit_code == 0, answer.exception
    return json.loads(answer.stdout)


@pytest.fixture
def loading(lake_for: Callable[[str], Lakehouse]) -> Lakehouse:
    """The lake as the job sees it that loads files."""
    return lake_for("load_drops")


@pytest.fixture
def held(
    loading: Lakehouse, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Config:
    """A lake in which the gate for five rows holds a batch of one."""
    rules = tmp_path / "rules"
    write_rules(rules, "money_events", gates=[a_gate("five", at_least=5)])
    monkeypatch.setenv("LAKEHOUSE__RULES__QUALITY", str(rules))
    deliver(loading, "money_events", [a_money_event(1)], day=date(2026, 3, 3))
    built = CliRunner().invoke(app, ["run", "build_batch", "--config", str(LOCAL)])
    assert built.exit_code == 0, built.exception
    return config


def test_a_held_batch_is_seen_and_released_with_a_reason(held: Config, spark: SparkSession) -> None:
    (batch,) = shown("--held")["batches"]
    assert (batch["batch"], batch["verdict"], batch["failed"]) == (BATCH, "HELD", ["five"])
    (check,) = shown(BATCH)["checks"]
    assert (check["check_id"], check["value"], check["expected"], check["verdict"]) == (
        "five", 1.0, "at least 5", "FAILED",
    )  # fmt: skip
    grid = asked("show", BATCH)
    assert "the figure: 1, expected at least 5" in grid.output

    assert isinstance(asked("show", "money_events/date=2026-03-04").exception, BatchNotJudgedError)
    wrong = asked("release", "money_events/date=2026-03-04", "--reason", "a typing error")
    assert isinstance(wrong.exception, BatchNotHeldError)
    assert asked("release", BATCH, "--reason", " ").exit_code == 2

    released = asked("release", BATCH, "--reason", "the sender had one event only")
    assert released.exit_code == 0, released.exception
    assert f"{BATCH} is PUBLISHED: the sender had one event only" in released.output
    assert spark.read.format("delta").load(path_of(held, SILVER_MONEY_EVENTS)).count() == 1
    assert shown("--held")["batches"] == []
    (batch,) = shown()["batches"]
    assert (batch["verdict"], batch["reason"]) == ("PUBLISHED", "the sender had one event only")


def test_a_release_that_did_not_publish_fails_and_says_why(
    held: Config, loading: Lakehouse, spark: SparkSession
) -> None:
    deliver(loading, "money_events", [a_money_event(2)], day=date(2026, 3, 3), name="b.jsonl")
    released = asked("release", BATCH, "--reason", "the first file is fine")
    assert released.exit_code != 0
    assert isinstance(released.exception, BatchStillHeldError)
    assert "the figure: 2, expected at least 5" in str(released.exception)
    assert spark.read.format("delta").load(path_of(held, SILVER_MONEY_EVENTS)).isEmpty()
