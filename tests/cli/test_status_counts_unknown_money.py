"""The Batch Index as it stands, and money whose payment nobody told of: by view and by age."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.cli.questions import answered
from lakehouse.cli.rows import rows_of
from lakehouse.cli.unknown_money import UnknownMoney, unknown_money
from lakehouse.config import Config
from lakehouse.context import Lakehouse
from lakehouse.tables import (
    SILVER_BATCH_TRANSACTIONS,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    Table,
)
from tests.conftest import NOON

# what constraints of the tables ask for
_SOUND: dict[str, Any] = {
    "amount": Decimal(100),
    "transaction_status": "AUTHORIZED",
    "policy_flag": "NONE",
    "recommended_action": "ALLOW",
    "fx_status": "OK",
}
_SOME: dict[str, Any] = {
    "string": "x",
    "int": 0,
    "boolean": False,
    "timestamp": NOON,
    "date": NOON.date(),
    "decimal(15,2)": Decimal(100),
    "map<string,string>": {},
}


def put(lake: Lakehouse, table: Table, *rows: dict[str, Any]) -> None:
    """Append rows that name only what matters; what they must have beside it is anything."""
    anything = {
        field.name: None if field.nullable else _SOME.get(field.dataType.simpleString(), [])
        for field in table.schema
    } | _SOUND
    values = [tuple((anything | row)[name] for name in table.columns) for row in rows]
    lake.append(lake.spark.createDataFrame(values, table.schema), table)


def of(transaction: str, **values: Any) -> dict[str, Any]:
    """A row of a transaction; it alone has this identity."""
    return {"transaction_id": transaction, "identity": f"of {transaction}"} | values


@pytest.fixture
def lake(lake_for: Callable[[str], Lakehouse]) -> Lakehouse:
    """A log with a correction and a withdrawal, one live payment, and the money of all."""
    lake = lake_for("build_batch")
    put(
        lake,
        SILVER_BATCH_TRANSACTIONS,
        of("booked"),
        of("corrected"),
        of("corrected", revision=1, amount=Decimal(50)),
        of("withdrawn"),
        of("withdrawn", revision=1, withdrawn=True),
    )
    put(lake, SILVER_LIVE_TRANSACTIONS, of("heard of"))
    put(
        lake,
        SILVER_MONEY_EVENTS,
        *[of(name) for name in ("booked", "corrected", "heard of", "unknown", "taken back")],
        of("taken back", revision=1, withdrawn=True),
        of("unknown", identity="other", timestamp=NOON + timedelta(hours=2)),
        of("unknown for days", timestamp=NOON - timedelta(days=6, hours=23)),
        of("withdrawn", timestamp=NOON - timedelta(days=7)),
        of("unknown for months", timestamp=NOON - timedelta(days=100)),
        of("unknown for months", revision=1, timestamp=NOON - timedelta(days=101)),
    )
    return lake


def test_money_of_unknown_payments_is_counted_by_age(
    lake: Lakehouse, spark: SparkSession, config: Config
) -> None:
    assert unknown_money(spark, config, NOON) == [
        UnknownMoney("less than a day", 2),
        UnknownMoney("1 to 6 days", 1),
        UnknownMoney("7 to 29 days", 1),
        UnknownMoney("30 days and more", 1),
    ]


def test_nothing_is_counted_in_an_empty_lake(spark: SparkSession, config: Config) -> None:
    assert unknown_money(spark, config, NOON) == []


def test_the_batch_index_has_current_revisions_only(
    lake: Lakehouse, spark: SparkSession, config: Config
) -> None:
    sql = "SELECT transaction_id, revision FROM silver.batch_index ORDER BY transaction_id"
    assert rows_of(answered(spark, config, sql)) == [["booked", 0], ["corrected", 1]]


def test_a_look_up_in_the_batch_index_filters_what_is_read(
    lake: Lakehouse, spark: SparkSession, config: Config
) -> None:
    sql = "SELECT * FROM silver.batch_index WHERE transaction_id = 'corrected'"
    plan = answered(spark, config, sql)._jdf.queryExecution().optimizedPlan().toString()
    _, _, below_the_revisions = plan.partition("Window [max(revision")
    assert " = corrected)" in below_the_revisions
