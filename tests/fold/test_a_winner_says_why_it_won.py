"""Who won a field group is told with the step of the precedence that decided it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from pytest import param

from lakehouse.fold.wins import Win, wins_of
from lakehouse.records.gold import Contribution
from tests.fold.contributions import (
    NINE,
    a_batch_row,
    a_live_event,
    a_score,
    money,
    the_precedence,
    the_transitions,
)


def wins(*contributions: Contribution) -> list[Win]:
    return wins_of("t-1", contributions, the_precedence(), the_transitions())


def won(field: str, *contributions: Contribution) -> tuple[str, str | None, str]:
    """Who won a field, over whom, and why."""
    [win] = [win for win in wins(*contributions) if field in win.fields]
    return win.identity, win.before, win.why


@pytest.mark.parametrize(
    ("field", "contributions", "expected"),
    [
        param("amount", [a_live_event()], ("live", None, "no other contribution has a say"),
              id="alone"),
        param("amount", [a_live_event(), a_batch_row()],
              ("batch", "live", "source BATCH_LOG is stronger than LIVE_EVENT"), id="by source"),
        param("merchant_id", [a_live_event(), a_batch_row(merchant_id=None)],
              ("live", None, "no other contribution has a say"), id="a null replaces nothing"),
        param("transaction_status",
              [a_batch_row(transaction_status="PENDING"), a_live_event()],
              ("live", "batch", "transaction_status AUTHORIZED is stronger than PENDING"),
              id="by class"),
        param("transaction_status", [a_live_event("a", sequence=2), a_live_event("b")],
              ("a", "b", "sequence 2 is higher than 1"), id="by sequence"),
        param("transaction_status", [a_live_event("a"), a_live_event("b", sequence=None)],
              ("a", "b", "sequence 1 is stronger than none"), id="null is weakest"),
        param("fraud_score",
              [a_score("a"), a_score("b", model_version="v2", fraud_score=Decimal("0.1"))],
              ("b", "a", "model_version v2 is higher than v1"), id="by model"),
        param("transaction_status", [a_live_event("a"), a_live_event("b")],
              ("b", "a", "identity b is higher than a"), id="by identity"),
        param("amount", [a_live_event(), a_batch_row(withdrawn=True)],
              ("live", None, "no other contribution has a say"), id="withdrawn"),
    ],
)  # fmt: skip
def test_the_deciding_step_is_named(
    field: str, contributions: list[Contribution], expected: tuple[str, str | None, str]
) -> None:
    assert won(field, *contributions) == expected


def test_money_is_told_event_by_event_and_what_is_in_no_sum() -> None:
    later = NINE + timedelta(days=1)
    settled = money("SETTLED", 1000, event_time=later)
    told = wins(a_live_event(), settled, money("REFUNDED", 5, currency="USD"))
    assert [(w.identity, w.why) for w in told if w.group == "money"] == [
        ("SETTLED-1000", "counts in the sums of SETTLED"),
        ("REFUNDED-5", "in no sum: it is in USD, the payment in EUR"),
    ]
