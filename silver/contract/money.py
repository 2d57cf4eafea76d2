"""Money events: settlements, refunds, chargebacks and their reversals."""

from __future__ import annotations

from functools import cache

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.records.codes import MoneyEventType
from silver.contract import columns
from silver.contract.assemble import Contract, assembled
from silver.contract.currencies import CURRENCIES


def parsed_money_events(rows: DataFrame, *, latest: Column) -> DataFrame:
    """One row per row of `rows`: one movement of money; its identity is its `event_id`."""
    return assembled(rows, _contract(), latest)


@cache
def _contract() -> Contract:
    return Contract.of(
        [
            columns.uuid("event_id"),
            columns.uuid("transaction_id"),
            columns.code("event_type", MoneyEventType, "event_type"),
            columns.amount(),
            columns.code("currency", CURRENCIES, "currency"),
            columns.instant("timestamp"),
            columns.day("transaction_date", required=False),
            columns.text("dispute_id", required=False),
        ],
        identity=F.col("event_id"),
        event_date=F.to_date("timestamp"),
    )
