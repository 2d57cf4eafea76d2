"""Money without its payment waits, unless another row of the transaction has the payment."""

from __future__ import annotations

from datetime import date
from typing import Any

from pyspark.sql import SparkSession

from gold.money import total_items
from lakehouse.tables import GOLD_TRANSACTIONS, WAITING_DAY
from tests.gold.rows import a_contribution, a_gold_row, frame


def test_money_waits_for_a_payment_that_no_row_has(spark: SparkSession) -> None:
    settled = a_gold_row(
        "settled", settled_amount="1200", contributions=[a_contribution(), money("counted")]
    )
    rows = [
        waiting("early"),
        waiting("apart"), a_gold_row("apart"), a_gold_row("apart", event_date=date(2026, 3, 9)),
        settled,
    ]  # fmt: skip
    found = total_items(frame(spark, GOLD_TRANSACTIONS, rows)).collect()
    assert sorted((item["name"], item["bucket"], item["kind"]) for item in found) == [
        ("apart", None, "MISSING"),
        ("early", "held", "WAITING"),
        ("settled", "accepted", None),
    ]


def waiting(transaction_id: str) -> dict[str, Any]:
    return a_gold_row(
        transaction_id, timestamp=None, amount=None, currency=None, event_date=WAITING_DAY,
        contributions=[money(f"money of {transaction_id}")],
    )  # fmt: skip


def money(identity: str) -> dict[str, Any]:
    return a_contribution(
        identity, source="MONEY_EVENT", event_type="SETTLED", amount="1200", currency="EUR"
    )
