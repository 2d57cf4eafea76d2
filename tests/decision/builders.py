"""Rows that name only what matters; the rest is ordinary."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lakehouse.decision import PolicyBook
from lakehouse.tables import SILVER_FRAUD_SCORES, SILVER_POLICIES
from tests.conftest import NOON

Row = dict[str, Any]

PAYMENT_SCHEMA = (
    "identity string, transaction_id string, user_id string, timestamp timestamp, "
    "amount decimal(15,2), currency string, country string, region string, merchant_id string, "
    "transaction_status string"
)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def a_payment(name: str = "one", *, seconds: float = 0, **facts: Any) -> Row:
    """A payment of 12.00 EUR in Germany, `seconds` after noon of 9 March 2026."""
    ordinary: Row = {
        "identity": f"event-{name}",
        "transaction_id": name,
        "user_id": f"user-of-{name}",
        "timestamp": NOON + timedelta(seconds=seconds),
        "amount": "1200",
        "currency": "EUR",
        "country": "DE",
        "region": "EU",
        "merchant_id": "DE-5411-00001",
        "transaction_status": "AUTHORIZED",
    } | facts
    return ordinary | {"amount": Decimal(ordinary["amount"])}


def a_score(of: str = "one", **facts: Any) -> Row:
    """An unsuspicious score from the topic, given at noon."""
    ordinary: Row = {
        "identity": f"score-of-{of}",
        "transaction_id": of,
        "score_source": "TOPIC",
        "model_version": "m1",
        "fraud_score": "0.1",
        "explanations": None,
        "inference_time": NOON,
    } | facts
    return ordinary | {"fraud_score": Decimal(ordinary["fraud_score"])}


def a_policy(policy_id: str, data: Row | str, **facts: Any) -> Row:
    """A policy in force since long ago."""
    ordinary = {
        "policy_id": policy_id,
        "policy_name": policy_id,
        "policy_data": data if isinstance(data, str) else json.dumps(data),
        "effective_date": LONG_AGO,
        "effective_to": None,
        "version": 1,
        "recorded_at": LONG_AGO,
        "coordinates": "file:policies@000000000000#1",
    }
    return ordinary | facts


def payments_frame(spark: SparkSession, rows: Iterable[Row]) -> DataFrame:
    """Payments, as live and batch hand them to the decision function."""
    return _frame(spark, rows, PAYMENT_SCHEMA)


def scores_frame(spark: SparkSession, rows: Iterable[Row]) -> DataFrame:
    """Scores with the columns that the decision function reads."""
    columns = a_score()
    schema = StructType([SILVER_FRAUD_SCORES.schema[name] for name in columns])
    return _frame(spark, rows, schema)


def policy_book(spark: SparkSession, rows: Iterable[Row]) -> PolicyBook:
    """What the decision function knows of rows of silver.policies."""
    return PolicyBook.of(_frame(spark, rows, SILVER_POLICIES.schema))


def _frame(spark: SparkSession, rows: Iterable[Row], schema: StructType | str) -> DataFrame:
    names = [part.split()[0] for part in schema.split(", ")] if isinstance(schema, str) else None
    order = names or [field.name for field in schema]  # type: ignore[union-attr]
    return spark.createDataFrame([tuple(row[name] for name in order) for row in rows], schema)
