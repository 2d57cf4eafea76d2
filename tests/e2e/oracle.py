"""What Gold and the Live Index must be, in plain Python, straight from the generated input.

It shares no code with the platform: no parsing, no fold, no decision function. From the platform
it takes only what cannot be computed: the recorded live decisions and the scores the API gave.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import yaml

from lakehouse.local.generator import GeneratedWorld
from lakehouse.local.generator.drop_mess import MALFORMED_ROWS
from lakehouse.local.generator.mess import REFUSED
from lakehouse.local.generator.sheets import Sheet
from tests.conftest import ROOT

DIGITS = {"EUR": 2, "USD": 2, "GBP": 2, "JPY": 0, "KWD": 3, "BRL": 2, "INR": 2, "AUD": 2, "ZAR": 2}
WAITING = date(1970, 1, 1)
MAX_RATE_AGE = timedelta(days=7)
SEVERITY = (
    "NONE",
    "MERCHANT_BLOCK",
    "CURRENCY_BLOCK",
    "AMOUNT_LIMIT",
    "VELOCITY_LIMIT",
    "GEO_BLOCK",
)
SCORE_RANK = {"OFFLINE": 3, "TOPIC": 2, "API": 1}


@dataclass(frozen=True)
class Event:
    """One announcement or log row of a payment."""

    batch: bool
    identity: str
    transaction_id: str
    user_id: str
    at: datetime
    amount: int
    currency: str
    country: str
    merchant_id: str | None
    payment_token: str | None
    status: str
    sequence: int | None


@dataclass(frozen=True)
class Score:
    """One model output, from wherever."""

    transaction_id: str
    source: str
    model_version: str
    at: datetime
    value: Decimal
    explanations: Mapping[str, float]


@dataclass(frozen=True)
class Money:
    """One money event."""

    event_id: str
    transaction_id: str
    kind: str
    amount: int
    currency: str
    at: datetime


@dataclass
class Known:
    """All that is known of one transaction."""

    events: list[Event] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    money: list[Money] = field(default_factory=list)


def expected_gold(
    world: GeneratedWorld,
    sheets: Sequence[Sheet],
    *,
    decisions: Mapping[str, Mapping[str, Any]],
    api_scores: Iterable[Score],
) -> dict[str, dict[str, Any]]:
    """Gold by transaction id; `decisions` by event id, as silver.live_transactions has them."""
    known: dict[str, Known] = defaultdict(Known)
    log = _log_rows(sheets)
    for event in (*_live_events(world), *log):
        known[event.transaction_id].events.append(event)
    for score in (*_topic_scores(world), *_offline_scores(sheets), *api_scores):
        known[score.transaction_id].scores.append(score)
    for money in _money_events(sheets):
        known[money.transaction_id].money.append(money)
    policies, rates = _Policies(sheets, log), _Rates(sheets)
    return {
        transaction_id: _row(transaction_id, facts, policies, rates, decisions)
        for transaction_id, facts in known.items()
    }


def expected_items(
    world: GeneratedWorld,
    *,
    decisions: Mapping[str, Mapping[str, Any]],
    api_scores: Iterable[Score],
) -> dict[str, dict[str, Any]]:
    """What the live group of an item says, by transaction id; `decisions` as above."""
    known: dict[str, Known] = defaultdict(Known)
    for event in _live_events(world):
        known[event.transaction_id].events.append(event)
    for score in (*_topic_scores(world), *api_scores):
        known[score.transaction_id].scores.append(score)
    return {
        transaction_id: _live_group(facts, decisions)
        for transaction_id, facts in known.items()
        if facts.events  # a score waits for its payment
    }


def _live_group(known: Known, decisions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    decision, score = _decision(known.events, decisions), _best_score(known)
    return {
        "timestamp": _fact(known.events, "at"),
        "transaction_status": _outcome(known.events).status,
        "amount": _fact(known.events, "amount"),
        "currency": _fact(known.events, "currency"),
        "merchant_id": _fact(known.events, "merchant_id"),
        "fraud_score": score.value if score else None,
        "score_source": score.source if score else "NONE",
        "fraud_reason_code": reason_of(score),
        "recommended_action": decision["recommended_action"],
        "policy_flag": decision["policy_flag"],
        "decided_at": decision["decided_at"],
        "event_as_of": max(event.at for event in known.events),
    }


def _row(
    transaction_id: str,
    known: Known,
    policies: _Policies,
    rates: _Rates,
    decisions: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    best = max(known.events, key=_strength, default=None)
    outcome = _outcome(known.events) if known.events else None
    logged = next((event for event in known.events if event.batch), None)
    live = [event for event in known.events if not event.batch]
    decision = _decision(live, decisions) if live else None
    score = _best_score(known)
    if logged:
        policy_flag: str | None = policies.flag_of(logged)
    else:
        winner = max(live, key=_strength, default=None)
        policy_flag = decisions[winner.identity]["policy_flag"] if winner else None
    times = [
        *(event.at for event in known.events),
        # the API's time is the wall clock of the call, no event's
        *(score.at for score in known.scores if score.source != "API"),
        *(money.at for money in known.money),
    ]
    return {
        "transaction_id": transaction_id,
        "user_id": best.user_id if best else None,
        "timestamp": best.at if best else None,
        "amount": Decimal(best.amount) if best else None,
        "currency": best.currency if best else None,
        "country": best.country if best else None,
        "region": region_of(best.country) if best else "UNKNOWN",
        "merchant_id": _fact(known.events, "merchant_id"),
        "payment_token": _fact(known.events, "payment_token"),
        "transaction_status": outcome.status if outcome else None,
        "sequence": outcome.sequence if outcome else None,
        **rates.normalised(logged),
        "fraud_score": score.value if score else None,
        "fraud_reason_code": reason_of(score),
        "score_source": score.source if score else "NONE",
        "model_version": score.model_version if score else None,
        "policy_flag": policy_flag,
        "decision": decision,
        **_money(known, best, outcome),
        "updated_at": max(times, default=None),
        "event_date": best.at.date() if best else WAITING,
        "contributions": len(known.events) + len(known.scores) + len(known.money),
    }


def _strength(event: Event) -> tuple[Any, ...]:
    is_numbered = event.sequence is not None
    return (event.batch, is_numbered, event.sequence or 0, event.at, event.identity)


def _fact(events: Iterable[Event], name: str) -> Any:
    """What the strongest event says that says anything."""
    said = [event for event in events if getattr(event, name) is not None]
    return getattr(max(said, key=_strength), name) if said else None


def _outcome(events: Iterable[Event]) -> Event:
    return max(events, key=lambda event: (event.status != "PENDING", *_strength(event)))


def _decision(
    events: Iterable[Event], decisions: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """What was decided first."""
    return min(
        (decisions[event.identity] for event in events),
        key=lambda decided: (decided["decided_at"], decided["event_id"]),
    )


def _best_score(known: Known) -> Score | None:
    return max(
        known.scores,
        key=lambda score: (SCORE_RANK[score.source], score.at, score.model_version),
        default=None,
    )


def _money(known: Known, best: Event | None, outcome: Event | None) -> dict[str, Any]:
    sums = dict.fromkeys(("SETTLED", "REFUNDED", "CHARGEBACK", "CHARGEBACK_REVERSED"), 0)
    counted = [m for m in known.money if best and m.currency == best.currency]
    for money in counted:
        sums[money.kind] += money.amount
    status = None
    if sums["CHARGEBACK"] > sums["CHARGEBACK_REVERSED"]:
        status = "CHARGEBACK"
    elif sums["SETTLED"] and sums["REFUNDED"] >= sums["SETTLED"]:
        status = "REFUNDED"
    elif sums["REFUNDED"]:
        status = "PARTIALLY_REFUNDED"
    elif sums["SETTLED"]:
        status = "SETTLED"
    return {
        "settled_amount": Decimal(sums["SETTLED"]),
        "refunded_amount": Decimal(sums["REFUNDED"]),
        "chargeback_amount": Decimal(sums["CHARGEBACK"]),
        "chargeback_reversed_amount": Decimal(sums["CHARGEBACK_REVERSED"]),
        "settlement_status": status,
        "last_money_at": max((money.at for money in counted), default=None),
        "exceptions": sorted(
            {*_illegal_money(known, best, outcome, sums), *_illegal_answers(known)}
        ),
    }


def _illegal_money(
    known: Known, best: Event | None, outcome: Event | None, sums: Mapping[str, int]
) -> Iterator[str]:
    if best and any(money.currency != best.currency for money in known.money):
        yield "CURRENCY_MISMATCH"
    if outcome and outcome.status == "DECLINED" and known.money:
        yield "MONEY_ON_DECLINED"
    if sums["REFUNDED"] > sums["SETTLED"]:
        yield "REFUND_EXCEEDS_SETTLED"
    if sums["CHARGEBACK"] - sums["CHARGEBACK_REVERSED"] > sums["SETTLED"]:
        yield "CHARGEBACK_EXCEEDS_SETTLED"
    if sums["CHARGEBACK_REVERSED"] > sums["CHARGEBACK"]:
        yield "REVERSAL_EXCEEDS_CHARGEBACK"


def _illegal_answers(known: Known) -> Iterator[str]:
    by_sequence = defaultdict(set)
    for event in known.events:
        by_sequence[event.sequence].add(event.status)
    numbered = sorted(s for s in by_sequence if s is not None)
    pending = [s for s in numbered if "PENDING" in by_sequence[s]]
    answered = [s for s in numbered if by_sequence[s] & {"AUTHORIZED", "DECLINED"}]
    # who gives no sequence may have answered last
    last = by_sequence[answered[-1]] if answered else set()
    at_once = [*by_sequence.values(), last | by_sequence.get(None, set())]
    if any({"AUTHORIZED", "DECLINED"} <= statuses for statuses in at_once):
        yield "STATUS_CONFLICT"
    if pending and answered and pending[-1] > answered[0]:
        yield "STATUS_WENT_BACK"


def _live_events(world: GeneratedWorld) -> list[Event]:
    events: dict[str, Event] = {}
    for record in world.transactions:
        if record.fault not in REFUSED:
            sent = json.loads(record.value)
            events.setdefault(sent["event_id"], _event(sent, sent["event_id"], batch=False))
    return list(events.values())


def _log_rows(sheets: Sequence[Sheet]) -> list[Event]:
    return [
        _event(row, f"log/{row['transaction_id']}", batch=True)
        for row in _sound_rows(sheets, "transactions")
    ]


def _event(sent: Mapping[str, Any], identity: str, *, batch: bool) -> Event:
    return Event(
        batch=batch,
        identity=identity,
        transaction_id=sent["transaction_id"],
        user_id=str(sent["user_id"]),
        at=instant(sent["timestamp"]),
        amount=int(Decimal(str(sent["amount"]))),
        currency=sent["currency"],
        country=sent["country"],
        merchant_id=sent["merchant_id"],
        payment_token=sent["payment_token"],
        status=sent["transaction_status"],
        sequence=sent.get("sequence"),
    )


def _topic_scores(world: GeneratedWorld) -> list[Score]:
    sent = [json.loads(r.value) for r in world.scores if r.fault not in REFUSED]
    return _distinct(_score(fields, "TOPIC") for fields in sent)


def _offline_scores(sheets: Sequence[Sheet]) -> list[Score]:
    return _distinct(_score(row, "OFFLINE") for row in _sound_rows(sheets, "fraud_scores"))


def _distinct(scores: Iterable[Score]) -> list[Score]:
    unique = {(s.transaction_id, s.model_version, s.at): s for s in scores}
    return list(unique.values())


def _score(sent: Mapping[str, Any], source: str) -> Score:
    explanations = sent["explanations"]
    return Score(
        sent["transaction_id"],
        source,
        sent["model_version"],
        instant(sent["inference_time"]),
        Decimal(str(sent["fraud_score"])),
        json.loads(explanations) if isinstance(explanations, str) else explanations,
    )


def _money_events(sheets: Sequence[Sheet]) -> list[Money]:
    unique = {row["event_id"]: row for row in _sound_rows(sheets, "money_events")}
    return [
        Money(
            row["event_id"], row["transaction_id"], row["event_type"], int(row["amount"]),
            row["currency"], instant(row["timestamp"]),
        )
        for row in unique.values()
    ]  # fmt: skip


def expected_money(sheets: Sequence[Sheet]) -> list[Money]:
    """Every money event that was delivered and can be read, once."""
    return _money_events(sheets)


def _sound_rows(sheets: Sequence[Sheet], kind: str) -> list[Mapping[str, Any]]:
    return [
        row
        for sheet in sheets
        if sheet.kind == kind
        for position, row in enumerate(sheet.rows)
        if dict(sheet.planted).get(position) not in MALFORMED_ROWS
    ]


def instant(sent: str | int) -> datetime:
    """An instant as the contract allows it."""
    if isinstance(sent, int):
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=sent)
    return datetime.fromisoformat(sent).astimezone(UTC)


_REGIONS = yaml.safe_load((ROOT / "conf" / "regions.yaml").read_text())


def region_of(country: str) -> str:
    """The region that conf/regions.yaml gives a country."""
    found = [name for name, members in _REGIONS["regions"].items() if country in members]
    return found[0] if found else str(_REGIONS["default"])


class _Policies:
    """Policies as of a time, and velocity over the whole log."""

    def __init__(self, sheets: Sequence[Sheet], log: Sequence[Event]) -> None:
        versions: dict[str, list[tuple[datetime, Mapping[str, Any]]]] = defaultdict(list)
        for row in _sound_rows(sheets, "policies"):
            data = json.loads(row["policy_data"])
            versions[row["policy_id"]].append((instant(row["effective_date"]), data))
        self._versions = [sorted(found, key=lambda v: v[0]) for found in versions.values()]
        self._of_user: dict[str, list[Event]] = defaultdict(list)
        for event in log:
            self._of_user[event.user_id].append(event)

    def flag_of(self, event: Event) -> str:
        """The most severe flag of the policies in force at the event's time."""
        flags = ["NONE"]
        for versions in self._versions:
            in_force = [data for since, data in versions if since <= event.at]
            if in_force and self._fires(in_force[-1], event):
                flags.append(_FLAGS[in_force[-1]["rule"]])
        return max(flags, key=SEVERITY.index)

    def _fires(self, rule: Mapping[str, Any], event: Event) -> bool:
        match rule["rule"]:
            case "geo_block":
                return (
                    event.country in rule["countries"]
                    or region_of(event.country) in rule["regions"]
                )
            case "amount_limit":
                is_too_much = event.amount > int(rule["max_amount"])
                return event.currency == rule["currency"] and is_too_much
            case "currency_block":
                return event.currency in rule["currencies"]
            case "merchant_block":
                return event.merchant_id in rule["merchants"]
            case "velocity_limit":
                window = timedelta(seconds=rule["window_seconds"])
                # the log has one row per transaction
                earlier = [
                    other
                    for other in self._of_user[event.user_id]
                    if other.status != "DECLINED"
                    and (other.at, other.transaction_id) < (event.at, event.transaction_id)
                    and other.at >= event.at - window
                ]
                if "max_count" in rule:
                    return len(earlier) + 1 > int(rule["max_count"])
                spent = sum(e.amount for e in (*earlier, event) if e.currency == rule["currency"])
                return event.currency == rule["currency"] and spent > int(rule["max_amount"])
        raise AssertionError(rule)


