"""gold/consolidate: each transaction is one row, whatever comes first, again, or corrected."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pyspark.sql import Row

from gold.consolidate import consolidate
from lakehouse.context import Lakehouse
from lakehouse.delta import latest_version, path_of
from lakehouse.tables import (
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    SILVER_OFFLINE_SCORES,
    WAITING_DAY,
)
from tests.gold.rows import append, frame

Opener = Callable[[str], Lakehouse]
NINE = datetime(2026, 3, 8, 9, 0, tzinfo=UTC)
EIGHTH, NINTH = date(2026, 3, 8), date(2026, 3, 9)


def test_a_payment_and_all_that_is_known_of_it_is_one_row(lake_for: Opener) -> None:
    lake = lake_for("consolidate")
    append(lake, SILVER_LIVE_TRANSACTIONS, a_live_event("paid"), a_live_event("live only"))
    append(lake, SILVER_BATCH_TRANSACTIONS, a_batch_row("paid", amount="1100"))
    append(lake, SILVER_MONEY_EVENTS, a_settlement("paid", amount="1100"), a_settlement("early"))
    append(lake, SILVER_FRAUD_SCORES, a_score("paid", "API"))
    append(lake, SILVER_OFFLINE_SCORES, a_score("paid", "OFFLINE", fraud_score="0.9"))
    consolidated(lake)
    gold = rows_of(lake)

    paid = gold["paid"]
    assert [c.source for c in paid.contributions] == [
        "BATCH_LOG", "LIVE_EVENT", "MONEY_EVENT", "API_SCORE", "OFFLINE_SCORE"
    ]  # fmt: skip
    assert (paid.amount, paid.amount_base, paid.fx_status) == (1100, 1100, "OK")
    assert (paid.settlement_status, paid.settled_amount) == ("SETTLED", 1100)
    assert (paid.score_source, paid.fraud_score) == ("OFFLINE", Decimal("0.9"))
    assert (paid.event_date, paid.region) == (EIGHTH, "EU")
    assert paid.decision.recommended_action == "ALLOW"
    assert (gold["live only"].fraud_reason_code, gold["live only"].fx_status) == ("UNSCORED", None)
    assert gold["early"].event_date == WAITING_DAY

    version = version_of(lake)
    consolidated(lake)
    assert version_of(lake) == version, "nothing new, no commit"
    shutil.rmtree(f"{lake.config.lake.checkpoints}/consolidate")
    consolidated(lake)
    assert version_of(lake) == version, "a replay rewrites nothing"
    assert rows_of(lake) == gold


def test_what_comes_late_or_corrected_changes_its_row_in_one_commit(lake_for: Opener) -> None:
    lake = lake_for("consolidate")
    moved_to = NINE + timedelta(days=1)
    append(
        lake,
        SILVER_BATCH_TRANSACTIONS,
        *[a_batch_row(t) for t in ("moved", "lowered", "withdrawn", "untouched")],
    )
    append(lake, SILVER_LIVE_TRANSACTIONS, a_live_event("withdrawn", amount="999"))
    append(lake, SILVER_MONEY_EVENTS, a_settlement("early"), a_settlement("gone"))
    consolidated(lake)
    version, before = version_of(lake), rows_of(lake)

    append(lake, SILVER_LIVE_TRANSACTIONS, a_live_event("early"), a_live_event("new"))
    append(
        lake,
        SILVER_BATCH_TRANSACTIONS,
        a_batch_row("moved", revision=1, timestamp=moved_to, event_date=NINTH),
        a_batch_row("lowered", revision=1, amount="400"),
        a_batch_row("withdrawn", revision=1, withdrawn=True),
        a_batch_row("untouched"),  # delivered again
    )
    append(lake, SILVER_MONEY_EVENTS, a_settlement("gone", revision=1, withdrawn=True))
    consolidated(lake)
    gold = rows_of(lake)

    assert version_of(lake) == version + 1
    assert (gold["early"].event_date, gold["early"].settlement_status) == (EIGHTH, "SETTLED")
    assert gold["moved"].event_date == NINTH
    assert gold["lowered"].amount == 400
    assert gold["withdrawn"].amount == 999
    assert [c.withdrawn for c in gold["withdrawn"].contributions] == [True, False]
    assert (gold["gone"].updated_at, gold["gone"].event_date) == (None, WAITING_DAY)
    assert gold["untouched"] == before["untouched"]
    assert gold.keys() - before.keys() == {"new"}


def test_two_rows_of_one_transaction_become_one_again(lake_for: Opener) -> None:
    lake = lake_for("consolidate")
    append(lake, SILVER_BATCH_TRANSACTIONS, a_batch_row("twice"))
    consolidated(lake)
    double = [rows_of(lake)["twice"].asDict(recursive=True)]
    lake.append(frame(lake.spark, GOLD_TRANSACTIONS, double), to=GOLD_TRANSACTIONS)
    assert lake.read(GOLD_TRANSACTIONS).count() == 2

    append(lake, SILVER_MONEY_EVENTS, a_settlement("twice", transaction_date=EIGHTH))
    consolidated(lake)
    assert rows_of(lake)["twice"].settlement_status == "SETTLED"


def consolidated(lake: Lakehouse) -> None:
    query = consolidate(lake)
    assert query is not None
    query.awaitTermination()
    assert not lake.faults


def rows_of(lake: Lakehouse) -> dict[str, Row]:
    rows = lake.read(GOLD_TRANSACTIONS).collect()
    by_transaction = {row.transaction_id: row for row in rows}
    assert len(rows) == len(by_transaction), "one row per transaction"
    return by_transaction


def version_of(lake: Lakehouse) -> int:
    return latest_version(lake.spark, path_of(lake.config, GOLD_TRANSACTIONS))


def a_silver_row(transaction_id: str, kind: str, **facts: Any) -> dict[str, Any]:
    usual = {
        "transaction_id": transaction_id, "identity": f"{kind}-{transaction_id}", "revision": 0,
        "withdrawn": False, "coordinates": f"test:{transaction_id}", "content_hash": "0",
        "event_date": EIGHTH,
    }  # fmt: skip
    return usual | facts


def a_live_event(transaction_id: str, **facts: Any) -> dict[str, Any]:
    usual = {
        **a_payment(transaction_id, "live"), "event_id": f"live-{transaction_id}",
        "decided_at": NINE,
    }  # fmt: skip
    return usual | facts


def a_batch_row(transaction_id: str, **facts: Any) -> dict[str, Any]:
    amount = facts.get("amount", "1000")
    usual = {
        **a_payment(transaction_id, "batch"), "amount_base": amount, "base_currency": "EUR",
        "fx_rate": "1", "fx_rate_date": EIGHTH, "fx_status": "OK",
    }  # fmt: skip
    return usual | facts


def a_payment(transaction_id: str, kind: str) -> dict[str, Any]:
    return a_silver_row(
        transaction_id, kind, timestamp=NINE, amount="1000", currency="EUR", user_id="u-1",
        fraud_reason_code="UNSCORED", policy_flag="NONE", transaction_status="AUTHORIZED",
        country="DE", region="EU", merchant_id="m-1", sequence=1, score_source="NONE",
        policy_flags=[], policies=[], velocity=[], recommended_action="ALLOW", extra={},
    )  # fmt: skip


def a_settlement(transaction_id: str, **facts: Any) -> dict[str, Any]:
    usual = a_silver_row(
        transaction_id, "money", event_id=f"money-{transaction_id}", event_type="SETTLED",
        amount="1000", currency="EUR", timestamp=NINE + timedelta(days=2),
    )  # fmt: skip
    return usual | {"event_date": date(2026, 3, 10)} | facts


def a_score(transaction_id: str, source: str, **facts: Any) -> dict[str, Any]:
    usual = a_silver_row(
        transaction_id, f"score-{source}", model_version="v1", fraud_score="0.5",
        inference_time=NINE, score_source=source, fraud_reason_code="NONE",
    )  # fmt: skip
    return usual | facts
