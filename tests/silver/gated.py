"""A lake of money events whose runs may die, under rules that a test changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.config import Config
from lakehouse.context import Batch, Lakehouse, Trigger
from lakehouse.delta import latest_version, path_of
from lakehouse.lease import held_lease
from lakehouse.quality.batches import Ledger
from lakehouse.tables import (
    SILVER_MONEY_EVENTS,
    SILVER_QUALITY_BATCHES,
    SILVER_QUALITY_METRICS,
    SILVER_QUARANTINE_BATCH,
    SILVER_WARNINGS_BATCH,
    Table,
)
from tests.conftest import LOCAL, NOON, in_folder, override
from tests.silver.deliveries import a_money_event

KIND = "money_events"
THIRD, FOURTH, FIFTH, SIXTH = (date(2026, 3, day) for day in (3, 4, 5, 6))
READABLE = {"kind": "compliance", "predicate": "size(violations) = 0"}
WRITTEN = (
    SILVER_MONEY_EVENTS, SILVER_QUARANTINE_BATCH, SILVER_WARNINGS_BATCH, SILVER_QUALITY_METRICS,
    SILVER_QUALITY_BATCHES,
)  # fmt: skip


class KilledError(Exception):
    """Stands for a process that dies."""


@dataclass(frozen=True)
class MortalLakehouse(Lakehouse):
    """A lakehouse whose run dies just before it commits to one of these tables."""

    dies_before: list[Table] = field(default_factory=list)
    reads: Counter[str] = field(default_factory=Counter)

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """Read, and count how often."""
        self.reads[table.name] += 1
        return super().read(table, version)

    def append(
        self, rows: Any, to: Table, batch: Batch | None = None, behind: int | None = None
    ) -> None:
        """Append, unless this is where the run dies."""
        if to in self.dies_before:
            raise KilledError
        super().append(rows, to, batch, behind)


class Clock:
    """Noon, and a minute later each time it is asked."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        """The time."""
        self.now += timedelta(minutes=1)
        return self.now


@contextmanager
def gated_lake(folder: Path, spark: SparkSession, rules: Path) -> Iterator[MortalLakehouse]:
    """A lake in a folder, opened as the job that builds, under the rules of another folder."""
    with pytest.MonkeyPatch.context() as patch:
        override(patch, {**in_folder(folder), "RULES__QUALITY": rules})
        config = Config.load(LOCAL)
    with held_lease(config, "build_batch") as lease:
        yield MortalLakehouse(config, spark, "build_batch", Trigger("once", 1), lease, Clock())


def without_tables(shared: MortalLakehouse, root: Path) -> MortalLakehouse:
    """The same lake, with nothing in it."""
    place = shared.config.lake.model_copy(update={"root": str(root)})
    config = shared.config.model_copy(update={"lake": place})
    return replace(shared, config=config, dies_before=[], reads=Counter())


def with_rules(lake: MortalLakehouse, folder: Path) -> MortalLakehouse:
    """The same lake under other rules."""
    rules = lake.config.rules.model_copy(update={"quality": str(folder)})
    return replace(lake, config=lake.config.model_copy(update={"rules": rules}))


def good(*numbers: int, **changes: Any) -> list[dict[str, Any] | str]:
    return [a_money_event(number, **changes) for number in numbers]


def bad(*numbers: int) -> list[dict[str, Any] | str]:
    return [a_money_event(number, amount="much") for number in numbers]


def batch(day: date) -> str:
    return f"{KIND}/date={day}"


def amounts(lake: Lakehouse) -> dict[int, list[int | None]]:
    """Amount of each revision of each event, None for a withdrawal."""
    found: dict[int, list[int | None]] = {}
    for row in lake.read(SILVER_MONEY_EVENTS).orderBy("revision").collect():
        amount = None if row["withdrawn"] else int(row["amount"])
        found.setdefault(int(row["event_id"][:8]), []).append(amount)
    return found


def verdicts(lake: Lakehouse, day: date) -> list[str]:
    given = Ledger.of(lake.read(SILVER_QUALITY_BATCHES)).verdicts
    own = sorted((v for v in given if v.batch == batch(day)), key=lambda v: v.recorded_at)
    return [str(verdict.verdict) for verdict in own]


def versions(lake: Lakehouse) -> dict[str, int]:
    return {t.name: latest_version(lake.spark, path_of(lake.config, t)) for t in WRITTEN}
