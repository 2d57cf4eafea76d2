"""Named cases of the derivation: who wins, and where the money stands."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from lakehouse.fold.pure import derive, union
from lakehouse.records.gold import Contribution
from lakehouse.tables import WAITING_DAY
from tests.fold.contributions import (
    NINE,
    a_batch_row,
    a_decision,
    a_live_event,
    a_score,
    money,
    the_precedence,
    the_transitions,
)

_LATER = NINE + timedelta(hours=1)
_PAID = a_live_event()
_SETTLED = money("SETTLED", 1000)
_RAISED = money("CHARGEBACK", 1000)
_REVERSED = money("CHARGEBACK_REVERSED", 1000)


def _dispute(name: str, raised: int, *reversed_: int) -> list[Contribution]:
    """A chargeback and its reversals, which name their dispute."""
    taken_back = [
        money("CHARGEBACK_REVERSED", amount, f"{name}-{turn}", dispute_id=name)
        for turn, amount in enumerate(reversed_)
    ]
    return [money("CHARGEBACK", raised, name, dispute_id=name), *taken_back]


def row_of(*contributions: Contribution) -> dict[str, Any]:
    return derive("t", union((), contributions), the_precedence(), the_transitions())


@pytest.mark.parametrize(
    "events, status",
    [
        pytest.param([], None, id="no money yet"),
        pytest.param([_SETTLED], "SETTLED", id="settled"),
        pytest.param([money("SETTLED", 400), money("SETTLED", 600)], "SETTLED", id="in parts"),
        pytest.param([_SETTLED, money("REFUNDED", 300)], "PARTIALLY_REFUNDED", id="one part back"),
        pytest.param(
            [_SETTLED, money("REFUNDED", 300), money("REFUNDED", 700)], "REFUNDED", id="parts cover"
        ),
        pytest.param([_SETTLED, _RAISED], "CHARGEBACK", id="disputed"),
        pytest.param([_SETTLED, _RAISED, _REVERSED], "SETTLED", id="dispute reversed"),
        pytest.param(
            [_SETTLED, money("CHARGEBACK", 300), money("CHARGEBACK_REVERSED", 100)],
            "CHARGEBACK",
            id="dispute of a part, reversed in part",
        ),
        pytest.param(
            [_SETTLED, _RAISED, _REVERSED, money("CHARGEBACK", 1000, "raised again")],
            "CHARGEBACK",
            id="reversed and raised again",
        ),
        pytest.param(
            [_SETTLED, money("REFUNDED", 1000), _RAISED], "CHARGEBACK", id="refund and chargeback"
        ),
        pytest.param(
            [_SETTLED, money("REFUNDED", 400), _RAISED, _REVERSED],
            "PARTIALLY_REFUNDED",
            id="part back and dispute reversed",
        ),
        pytest.param(
            [_SETTLED, money("REFUNDED", 400), money("CHARGEBACK", 600)],
            "CHARGEBACK",
            id="part back and the rest disputed",
        ),
        pytest.param(
            [money("SETTLED", 400), money("SETTLED", 600), money("REFUNDED", 400)],
            "PARTIALLY_REFUNDED",
            id="settled in parts and one part back",
        ),
        pytest.param([_SETTLED, _SETTLED], "SETTLED", id="the same event twice"),
        pytest.param(
            [_SETTLED, *_dispute("a", 100, 100), *_dispute("b", 100)],
            "CHARGEBACK",
            id="one dispute reversed, another open",
        ),
        pytest.param(
            [_SETTLED, *_dispute("a", 100, 100), *_dispute("b", 100, 60, 40)],
            "SETTLED",
            id="two disputes reversed, one in parts",
        ),
        pytest.param(
            [_SETTLED, *_dispute("a", 300), money("CHARGEBACK_REVERSED", 300)],
            "SETTLED",
            id="a reversal that names no dispute",
        ),
        pytest.param(
            [_SETTLED, money("CHARGEBACK", 300), *_dispute("a", 0, 300)],
            "SETTLED",
            id="a chargeback that names no dispute",
        ),
        pytest.param(
            [_SETTLED, *_dispute("a", 300), money("CHARGEBACK_REVERSED", 200)],
            "CHARGEBACK",
            id="reversed in part, by one that names no dispute",
        ),
    ],
)
def test_money_events_give_the_settlement_status(
    events: list[Contribution], status: str | None
) -> None:
    row = row_of(_PAID, *events)
    assert row["settlement_status"] == status
    assert row["exceptions"] == []


@pytest.mark.parametrize(
    "contributions, rules",
    [
        pytest.param(
            [_PAID, money("REFUNDED", 1)], ["REFUND_EXCEEDS_SETTLED"], id="refund of nothing"
        ),
        pytest.param(
            [_PAID, _SETTLED, money("REFUNDED", 600), money("REFUNDED", 401)],
            ["REFUND_EXCEEDS_SETTLED"],
            id="refunds beyond what was settled",
        ),
        pytest.param(
            [_PAID, _RAISED], ["CHARGEBACK_EXCEEDS_SETTLED"], id="dispute of what never settled"
        ),
        pytest.param(
            [_PAID, _SETTLED, _RAISED, money("CHARGEBACK", 1)],
            ["CHARGEBACK_EXCEEDS_SETTLED"],
            id="disputes beyond what was settled",
        ),
        pytest.param(
            [_PAID, _SETTLED, _REVERSED],
            ["REVERSAL_EXCEEDS_CHARGEBACK"],
            id="reversal without a chargeback",
        ),
        pytest.param(
            [_PAID, _SETTLED, _RAISED, _REVERSED, money("CHARGEBACK_REVERSED", 1000, "again")],
            ["REVERSAL_EXCEEDS_CHARGEBACK"],
            id="reversed twice",
        ),
        pytest.param(
            [_PAID, _SETTLED, *_dispute("a", 100, 100, 100), *_dispute("b", 100)],
            ["REVERSAL_EXCEEDS_CHARGEBACK"],
            id="one dispute reversed twice, another open",
        ),
        pytest.param(
            [_PAID, _SETTLED, *_dispute("a", 600, 600), *_dispute("b", 600)],
            [],
            id="disputes one behind the other",
        ),
        pytest.param(
            [_PAID, _SETTLED, *_dispute("a", 600, 601), *_dispute("b", 1001)],
            ["CHARGEBACK_EXCEEDS_SETTLED", "REVERSAL_EXCEEDS_CHARGEBACK"],
            id="what is too much of one dispute covers nothing of another",
        ),
        pytest.param(
            [_PAID, _SETTLED, *_dispute("a", 100), money("CHARGEBACK_REVERSED", 101)],
            ["REVERSAL_EXCEEDS_CHARGEBACK"],
            id="reversed beyond all disputes",
        ),
        pytest.param(
            [_PAID, _SETTLED, money("SETTLED", 5, currency="JPY")],
            ["CURRENCY_MISMATCH"],
            id="another currency",
        ),
        pytest.param(
            [a_live_event(transaction_status="DECLINED"), _SETTLED],
            ["MONEY_ON_DECLINED"],
            id="settlement of a declined payment",
        ),
        pytest.param(
            [a_live_event(transaction_status="DECLINED"), _SETTLED, _RAISED],
            ["MONEY_ON_DECLINED"],
            id="chargeback of a declined payment",
        ),
        pytest.param(
            [a_live_event(transaction_status="DECLINED"), money("SETTLED", 5, currency="JPY")],
            ["CURRENCY_MISMATCH", "MONEY_ON_DECLINED"],
            id="foreign money on declined",
        ),
        pytest.param(
            [_PAID, a_live_event("other", transaction_status="DECLINED")],
            ["STATUS_CONFLICT"],
            id="both answers live",
        ),
        pytest.param(
            [_PAID, a_batch_row(transaction_status="DECLINED")],
            ["STATUS_CONFLICT"],
            id="both answers across sources",
        ),
        pytest.param(
            [
                a_live_event(sequence=None),
                a_live_event("other", transaction_status="DECLINED", sequence=None),
            ],
            ["STATUS_CONFLICT"],
            id="both answers without a sequence",
        ),
        pytest.param(
            [
                a_live_event(transaction_status="DECLINED"),
                a_batch_row(transaction_status="AUTHORIZED", sequence=None),
            ],
            ["STATUS_CONFLICT"],
            id="another answer without a sequence",
        ),
        pytest.param(
            [
                a_live_event(transaction_status="DECLINED"),
                a_live_event("tried again", sequence=2),
                a_batch_row(sequence=None),
            ],
            [],
            id="the last answer, again without a sequence",
        ),
        pytest.param(
            [
                a_live_event(transaction_status="DECLINED"),
                a_live_event("tried again", sequence=2),
                a_batch_row(transaction_status="DECLINED", sequence=None),
            ],
            ["STATUS_CONFLICT"],
            id="the first answer, again without a sequence",
        ),
        pytest.param(
            [a_live_event("again"), _PAID, a_live_event("later", sequence=2)], [], id="same answer"
        ),
        pytest.param(
            [_PAID, a_live_event("other", transaction_status="PENDING", sequence=2)],
            ["STATUS_WENT_BACK"],
            id="pending after an answer",
        ),
        pytest.param(
            [_PAID, a_live_event("other", transaction_status="PENDING", sequence=1)],
            [],
            id="pending beside an answer",
        ),
        pytest.param(
            [_PAID, a_live_event("other", transaction_status="PENDING", sequence=None)],
            [],
            id="pending without a sequence",
        ),
        pytest.param(
            [a_live_event("first", transaction_status="PENDING", sequence=0), _PAID],
            [],
            id="answered",
        ),
        pytest.param(
            [_PAID, a_live_event("other", transaction_status="DECLINED", sequence=2)],
            [],
            id="declined later",
        ),
        pytest.param(
            [a_live_event(transaction_status="PENDING"), _SETTLED], [], id="settled while pending"
        ),
        pytest.param([_SETTLED, money("REFUNDED", 5)], [], id="money without payment waits"),
        pytest.param([_REVERSED, _RAISED], [], id="a dispute without its payment waits"),
    ],
)
def test_what_should_not_happen_is_flagged(
    contributions: list[Contribution], rules: list[str]
) -> None:
    assert row_of(*contributions)["exceptions"] == rules


def test_a_flag_goes_when_what_was_missing_comes() -> None:
    assert row_of(_PAID, _RAISED)["settlement_status"] == "CHARGEBACK"
    assert row_of(_PAID, _RAISED, _SETTLED)["exceptions"] == []


def test_money_in_another_currency_is_not_summed() -> None:
    row = row_of(_PAID, _SETTLED, money("SETTLED", 5, currency="JPY"))
    assert row["settled_amount"] == Decimal(1000)


def test_money_without_its_payment_waits() -> None:
    row = row_of(_SETTLED)
    assert (row["event_date"], row["region"]) == (WAITING_DAY, "UNKNOWN")
    assert (row["settled_amount"], row["settlement_status"]) == (Decimal(0), None)
    assert row["updated_at"] == NINE


def test_the_batch_log_overrules_live_but_a_null_replaces_nothing() -> None:
    row = row_of(_PAID, a_batch_row(amount=Decimal(900), merchant_id=None))
    assert (row["amount"], row["merchant_id"]) == (Decimal(900), "m-1")


def test_an_amount_is_never_mixed_with_the_currency_of_another_contribution() -> None:
    row = row_of(_PAID, a_batch_row(amount=None, currency="JPY"))
    assert (row["amount"], row["currency"]) == (Decimal(1000), "EUR")


def test_a_normalised_amount_stands_only_beside_the_amount_it_was_computed_from() -> None:
    assert row_of(_PAID, a_batch_row())["amount_base"] == Decimal(1000)
    of_another_amount = a_batch_row(amount=Decimal(7), currency=None)
    assert row_of(_PAID, of_another_amount)["fx_status"] is None


def test_a_greater_revision_replaces_and_a_withdrawal_takes_back() -> None:
    batch, corrected = a_batch_row(), a_batch_row(revision=1, amount=Decimal(900))
    withdrawn = a_batch_row(revision=2, withdrawn=True)
    assert row_of(batch, corrected)["amount"] == Decimal(900)
    assert row_of(batch, corrected, withdrawn)["amount"] is None
    assert row_of(batch, withdrawn, _PAID)["amount"] == Decimal(1000)


def test_an_answer_overrules_a_later_pending() -> None:
    pending = a_batch_row(transaction_status="PENDING", sequence=9)
    assert row_of(_PAID, pending)["transaction_status"] == "AUTHORIZED"


def test_the_earliest_decision_stands() -> None:
    late = a_live_event("a", decision=a_decision("a", decided_at=_LATER))
    assert row_of(late, _PAID)["decision"].event_id == "live"


def test_no_score_is_unscored_and_not_zero() -> None:
    row = row_of(_PAID)
    assert (row["fraud_score"], row["fraud_reason_code"]) == (None, "UNSCORED")
    assert row["score_source"] == "NONE"


def test_the_best_known_score_is_by_source_then_inference_time() -> None:
    api = a_score("api", "API_SCORE", event_time=_LATER)
    topic = a_score("topic", "TOPIC_SCORE", fraud_score=Decimal("0.7"))
    newer = a_score("newer", "TOPIC_SCORE", fraud_score=Decimal("0.8"), event_time=_LATER)
    row = row_of(_PAID, api, topic, newer)
    assert (row["fraud_score"], row["score_source"]) == (Decimal("0.8"), "TOPIC")


def test_the_day_is_that_of_the_winning_timestamp() -> None:
    next_day = a_batch_row(event_time=NINE + timedelta(days=1))
    assert row_of(_PAID, next_day)["event_date"] == date(2026, 3, 10)


def test_winners_name_the_contribution_of_each_group() -> None:
    row = row_of(_PAID, a_batch_row(transaction_status="PENDING"), a_score())
    assert {winner.field_group: winner.identity for winner in row["winners"]} == {
        "decision": "live",
        "normalised": "batch",
        "payment_facts": "batch",
        "policy": "batch",
        "score": "score",
        "transaction_status": "live",
    }


def test_winners_name_each_contribution_where_several_won_in_a_group() -> None:
    row = row_of(_PAID, a_batch_row(merchant_id=None, country=None))
    facts = {
        winner.field_group: winner.identity
        for winner in row["winners"]
        if winner.field_group.startswith("payment_facts")
    }
    assert facts == {
        "payment_facts.amount": "batch",
        "payment_facts.country": "live",  # with its region
        "payment_facts.merchant_id": "live",
        "payment_facts.timestamp": "batch",
        "payment_facts.user_id": "batch",
    }


def test_one_id_used_for_two_kinds_of_events_loses_neither() -> None:
    row = row_of(a_live_event("same"), money("SETTLED", 1000, "same"))
    assert (row["amount"], row["settlement_status"]) == (Decimal(1000), "SETTLED")
