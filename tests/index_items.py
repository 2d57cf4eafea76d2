"""Items of the serving store as a job pushes them, that name only what matters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DateType,
    DecimalType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from lakehouse.config import DynamoDbSettings
from lakehouse.dynamodb import PushReport, push
from lakehouse.serving import lookup
from lakehouse.serving_item import Group

MORNING = datetime(2026, 3, 9, 8, 0, tzinfo=UTC)
COLUMNS = StructType(
    [
        StructField("transaction_id", StringType()),
        StructField("version", LongType()),
        StructField("expires_at", LongType()),
        StructField("as_of", TimestampType()),
        StructField("amount", DecimalType(15, 2)),
        StructField("fraud_score", DecimalType(7, 6)),
        StructField("policy_flags", ArrayType(StringType())),
        StructField("merchant_id", StringType()),
        StructField("user_id", StringType()),
        StructField("timestamp", TimestampType()),
        StructField("is_new", BooleanType()),
        StructField("first_day", DateType()),
        StructField("read_from", DateType()),
        StructField("read_to", DateType()),
    ]
)


def an_item(
    transaction_id: str = "t1",
    version: int = 1,
    expires_at: int | None = None,
    as_of: datetime = MORNING,
    amount: str = "1000",
    fraud_score: str | None = "0.25",
    policy_flags: Sequence[str] = (),
    merchant_id: str | None = "m1",
    user_id: str | None = None,
    timestamp: datetime | None = None,
    is_new: bool = False,
    first_day: date | None = None,
    read: tuple[date | None, date | None] = (None, None),
) -> tuple[Any, ...]:
    score = None if fraud_score is None else Decimal(fraud_score)
    flags = list(policy_flags)
    return (
        transaction_id, version, expires_at, as_of, Decimal(amount), score, flags, merchant_id,
        user_id, timestamp, is_new, first_day, *read,
    )  # fmt: skip


def frame_of(spark: SparkSession, *items: tuple[Any, ...]) -> DataFrame:
    return spark.createDataFrame(list(items), COLUMNS)


def pushed(
    spark: SparkSession,
    settings: DynamoDbSettings,
    *items: tuple[Any, ...],
    group: Group = "live",
) -> PushReport:
    return push(frame_of(spark, *items), group, settings)


def found(settings: DynamoDbSettings, transaction_id: str = "t1") -> dict[str, Any]:
    item = lookup(settings, transaction_id)
    assert item is not None
    return item
