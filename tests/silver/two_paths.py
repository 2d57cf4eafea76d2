"""A lake in which payments take both paths: through a micro-batch, and through the daily log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.config import Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.dynamodb import PushReport
from lakehouse.lease import held_lease
from lakehouse.tables import SILVER_PARITY, SILVER_POLICIES
from silver.build_batch import build_batch
from silver.compare_paths import compare_paths
from silver.revisions import latest
from tests.conftest import LOCAL, in_folder, override
from tests.silver.deliveries import a_policy, deliver
from tests.silver.live_records import MORNING, Record, connected, enriched, records_of

NEXT_DAY = date(2026, 3, 10)


@dataclass(frozen=True)
class TwoPaths:
    """The same lake, as each of three jobs sees it."""

    live: Lakehouse
    batch: Lakehouse
    parity: Lakehouse

    def decide(self, *records: Record, number: int = 0, delivered_at: datetime = MORNING) -> None:
        """One micro-batch of the live path; no inference API, no Live Index."""
        rows = records_of(
            self.live.spark, *records, first_offset=number * 100_000, delivered_at=delivered_at
        )
        enriched(self.live, rows, number, publish=lambda *_: PushReport(0, 0))

    def deliver(self, kind: str, rows: Sequence[dict[str, Any]], revision: int = 0) -> None:
        """One file of a drop, which is loaded; another of a kind replaces it."""
        deliver(self.batch, kind, rows, day=NEXT_DAY, revision=revision, loaded_at=now())

    def publish(self, policy_id: str, data: dict[str, Any]) -> None:
        """Have a policy in force that is delivered again with all others, before there is a log."""
        since = datetime(2026, 1, 1, tzinfo=UTC)
        delivered = a_policy(policy_id, data)
        row = (policy_id, delivered["policy_name"], delivered["policy_data"], since, None, 1,
               since, "file:policies")  # fmt: skip
        self.batch.append(
            self.batch.spark.createDataFrame([row], SILVER_POLICIES.schema), SILVER_POLICIES
        )

    def build(self, restate: str | None = None) -> None:
        """Bring the batch tables up to what was delivered."""
        build_batch(self.batch, restate=restate)

    def compare(self, days: str | None = None) -> None:
        """Run the parity job."""
        compare_paths(self.parity, days)

    def standing(self) -> dict[str, Row]:
        """The differences that stand, by transaction."""
        rows = latest(self.parity.read(SILVER_PARITY)).where(~F.col("withdrawn"))
        return {row["transaction_id"]: row for row in rows.collect()}


@contextmanager
def two_paths(folder: Path, spark: SparkSession) -> Iterator[TwoPaths]:
    """An empty lake in `folder`, with the clock of the commits: they tell what was known when."""
    with pytest.MonkeyPatch.context() as environment, ExitStack() as held:
        override(environment, in_folder(folder))
        config = Config.load(LOCAL)

        def opened(job: str) -> Lakehouse:
            lease = held.enter_context(held_lease(config, job))
            return Lakehouse(config, spark, job, Trigger("once", 1), lease, now)

        live = opened("enrich_live")
        yield TwoPaths(
            connected(live, config.dynamodb), opened("build_batch"), opened("compare_paths")
        )


def now() -> datetime:
    """The clock of the tables' commits."""
    return datetime.now(UTC)


def as_booked(record: Record, **changes: Any) -> dict[str, Any]:
    """The log's row of a payment event: the same fields, but for its event_id."""
    fields = as_fields(record)
    fields.pop("event_id")
    return fields | changes


def as_fields(record: Record) -> dict[str, Any]:
    """The fields of a record, which as a row of a drop says the same."""
    value = record[1]
    assert value is not None
    fields: dict[str, Any] = json.loads(value)
    return fields


def at(lake: Lakehouse, moment: datetime) -> Lakehouse:
    """The same lakehouse with another clock."""
    return replace(lake, clock=lambda: moment)
