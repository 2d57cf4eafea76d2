"""The Live Index says what Silver has committed: one item per transaction, never older."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.config import DynamoDbSettings
from lakehouse.context import Lakehouse
from lakehouse.dynamodb import ensure_table, lookup
from tests.silver.live_records import (
    MORNING,
    a_payment,
    a_score,
    an_id,
    connected,
    enriched,
    records_of,
)


@pytest.fixture
def lake(lake_for: Callable[[str], Lakehouse], dynamodb: DynamoDbSettings) -> Lakehouse:
    """The job's lakehouse, without an inference API."""
    ensure_table(dynamodb)
    return connected(lake_for("enrich_live"), dynamodb)


def item(dynamodb: DynamoDbSettings, name: str = "p1") -> dict[str, Any]:
    found = lookup(dynamodb, an_id(name))
    assert found is not None
    return found


def test_an_item_tells_the_payment_its_decision_and_how_far_it_is_known(
    lake: Lakehouse, spark: SparkSession, dynamodb: DynamoDbSettings
) -> None:
    enriched(lake, records_of(spark, a_payment(amount=123_400), a_score(fraud_score=0.7)))
    found = item(dynamodb)
    kept = timedelta(days=dynamodb.retention_days)
    assert found["expires_at"] == int((MORNING + kept).timestamp())
    assert found["combined"] == {
        "user_id": "u1",
        "timestamp": "2026-03-09T08:00:00.000000Z",
        "amount": 123_400,
        "currency": "EUR",
        "country": "DE",
        "region": "EU",
        "merchant_id": "DE-5411-00012",
        "transaction_status": "AUTHORIZED",
        "recommended_action": "REVIEW",
        "policy_flag": "NONE",
        "policy_flags": [],
        "decided_at": "2026-03-09T12:00:00.000000Z",
        "fraud_score": Decimal("0.7"),
        "fraud_reason_code": "HIGH_SCORE",
        "score_source": "TOPIC",
        "model_version": "m1",
        "as_of": "2026-03-09T08:00:01.000000Z",
        "event_as_of": "2026-03-09T08:00:00.000000Z",
        "first_day": "2026-03-09",
        "finality": "PROVISIONAL",
    }


def test_a_score_that_comes_days_later_reaches_the_item_but_not_the_decision(
    lake: Lakehouse, spark: SparkSession, dynamodb: DynamoDbSettings
) -> None:
    enriched(lake, records_of(spark, a_payment()))
    before = item(dynamodb)["live"]
    assert (before["fraud_reason_code"], before["score_source"]) == ("UNSCORED", "NONE")
    assert "fraud_score" not in before
    late = a_score(fraud_score=0.95, inference_time="2026-03-12T08:00:00Z")
    days_later = MORNING + timedelta(days=3, seconds=5)
    enriched(lake, records_of(spark, late, first_offset=1, delivered_at=days_later), number=1)
    after = item(dynamodb)["live"]
    assert after["fraud_score"] == Decimal("0.95")
    assert (after["fraud_reason_code"], after["score_source"]) == ("HIGH_SCORE", "TOPIC")
    assert after["recommended_action"] == before["recommended_action"] == "REVIEW"
    assert after["as_of"] == "2026-03-12T08:00:00.000000Z"
    assert after["event_as_of"] == "2026-03-09T08:00:00.000000Z"


def test_a_score_that_came_first_waits_for_its_payment(
    lake: Lakehouse, spark: SparkSession, dynamodb: DynamoDbSettings
) -> None:
    enriched(lake, records_of(spark, a_score(inference_time="2026-03-08T23:00:00Z")))
    assert lookup(dynamodb, an_id("p1")) is None
    enriched(lake, records_of(spark, a_payment(), first_offset=1), number=1)
    assert item(dynamodb)["live"]["score_source"] == "TOPIC"


def test_events_of_one_transaction_fold_into_one_item_whatever_their_order(
    lake: Lakehouse, spark: SparkSession, dynamodb: DynamoDbSettings
) -> None:
    authorized = a_payment(event="2", sequence=2, country="FR", amount=900)
    pending = a_payment(
        event="1", sequence=3, transaction_status="PENDING", merchant_id=None, amount=1000
    )
    enriched(lake, records_of(spark, authorized), number=0)
    enriched(lake, records_of(spark, pending, first_offset=1), number=1)
    folded = item(dynamodb)["live"]
    expected = {
        "transaction_status": "AUTHORIZED",  # stands over PENDING, whatever the sequence
        "amount": 1000,  # the greater sequence
        "merchant_id": "DE-5411-00012",  # a null replaces nothing
    }
    assert {name: folded[name] for name in expected} == expected
