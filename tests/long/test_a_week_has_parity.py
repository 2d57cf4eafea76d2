"""On inputs that are complete at the same time, live and batch decide a whole week alike."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.local.generator import GeneratedWorld, GeneratorSettings, generate
from lakehouse.tables import SILVER_BATCH_TRANSACTIONS, SILVER_LIVE_TRANSACTIONS, SILVER_PARITY
from silver.compare_paths import compare
from silver.parity import COMPARED
from silver.recorded_rules import recorded_rules
from tests.silver.live_records import FRAUD_SCORES, TRANSACTIONS, Record
from tests.silver.two_paths import TwoPaths, two_paths

PAYMENTS = 600


def rows_of(world: GeneratedWorld, kind: str) -> list[dict[str, Any]]:
    """All rows of the drops of a kind."""
    return [dict(row) for sheet in world.sheets if sheet.kind == kind for row in sheet.rows]


def records_of(world: GeneratedWorld) -> list[Record]:
    """Everything that the topics carry."""
    sent = [(TRANSACTIONS, record.value) for record in world.transactions]
    return [*sent, *((FRAUD_SCORES, record.value) for record in world.scores)]


@pytest.fixture
def week(tmp_path: Any, spark: SparkSession) -> Any:
    """An empty lake for a week."""
    with two_paths(tmp_path, spark) as paths:
        yield paths


def through_both(paths: TwoPaths, world: GeneratedWorld, scores: list[dict[str, Any]]) -> None:
    """Policies first; then the whole week to each path at once."""
    paths.deliver("policies", rows_of(world, "policies"))
    paths.deliver("transactions", rows_of(world, "transactions"))
    paths.deliver("fraud_scores", scores)
    paths.build()
    paths.decide(*records_of(world))
    paths.compare()


@dataclass(frozen=True)
class Told:
    """What the tables tell of each payment, by plain Python: its first decision, its log row."""

    live: dict[str, Row]
    log: dict[str, Row]

    @classmethod
    def of(cls, paths: TwoPaths) -> Told:
        """All rows, at hand."""
        events = paths.live.read(SILVER_LIVE_TRANSACTIONS).collect()
        rows = paths.batch.read(SILVER_BATCH_TRANSACTIONS).collect()
        last_first = sorted(
            events, key=lambda event: (event["decided_at"], event["event_id"]), reverse=True
        )
        standing = {
            row["identity"]: row for row in sorted(rows, key=lambda row: int(row["revision"]))
        }
        return cls(
            {event["transaction_id"]: event for event in last_first},
            {row["transaction_id"]: row for row in standing.values() if not row["withdrawn"]},
        )

    @property
    def both(self) -> set[str]:
        """Payments that both paths tell of."""
        return self.live.keys() & self.log.keys()

    def differing(self) -> set[str]:
        """Of these, the ones that are not told alike."""
        return {
            tid for tid in self.both if any(self.live[tid][c] != self.log[tid][c] for c in COMPARED)
        }

    def lacking(self) -> set[str]:
        """Payments that one path alone tells of, on days that the log tells of."""
        told = {row["event_date"] for row in self.log.values()}
        in_topic = {tid for tid, event in self.live.items() if event["event_date"] in told}
        return (self.log.keys() - self.live.keys()) | (in_topic - self.log.keys())

    def compared(self) -> dict[str, int]:
        """How many payments there are to compare, and how many that cannot be, by day."""
        days = Counter(self.log[tid]["event_date"] for tid in self.both)
        lone = Counter((self.log.get(t) or self.live[t])["event_date"] for t in self.lacking())
        return {f"{day} compared": days[day] for day in days | lone} | {
            f"{day} on one path": lone[day] for day in days | lone
        }


def compared_again(paths: TwoPaths, told: Told) -> dict[str, int]:
    """The counts of a comparison of all days, which has no news."""
    rows = [*told.live.values(), *told.log.values()]
    lake = paths.parity
    return compare(lake, {row["event_date"] for row in rows}, recorded_rules(lake))


def test_a_week_that_both_paths_hear_alike_is_decided_alike(week: TwoPaths) -> None:
    # one event for each payment, as the log has one row, and the topic's scores in the drop, too
    settings = GeneratorSettings.tidy(transactions=PAYMENTS, pending_share=0, users=40)
    world = generate(settings)
    through_both(week, world, [json.loads(record.value) for record in world.scores])
    live = week.live.read(SILVER_LIVE_TRANSACTIONS)
    batch = week.batch.read(SILVER_BATCH_TRANSACTIONS)
    assert (live.count(), batch.count()) == (PAYMENTS, PAYMENTS)
    assert week.parity.read(SILVER_PARITY).count() == 0
    # every payment of the generated week was compared, on its day, and none was found alike unseen
    per_day = Counter(
        datetime.fromtimestamp(payment.timestamp_ms // 1000, UTC).date()
        for payment in world.truth.payments
    )
    assert len(per_day) == 7
    told = Told.of(week)
    assert compared_again(week, told) == {f"{day} compared": per_day[day] for day in per_day} | {
        f"{day} on one path": 0 for day in per_day
    }
    assert not told.differing()
    # a week in which nothing happens would agree as well
    scored, flagged = F.col("fraud_score").isNotNull(), F.size("policy_flags") > 0
    assert batch.where(scored).count() > PAYMENTS // 4
    flags = {row[0] for row in batch.where(flagged).select(F.explode("policy_flags")).collect()}
    assert {"VELOCITY_LIMIT", "GEO_BLOCK"} <= flags
    assert {row[0] for row in batch.select("recommended_action").distinct().collect()} == {
        "ALLOW",
        "REVIEW",
        "BLOCK",
    }


def test_every_difference_of_a_real_week_has_a_cause(week: TwoPaths) -> None:
    world = generate(GeneratorSettings(transactions=PAYMENTS, users=40))
    through_both(week, world, rows_of(world, "fraud_scores"))
    standing = week.standing()
    assert all(row["causes"] and not row["unexplained"] for row in standing.values())
    found = {cause for row in standing.values() for cause in row["causes"]}
    assert {"LATE_SCORE", "OTHER_SCORE", "LIVE_SCORE_ONLY", "MISSING_LIVE"} <= found
    assert {"AMOUNT_CORRECTED", "FACTS_CORRECTED", "MISSING_BATCH"} <= found
    told = Told.of(week)
    assert standing.keys() == told.differing() | told.lacking()
    assert compared_again(week, told) == told.compared()
    # what the generator booked with another amount, and only that
    booked = {p.identity for p in world.truth.planted if p.kind == "log_amount_differs"}
    corrected = {tid for tid, row in standing.items() if "AMOUNT_CORRECTED" in row["causes"]}
    assert corrected == booked & told.both
    assert len(corrected) > 0
