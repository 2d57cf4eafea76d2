"""Gold, Silver and Bronze rows for tests: name what matters, the rest is an ordinary payment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import ArrayType, DecimalType, StructType

from lakehouse.context import Lakehouse
from lakehouse.tables import GOLD_TRANSACTIONS, Table

MORNING = datetime(2026, 3, 8, 9, 0, tzinfo=UTC)

Row = dict[str, Any]


def a_contribution(identity: str = "event-1", **facts: Any) -> Row:
    """What one live event says of a payment."""
    usual = {
        "identity": identity, "revision": 0, "withdrawn": False, "source": "LIVE_EVENT",
        "version": 1, "coordinates": "kafka:payments.transactions/0/0", "event_time": MORNING,
        "user_id": "payer-1",
    }  # fmt: skip
    return usual | facts


def a_gold_row(transaction_id: str = "t-1", **facts: Any) -> Row:
    """An authorised payment of 12.00 EUR on 8 March 2026 in region EU."""
    usual = {
        "transaction_id": transaction_id, "user_id": "payer-1", "timestamp": MORNING,
        "amount": "1200", "currency": "EUR", "transaction_status": "AUTHORIZED",
        "updated_at": MORNING, "country": "DE", "region": "EU", "merchant_id": "m-1",
        "score_source": "NONE", "settled_amount": "0", "refunded_amount": "0",
        "chargeback_amount": "0", "chargeback_reversed_amount": "0", "exceptions": [],
        "winners": [], "event_date": date(2026, 3, 8), "contributions": [a_contribution()],
    }  # fmt: skip
    return usual | facts


def a_decision(**facts: Any) -> Row:
    """The gateway was told ALLOW."""
    usual = {
        "event_id": "event-1", "decided_at": MORNING, "fraud_reason_code": "UNSCORED",
        "score_source": "NONE", "policy_flag": "NONE", "policy_flags": [],
        "recommended_action": "ALLOW",
    }  # fmt: skip
    return usual | facts


def frame(spark: SparkSession, table: Table, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """Rows of a table; absent fields are null, and decimals may be written as text."""
    return spark.createDataFrame([_filled(row, table.schema) for row in rows], table.schema)


def append(lake: Lakehouse, table: Table, *rows: Mapping[str, Any]) -> None:
    """Append rows to a table: one version."""
    lake.append(frame(lake.spark, table, rows), table)


def merge_gold(lake: Lakehouse, *rows: Mapping[str, Any]) -> None:
    """Insert or replace whole rows of Gold by their transaction: one version."""
    changes = frame(lake.spark, GOLD_TRANSACTIONS, rows).alias("new")
    (
        lake.writable(GOLD_TRANSACTIONS)
        .alias("old")
        .merge(changes, "old.transaction_id = new.transaction_id")
        .whenMatchedUpdateAll()
        .whenNotMatchedInsertAll()
        .execute()
    )


def _filled(row: Mapping[str, Any], schema: StructType) -> tuple[Any, ...]:
    unknown = set(row) - set(schema.fieldNames())
    assert not unknown, f"no such columns: {unknown}"
    return tuple(_value(row.get(field.name), field.dataType) for field in schema)


def _value(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, StrEnum):
        # Spark knows no class of Python's
        return str(value)
    if isinstance(kind, DecimalType):
        return Decimal(value)
    if isinstance(kind, StructType):
        return _filled(value, kind)
    if isinstance(kind, ArrayType):
        return [_value(each, kind.elementType) for each in value]
    return value
