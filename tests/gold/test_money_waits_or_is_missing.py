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
    told = [(item["name"], item["bucket"], item["kind"]) for item in found]
    assert sorted(each for each in told if each[2] != "DOUBLED") == [
        ("apart", None, "MISSING"),
        ("early", "held", "WAITING"),
        ("settled", "accepted", None),
    ]


def test_a_payment_of_several_rows_is_doubled_about_all_but_one(spark: SparkSession) -> None:
    rows = [
        a_gold_row("once"),
        a_gold_row("far apart"), a_gold_row("far apart", event_date=date(2026, 3, 30), amount="7"),
        waiting("money apart"), a_gold_row("money apart"),
    ]  # fmt: skip
    found = total_items(frame(spark, GOLD_TRANSACTIONS, rows)).where("kind = 'DOUBLED'").collect()
    told = [(item["name"], item["rows"], item["cases"], item["gap"]) for item in found]
    assert sorted(told) == [("far apart", 0, 1, 7), ("money apart", 0, 1, 0)]


def waiting(transaction_id: str) -> dict[str, Any]:
    return a_gold_row(
        transaction_id, timestamp=None, amount=None, currency=None, event_date=WAITING_DAY,
        contributions=[money(f"money of {transaction_id}")],
    )  # fmt: skip


def money(identity: str) -> dict[str, Any]:
    return a_contribution(
        identity, source="MONEY_EVENT", event_type="SETTLED", amount="1200", currency="EUR"
    )
