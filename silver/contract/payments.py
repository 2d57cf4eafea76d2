"""`payments.transactions` and the daily transaction log: the same fields, but for `event_id`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.identity import named_uuid
from lakehouse.records.codes import TransactionStatus
from silver.contract import columns
from silver.contract.assemble import Contract, assembled
from silver.contract.currencies import CURRENCIES

COUNTRY = "^[A-Z]{2}$"


def parsed_payments(
    rows: DataFrame,
    *,
    latest: Column,
    regions: Callable[[Column], Column],
    with_event_id: bool,
) -> DataFrame:
    """One row per row of `rows`: a payment event, or a row of the daily log.

    `latest` is the newest plausible event time (a column or a literal); `regions` turns a country
    into its region (`region_of` of the decision rules). The identity is the `event_id`, or for a
    log row the UUID of (transactions, transaction_id).
    """
    region = regions(F.col("country"))
    return assembled(rows, _contract(with_event_id), latest, region=region)


@cache
def _contract(with_event_id: bool) -> Contract:
    fields = [
        columns.uuid("transaction_id"),
        columns.text("user_id", required=True),
        columns.instant("timestamp"),
        columns.amount(),
        columns.code("currency", CURRENCIES, "currency"),
        columns.pattern("country", COUNTRY, "an ISO 3166-1 alpha-2 code"),
        columns.text("merchant_id", required=False),
        columns.text("payment_token", required=False),
        columns.code("transaction_status", TransactionStatus, "status"),
        columns.integer("sequence"),
    ]
    event_date = F.to_date("timestamp")
    if with_event_id:
        fields.insert(0, columns.uuid("event_id"))
        return Contract.of(fields, identity=F.col("event_id"), event_date=event_date)
    of_log_row = named_uuid(F.lit("transactions"), F.col("transaction_id"))
    identity = F.when(F.col("transaction_id").isNotNull(), of_log_row)
    return Contract.of(fields, identity=identity, event_date=event_date)