_FLAGS = {
    "geo_block": "GEO_BLOCK",
    "amount_limit": "AMOUNT_LIMIT",
    "currency_block": "CURRENCY_BLOCK",
    "merchant_block": "MERCHANT_BLOCK",
    "velocity_limit": "VELOCITY_LIMIT",
}


class _Rates:
    """ECB rates as of a day: units of a currency per euro."""

    def __init__(self, sheets: Sequence[Sheet]) -> None:
        self._rates: dict[str, list[tuple[date, Decimal]]] = defaultdict(list)
        for row in _sound_rows(sheets, "fx_rates"):
            day = date.fromisoformat(row["rate_date"])
            self._rates[row["currency"]].append((day, Decimal(row["rate"])))
        for found in self._rates.values():
            found.sort()

    def normalised(self, event: Event | None) -> dict[str, Any]:
        """The batch row's amount in euro cents."""
        nothing = dict.fromkeys(
            ("amount_base", "base_currency", "fx_rate", "fx_rate_date", "fx_status")
        )
        if event is None:
            return nothing
        day, rate = self._as_of(event.currency, event.at.date())
        if rate is None or day is None:
            return nothing | {"base_currency": "EUR", "fx_status": "MISSING"}
        if event.at.date() - day > MAX_RATE_AGE:
            amount, status = None, "STALE"
        else:
            major = Decimal(event.amount).scaleb(-DIGITS[event.currency])
            # 60 digits: the one rounding is the quantize
            cents = Context(prec=60).divide(major * 100, rate)
            amount, status = cents.quantize(Decimal(1), ROUND_HALF_EVEN), "OK"
        return {
            "amount_base": amount,
            "base_currency": "EUR",
            "fx_rate": rate,
            "fx_rate_date": day,
            "fx_status": status,
        }

    def _as_of(self, currency: str, day: date) -> tuple[date | None, Decimal | None]:
        if currency == "EUR":
            return day, Decimal(1)
        found = self._rates.get(currency, [])
        at = bisect_right(found, (day, Decimal("Infinity")))
        return found[at - 1] if at else (None, None)


_REASONS = yaml.safe_load((ROOT / "conf" / "decision.yaml").read_text())["reasons"]


def reason_of(score: Score | None) -> str:
    """The reason code of a score: its largest contribution, by conf/decision.yaml."""
    if score is None:
        return "UNSCORED"
    if score.value < Decimal(str(_REASONS["suspicious_from"])):
        return "NONE"
    named = [(name, score.explanations.get(name)) for name in _REASONS["by_explanation"]]
    largest, name = max(
        ((value, name) for name, value in named if value is not None),
        key=lambda pair: pair[0],
        default=(float("-inf"), ""),
    )
    if largest < _REASONS["least_contribution"]:
        return "HIGH_SCORE"
    return str(_REASONS["by_explanation"][name])
