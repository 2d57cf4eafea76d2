"""On inputs that are complete at the same time, live and batch decide a whole week alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.local.generator import GeneratedWorld, GeneratorSettings, generate
from lakehouse.tables import SILVER_BATCH_TRANSACTIONS, SILVER_LIVE_TRANSACTIONS, SILVER_PARITY
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


def test_a_week_that_both_paths_hear_alike_is_decided_alike(week: TwoPaths) -> None:
    # one event for each payment, as the log has one row, and the topic's scores in the drop, too
    settings = GeneratorSettings.tidy(transactions=PAYMENTS, pending_share=0, users=40)
    world = generate(settings)
    through_both(week, world, [json.loads(record.value) for record in world.scores])
    live = week.live.read(SILVER_LIVE_TRANSACTIONS)
    batch = week.batch.read(SILVER_BATCH_TRANSACTIONS)
    assert (live.count(), batch.count()) == (PAYMENTS, PAYMENTS)
    assert week.parity.read(SILVER_PARITY).count() == 0
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
    # what the generator booked with another amount, and only that
    booked = {p.identity for p in world.truth.planted if p.kind == "log_amount_differs"}
    corrected = {tid for tid, row in standing.items() if "AMOUNT_CORRECTED" in row["causes"]}
    assert corrected == booked & standing.keys()
