"""A payment event is decided once, from what was known; what cannot go on is in quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.config import DynamoDbSettings
from lakehouse.context import Lakehouse
from lakehouse.dynamodb import PushReport, ensure_table, lookup, push
from lakehouse.metrics.meter import Meter
from lakehouse.metrics.points import Metric, Point
from lakehouse.monitoring import heard_by
from lakehouse.tables import (
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    SILVER_CORRECTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_POLICIES,
    SILVER_QUARANTINE_LIVE,
    Table,
)
from silver.enrich_live import enriching
from silver.known import Policies
from tests.conftest import NOON
from tests.silver import inference_api
from tests.silver.live_records import (
    FRAUD_SCORES,
    MORNING,
    TRANSACTIONS,
    a_payment,
    a_score,
    an_id,
    connected,
    enriched,
    records_of,
    rows_of,
)

OF_SCORE = (
    "score_id", "model_version", "inference_time", "fraud_score", "explanations",
    "fraud_reason_code", "recommended_action",
)  # fmt: skip


@pytest.fixture
def lake(lake_for: Callable[[str], Lakehouse], dynamodb: DynamoDbSettings) -> Lakehouse:
    """The job's lakehouse, without an inference API."""
    ensure_table(dynamodb)
    return connected(lake_for("enrich_live"), dynamodb)


@pytest.fixture
def logged() -> Iterator[list[Mapping[str, Any]]]:
    """Fields of the lines that are logged in this test."""
    lines: list[Mapping[str, Any]] = []

    def hear(_: str, fields: Mapping[str, Any]) -> bool:
        lines.append(fields)
        return True

    with heard_by(hear):
        yield lines


def test_a_backlog_of_each_table_goes_through_in_parts(lake: Lakehouse) -> None:
    is_bounded: dict[str, bool] = {}

    def stream(table: Table, **asked: bool) -> DataFrame:
        is_bounded[table.name] = asked.get("is_bounded", False)
        return lake.read(table)

    reading: Any = SimpleNamespace(config=lake.config, stream=stream, each_batch=lambda *_: None)
    enriching(reading, publish=push)
    tables = (BRONZE_TRANSACTIONS, BRONZE_FRAUD_SCORES, SILVER_CORRECTIONS)
    assert is_bounded == {table.name: True for table in tables}


@pytest.mark.usefixtures("either_way")
def test_a_batch_goes_through_decided_duplicates_dropped_the_rest_in_quarantine(
    lake: Lakehouse, spark: SparkSession, logged: list[Mapping[str, Any]]
) -> None:
    measured: list[Point] = []
    enriched(
        replace(lake, meter=Meter(lake.job, take=measured.extend)),
        records_of(
            spark,
            a_payment("scored", note="kept"),
            a_payment("unscored", user_id="u2", merchant_id=None, country="KW"),
            a_payment("scored", note="kept"),
            a_payment("scored", note="kept", amount=2000),
            a_payment("broken", amount="-5", currency="XXX", transaction_status="MAYBE"),
            (TRANSACTIONS, None),
            (TRANSACTIONS, b"\xff{"),
            a_score("scored", fraud_score=0.95, explanations={"location": 2.5}),
            a_score("scored", fraud_score=0.95, explanations={"location": 2.5}),
            a_score("scored", fraud_score=0.10),
            a_score("unscored", fraud_score="NaN"),
            (FRAUD_SCORES, b"[]"),
        ),
    )
    assert logged[-1]["rows"] == 2
    assert logged[-1]["counts"] == {
        "bronze.transactions NEW": 2, "bronze.transactions UNSCORED": 1,
        "bronze.transactions DUPLICATE": 1, "bronze.transactions CONFLICT": 1,
        "bronze.transactions REFUSED": 3,
        "bronze.fraud_scores NEW": 1, "bronze.fraud_scores DUPLICATE": 1,
        "bronze.fraud_scores CONFLICT": 1, "bronze.fraud_scores REFUSED": 2,
        "oversized": 0, "refused": 0, "throttled": 0,
    }  # fmt: skip
    table = SILVER_LIVE_TRANSACTIONS.name
    assert sorted(measured, key=lambda each: each.metric) == [
        # the clock stands four hours behind both payments
        Point(Metric.FRAUD_SCORE, table, MORNING, {0.95: 1}),
        Point(Metric.FRESHNESS_SECONDS, table, NOON, {14_400.0: 2}),
        Point(Metric.SUSPICIOUS_SCORES, table, MORNING, {1.0: 1}),
    ]
    scored, unscored = rows_of(lake.read(SILVER_LIVE_TRANSACTIONS))
    [score] = rows_of(lake.read(SILVER_FRAUD_SCORES))
    assert score["coordinates"] == "kafka:payments.fraud-scores/0/7@zbXbJwqZ"
    assert (score["fraud_score"], score["fraud_reason_code"], score["score_source"]) == (
        Decimal("0.950000"), "LOCATION_ANOMALY", "TOPIC",
    )  # fmt: skip
    expected = {
        "event_id": an_id("event scored"),
        "identity": an_id("event scored"),
        "revision": 0,
        "withdrawn": False,
        "coordinates": "kafka:payments.transactions/0/0@zbXbJwqZ",
        "amount": Decimal("1000.00"),
        "region": "EU",
        "extra": {"note": "kept"},
        "fraud_score": Decimal("0.950000"),
        "fraud_reason_code": "LOCATION_ANOMALY",
        "score_id": score["identity"],
        "score_source": "TOPIC",
        "model_version": "m1",
        "recommended_action": "BLOCK",
        "settlement_status": None,
    }
    assert {name: scored[name] for name in expected} == expected
    # the score is one second newer than the payment
    assert scored["updated_at"].astimezone(UTC) == datetime(2026, 3, 9, 8, 0, 1, tzinfo=UTC)
    assert scored["decided_at"].astimezone(UTC) == NOON
    not_scored = {"fraud_score": None, "fraud_reason_code": "UNSCORED", "score_source": "NONE",
                  "score_id": None, "recommended_action": "REVIEW"}  # fmt: skip
    assert {name: unscored[name] for name in not_scored} == not_scored
    refused = {
        (
            row["coordinates"].removeprefix("kafka:payments.").removesuffix("@zbXbJwqZ"),
            tuple(row["rule_ids"]),
        )
        for row in rows_of(lake.read(SILVER_QUARANTINE_LIVE))
    }
    assert refused == {
        ("transactions/0/3", ("event_id_conflict",)),
        ("transactions/0/4", ("amount_negative", "currency_unknown", "status_unknown")),
        ("transactions/0/5", ("payload_not_object",)),
        ("transactions/0/6", ("payload_not_object",)),
        ("fraud-scores/0/9", ("identity_conflict",)),
        ("fraud-scores/0/10", ("fraud_score_out_of_range",)),
        ("fraud-scores/0/11", ("payload_not_object",)),
    }


