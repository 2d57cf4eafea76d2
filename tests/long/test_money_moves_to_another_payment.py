"""A corrected drop gives money to another payment: it counts there, and no more where it was."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from pyspark.sql import Row

from lakehouse.context import Lakehouse
from lakehouse.tables import GOLD_TRANSACTIONS, SILVER_MONEY_EVENTS
from silver.build_batch import build_batch
from tests.long.test_consolidate_folds_silver_into_gold import consolidated
from tests.silver.deliveries import a_log_row, a_money_event, deliver, transaction_id

OLD, NEW = transaction_id(1), transaction_id(2)


def test_money_that_moves_is_withdrawn_from_the_payment_that_had_it(
    lake_for: Callable[[str], Lakehouse],
) -> None:
    silver, gold = lake_for("build_batch"), lake_for("consolidate")
    deliver(silver, "transactions", [a_log_row(1), a_log_row(2)])
    deliver(silver, "money_events", [a_money_event(1)])
    build_batch(silver)
    consolidated(gold)
    assert settled(gold) == {OLD: 1000, NEW: 0}

    deliver(silver, "money_events", [a_money_event(1, transaction_id=NEW)], revision=1)
    build_batch(silver)
    consolidated(gold)

    assert settled(gold) == {OLD: 0, NEW: 1000}
    rows = silver.read(SILVER_MONEY_EVENTS).orderBy("revision").collect()
    assert [(row.revision, row.withdrawn, row.transaction_id) for row in rows] == [
        (0, False, OLD),
        (1, True, OLD),
        (2, False, NEW),
    ]
    assert [c.withdrawn for c in rows_of(gold)[OLD].contributions if c.event_type] == [True]
    build_batch(silver)
    assert silver.read(SILVER_MONEY_EVENTS).count() == 3, "what stands as wanted adds nothing"


def rows_of(gold: Lakehouse) -> dict[str, Row]:
    return {row.transaction_id: row for row in gold.read(GOLD_TRANSACTIONS).collect()}


def settled(gold: Lakehouse) -> dict[str, Decimal]:
    return {payment: row.settled_amount for payment, row in rows_of(gold).items()}
