"""Kafka records as Bronze holds them, of payments and scores that name only what matters."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.config import DynamoDbSettings
from lakehouse.context import Batch, Lakehouse
from lakehouse.decision import load_rules
from lakehouse.dynamodb import push
from lakehouse.tables import BRONZE_TRANSACTIONS, SILVER_CORRECTIONS
from silver.deliveries import deliveries_of
from silver.enrich_live import Publish, enrich
from silver.known import Policies

TRANSACTIONS, FRAUD_SCORES = "payments.transactions", "payments.fraud-scores"
TOPIC_ID = "zbXbJwqZQcmm4lEeNvs4Nw"
MORNING = datetime(2026, 3, 9, 8, 0, tzinfo=UTC)

Record = tuple[str, bytes | None]


def an_id(name: str) -> str:
    """The UUID of a name."""
    return str(uuid5(NAMESPACE_OID, name))


def a_payment(name: str = "p1", event: str | None = None, **fields: Any) -> Record:
    """An event of the payment `name`; `event` tells its events apart."""
    payment = {
        "event_id": an_id(f"event {event or name}"),
        "transaction_id": an_id(name),
        "user_id": "u1",
        "timestamp": "2026-03-09T08:00:00Z",
        "amount": 1000,
        "currency": "EUR",
        "country": "DE",
        "merchant_id": "DE-5411-00012",
        "payment_token": "tok_1",
        "transaction_status": "AUTHORIZED",
    }
    return TRANSACTIONS, json.dumps(payment | fields).encode()


def a_score(name: str = "p1", **fields: Any) -> Record:
    """A score of the payment `name` from the topic."""
    score = {
        "model_version": "m1",
        "transaction_id": an_id(name),
        "fraud_score": 0.25,
        "explanations": {"amount": 0.1},
        "inference_time": "2026-03-09T08:00:01Z",
    }
    return FRAUD_SCORES, json.dumps(score | fields).encode()


def records_of(
    spark: SparkSession,
    *records: Record,
    first_offset: int = 0,
    delivered_at: datetime = MORNING,
) -> DataFrame:
    """Rows of Bronze: the records in their order, in one partition."""
    day = delivered_at.date()
    rows = [
        (topic, TOPIC_ID, 0, first_offset + place, delivered_at, 0, None, value, None, 0, day)
        for place, (topic, value) in enumerate(records)
    ]
    return spark.createDataFrame(rows, BRONZE_TRANSACTIONS.schema)


def connected(
    lake: Lakehouse, dynamodb: DynamoDbSettings, scoring_url: str | None = None
) -> Lakehouse:
    """The same lakehouse with this serving store and this inference API (none by default)."""
    scoring = lake.config.scoring.model_copy(
        update={"url": scoring_url, "read_timeout_seconds": 1.0}
    )
    config = lake.config.model_copy(update={"dynamodb": dynamodb, "scoring": scoring})
    return replace(lake, config=config)


def enriched(
    lake: Lakehouse,
    records: DataFrame,
    number: int = 0,
    query: str = "q1",
    corrections: DataFrame | None = None,
    publish: Publish = push,
    policies: Policies | None = None,
) -> None:
    """Run one micro-batch, as the stream of this query would."""
    if corrections is None:
        corrections = lake.spark.createDataFrame([], SILVER_CORRECTIONS.schema)
    rules = load_rules(lake.config.rules.decision)
    deliveries = deliveries_of(
        lake.config,
        records.where(F.col("topic") == TRANSACTIONS),
        records.where(F.col("topic") == FRAUD_SCORES),
        corrections,
    )
    # a stream hands over rows, not the plan that made them
    parsed = deliveries.localCheckpoint(eager=False)
    enrich(lake, rules, policies or Policies(lake), parsed, Batch(query, number), publish)


def rows_of(frame: DataFrame, key: str = "coordinates") -> list[dict[str, Any]]:
    """All rows, in the order of one column."""
    return [row.asDict(recursive=True) for row in frame.orderBy(key).collect()]