@pytest.mark.usefixtures("either_way")
def test_what_is_committed_stands_whatever_comes_later(
    lake: Lakehouse, spark: SparkSession
) -> None:
    enriched(lake, records_of(spark, a_payment(), a_score()), number=0)
    first = rows_of(lake.read(SILVER_LIVE_TRANSACTIONS))
    late = (a_payment(), a_payment(amount=7), a_score(fraud_score=0.5), a_score())
    enriched(lake, records_of(spark, *late, first_offset=10), number=1)
    assert rows_of(lake.read(SILVER_LIVE_TRANSACTIONS)) == first
    assert lake.read(SILVER_FRAUD_SCORES).count() == 1
    refused = rows_of(lake.read(SILVER_QUARANTINE_LIVE))
    assert [(row["coordinates"], row["rule_ids"]) for row in refused] == [
        ("kafka:payments.fraud-scores/0/12@zbXbJwqZ", ["identity_conflict"]),
        ("kafka:payments.transactions/0/11@zbXbJwqZ", ["event_id_conflict"]),
    ]


@pytest.mark.usefixtures("either_way")
def test_velocity_counts_over_micro_batches_and_the_policy_of_the_payments_time_holds(
    lake: Lakehouse, spark: SparkSession
) -> None:
    limit = '{"rule": "velocity_limit", "max_count": 2, "window_seconds": 60}'
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    spend = ('{"rule": "velocity_limit", "max_amount": 9999, "currency": "EUR", '
             '"window_seconds": 60}')  # fmt: skip
    policies = [
        (name, name, data, begin, None, 1, begin, "file:policies@0#1")
        for name, data in (("limit", limit), ("spend", spend))
    ]
    lake.append(spark.createDataFrame(policies, SILVER_POLICIES.schema), to=SILVER_POLICIES)
    before_midnight = [
        a_payment(name, timestamp=f"2026-03-08T23:59:{second}Z")
        for name, second in (("a", "30"), ("b", "40"))
    ]
    enriched(lake, records_of(spark, *before_midnight), number=0)
    after = a_payment("c", timestamp="2026-03-09T00:00:10Z")
    enriched(lake, records_of(spark, after, first_offset=2), number=1)
    rows = rows_of(lake.read(SILVER_LIVE_TRANSACTIONS))
    counted = [
        (row["velocity"][0]["count"], int(row["velocity"][1]["amount"]), row["policy_flag"])
        for row in rows
    ]
    assert counted == [(1, 1000, "NONE"), (2, 2000, "NONE"), (3, 3000, "VELOCITY_LIMIT")]


