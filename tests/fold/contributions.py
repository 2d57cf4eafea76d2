"""Contributions for tests: named ones that show only what matters, and a pool of random ones."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from lakehouse.fold.precedence import Precedence, load_precedence
from lakehouse.fold.transitions import Transitions, load_transitions
from lakehouse.records.gold import Contribution, Decision

_CONF = Path(__file__).parents[2] / "conf"
PRECEDENCE_FILE = _CONF / "precedence.yaml"
TRANSITIONS_FILE = _CONF / "transitions.yaml"
NINE = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)


def the_precedence() -> Precedence:
    return load_precedence(PRECEDENCE_FILE)


def the_transitions() -> Transitions:
    return load_transitions(TRANSITIONS_FILE)


def a_contribution(source: str, identity: str, **known: Any) -> Contribution:
    fields: dict[str, Any] = dict.fromkeys(Contribution.model_fields)
    fields |= {"revision": 0, "withdrawn": False, "version": 1, "event_time": NINE}
    fields |= {"coordinates": f"test:{identity}", "source": source, "identity": identity}
    return Contribution(**fields | known)


def a_live_event(identity: str = "live", **known: Any) -> Contribution:
    facts = {
        "payment_date": NINE.date(),
        "amount": Decimal(1000),
        "currency": "EUR",
        "country": "DE",
        "region": "EU",
        "merchant_id": "m-1",
        "user_id": "u-1",
        "transaction_status": "AUTHORIZED",
        "sequence": 1,
        "policy_flag": "NONE",
        "decision": a_decision(identity),
    }
    return a_contribution("LIVE_EVENT", identity, **facts | known)


def a_batch_row(identity: str = "batch", **known: Any) -> Contribution:
    normalised = {
        "amount_base": Decimal(1000),
        "base_currency": "EUR",
        "fx_rate": Decimal(1),
        "fx_rate_date": NINE.date(),
        "fx_status": "OK",
        "decision": None,
    }
    live = a_live_event(identity, **normalised | known)
    return live.model_copy(update={"source": "BATCH_LOG"})


def a_score(identity: str = "score", source: str = "API_SCORE", **known: Any) -> Contribution:
    scored = {"fraud_score": Decimal("0.5"), "fraud_reason_code": "NONE", "model_version": "v1"}
    return a_contribution(source, identity, **scored | known)


def money(event_type: str, amount: int, identity: str = "", **known: Any) -> Contribution:
    happened = {"event_type": event_type, "amount": Decimal(amount), "currency": "EUR"}
    identity = identity or f"{event_type}-{amount}"
    return a_contribution("MONEY_EVENT", identity, **happened | known)


def a_decision(event_id: str, **known: Any) -> Decision:
    fields: dict[str, Any] = {
        "event_id": event_id,
        "decided_at": NINE,
        "fraud_score": None,
        "fraud_reason_code": "UNSCORED",
        "score_source": "NONE",
        "score_id": None,
        "model_version": None,
        "policy_flag": "NONE",
        "policy_flags": [],
        "recommended_action": "REVIEW",
    }
    return Decision(**fields | known)


_INSTANTS = [datetime(2026, 3, day, hour, tzinfo=UTC) for day in (8, 9) for hour in (0, 12, 23)]
_SCORES = ["API_SCORE", "TOPIC_SCORE", "OFFLINE_SCORE"]
_PAYMENTS = ["BATCH_LOG", "LIVE_EVENT"]
_ALL: dict[str, list[Any]] = {
    "identity": [f"id-{n}" for n in range(5)],
    "revision": [0, 0, 1, 2],
    "withdrawn": [False, False, False, True],
    "version": [1, 2],
    "coordinates": ["a", "b"],
    "event_time": _INSTANTS,
}
_FACTS: dict[str, list[Any]] = _ALL | {
    "source": _PAYMENTS,
    "payment_date": [None, date(2026, 3, 9)],
    "amount": [None, Decimal(0), Decimal(999), Decimal(1000)],
    "currency": [None, "EUR", "EUR", "JPY"],
    "country": [None, "DE", "FR"],
    "region": [None, "EU", "OTHER"],
    "merchant_id": [None, "m-1", "m-2"],
    "payment_token": [None, "t-1"],
    "user_id": [None, "u-1", "u-2"],
    "transaction_status": [None, "PENDING", "AUTHORIZED", "DECLINED"],
    "sequence": [None, 1, 2, 3],
    "policy_flag": [None, "NONE", "GEO_BLOCK"],
}
_NORMALISED: dict[str, list[Any]] = {
    "amount_base": [None, Decimal(900), Decimal(1100)],
    "base_currency": ["EUR"],
    "fx_rate": [None, Decimal("1.5")],
    "fx_rate_date": [None, date(2026, 3, 6)],
    "fx_status": [None, "OK", "MISSING"],
}
_SCORED: dict[str, list[Any]] = _ALL | {
    "source": _SCORES,
    "fraud_score": [Decimal("0.25"), Decimal("0.9")],
    "fraud_reason_code": ["NONE", "HIGH_SCORE"],
    "model_version": ["v1", "v2"],
}
_MONEY: dict[str, list[Any]] = _ALL | {
    "source": ["MONEY_EVENT"],
    "event_type": ["SETTLED", "REFUNDED", "CHARGEBACK", "CHARGEBACK_REVERSED"],
    "amount": [Decimal(0), Decimal(500), Decimal(1000)],
    "currency": ["EUR", "EUR", "JPY"],
    "payment_date": [None, date(2026, 3, 8)],
    "dispute_id": [None, "d-1", "d-2"],
}


def a_random_contribution(random: Random) -> Contribution:
    """One of few identities and values, so that rivals and ties are frequent."""
    domain = random.choice([_FACTS, _FACTS, _FACTS | _NORMALISED, _SCORED, _MONEY, _MONEY])
    fields = {name: random.choice(values) for name, values in domain.items()}
    if fields["source"] == "LIVE_EVENT":
        flags = random.choice([[], ["GEO_BLOCK"], ["GEO_BLOCK", "AMOUNT_LIMIT"]])
        fields["decision"] = a_decision(
            fields["identity"], decided_at=random.choice(_INSTANTS), policy_flags=flags
        )
    return a_contribution(**fields)