def test_a_policy_holds_from_the_micro_batch_after_its_publication(
    lake: Lakehouse, spark: SparkSession
) -> None:
    policies = Policies(lake)
    enriched(lake, records_of(spark, a_payment("a")), number=0, policies=policies)
    since, block = datetime(2026, 1, 1, tzinfo=UTC), '{"rule": "geo_block", "countries": ["DE"]}'
    published = [("geo", "geo", block, since, None, 1, since, "file:policies@0#1")]
    lake.append(spark.createDataFrame(published, SILVER_POLICIES.schema), to=SILVER_POLICIES)
    enriched(lake, records_of(spark, a_payment("b"), first_offset=1), 1, policies=policies)
    rows = rows_of(lake.read(SILVER_LIVE_TRANSACTIONS))
    assert [row["policy_flag"] for row in rows] == ["NONE", "GEO_BLOCK"]


def test_an_item_is_said_to_be_new_until_something_was_decided_of_it(
    lake: Lakehouse, spark: SparkSession
) -> None:
    told: list[dict[str, bool]] = []

    def publish(items: DataFrame, *_: Any) -> PushReport:
        told.append({row["transaction_id"]: row["is_new"] for row in items.collect()})
        return PushReport(len(told[-1]), 0)

    ticking = replace(lake, clock=_hourly())
    first = records_of(spark, a_payment("a", transaction_status="PENDING"), a_payment("b"))
    later = records_of(
        spark, a_payment("a", event="a2", sequence=2), a_score("b"), a_payment("c"), first_offset=2
    )
    for number, records in enumerate((first, later, later)):
        enriched(ticking, records, number, publish=publish)
    a, b, c = an_id("a"), an_id("b"), an_id("c")
    assert told[0] == {a: True, b: True}
    assert told[1] == {a: False, b: False, c: True}
    assert told[2] == {a: False, b: False, c: False}


def test_only_payments_without_a_score_are_asked_for_and_each_once(
    lake: Lakehouse, spark: SparkSession, dynamodb: DynamoDbSettings
) -> None:
    with inference_api.running() as api:
        asking = connected(lake, dynamodb, api.url)
        enriched(
            asking,
            records_of(
                spark,
                a_payment("a", event="a1", transaction_status="PENDING"),
                a_payment("a", event="a2", sequence=2),
                a_payment("b"),
                a_score("b"),
            ),
        )
        enriched(asking, records_of(spark, a_payment("a", event="a3"), first_offset=9), number=1)
    assert api.asked_ids == [an_id("a")]
    sources = {
        (row["transaction_id"], row["score_source"])
        for row in rows_of(lake.read(SILVER_LIVE_TRANSACTIONS))
    }
    assert sources == {(an_id("a"), "API"), (an_id("b"), "TOPIC")}
    api_score = lake.read(SILVER_FRAUD_SCORES).where("score_source = 'API'").collect()
    assert [row["inference_time"].astimezone(UTC) for row in api_score] == [NOON]


@pytest.mark.usefixtures("either_way")
def test_a_payment_whose_score_lies_on_days_that_are_not_read_keeps_it_and_is_not_asked_for(
    lake: Lakehouse, spark: SparkSession, dynamodb: DynamoDbSettings
) -> None:
    with inference_api.running() as api:
        asking = connected(lake, dynamodb, api.url)
        # late, so that its score is of a day far from its own
        late = replace(asking, clock=lambda: NOON + timedelta(days=11))
        enriched(late, records_of(spark, a_payment(transaction_status="PENDING")))
        later = replace(asking, clock=lambda: NOON + timedelta(days=32))
        second = a_payment(event="2", timestamp="2026-03-10T08:00:00Z")
        enriched(
            later, records_of(spark, second, first_offset=1, delivered_at=later.clock()), number=1
        )
    assert api.asked_ids == [an_id("p1")]
    rows = rows_of(lake.read(SILVER_LIVE_TRANSACTIONS))
    assert [row["score_source"] for row in rows] == ["API", "API"]
    first, second_row = ({name: row[name] for name in OF_SCORE} for row in rows)
    assert first == second_row
    assert lake.read(SILVER_FRAUD_SCORES).count() == 1


def test_a_stream_puts_its_small_files_together(
    lake: Lakehouse, spark: SparkSession, dynamodb: DynamoDbSettings
) -> None:
    few = "spark.databricks.delta.autoCompact.minNumFiles"
    names = [f"p{number}" for number in range(5)]
    try:
        spark.conf.set(few, "3")
        for number, name in enumerate(names):
            enriched(lake, records_of(spark, a_payment(name), first_offset=number), number)
    finally:
        spark.conf.unset(few)
    payments = lake.read(SILVER_LIVE_TRANSACTIONS)
    assert payments.count() == len(names)
    assert len(payments.inputFiles()) < 4
    assert lake.version(SILVER_LIVE_TRANSACTIONS) > len(names)
    assert all(lookup(dynamodb, an_id(name)) for name in names)


def _hourly() -> Callable[[], datetime]:
    """A clock that is an hour later each time."""
    hours = count()
    return lambda: NOON + timedelta(hours=next(hours))
