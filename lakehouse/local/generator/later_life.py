"""What becomes of a payment: settlement, refunds, chargebacks and their reversals."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import NamedTuple

from lakehouse.local.generator.log import Bookings
from lakehouse.local.generator.mess import pick
from lakehouse.local.generator.payments import Payment
from lakehouse.local.generator.settings import (
    DAY_MS,
    GeneratorSettings,
    case_count,
    day_of,
    stream,
    uuid_from,
)

# in another currency than the payment
FOREIGN_MONEY = "foreign_money_event"
# of a transaction that nobody else mentions
ORPHAN_MONEY = "orphan_money_event"
# the same row again in a later file
DUPLICATE_MONEY = "duplicate_money_event"
# delivered days later than the others of its day
LATE_MONEY = "late_money_event"

FULL_ACQUIRER = "acquirer-a"
PLAIN_ACQUIRER = "acquirer-b"


class MoneyEvent(NamedTuple):
    """One movement of money: smallest units of `currency`, epoch milliseconds UTC.

    `sender` is the acquirer whose file carries it on `delivered`; the plain acquirer's files have
    neither `transaction_date` nor `dispute_id`. `fault` names planted mess.
    """

    event_id: str
    transaction_id: str
    event_type: str
    amount: int
    currency: str
    timestamp_ms: int
    transaction_date: date | None
    dispute_id: str | None
    sender: str
    delivered: date
    fault: str | None


def make_money_events(
    settings: GeneratorSettings, payments: tuple[Payment, ...], bookings: Bookings
) -> list[MoneyEvent]:
    """Follow every authorised payment: settled at T+1..T+3, disputed up to five weeks later.

    In order of delivery day, then sender, then time.
    """
    life = stream(settings.seed, "money/life")
    ids = stream(settings.seed, "money/event-ids")
    senders = stream(settings.seed, "money/senders")
    events: list[MoneyEvent] = []
    for payment, booked in zip(payments, bookings.amounts, strict=True):
        sender = FULL_ACQUIRER if senders.random() < 0.75 else PLAIN_ACQUIRER
        if payment.status == "AUTHORIZED":
            for step in _steps(payment, booked, life):
                events.append(_event(payment, step, sender, ids, senders))
    _plant_mess(settings, events)
    return sorted(
        events, key=lambda event: (event.delivered, event.sender, event.timestamp_ms, event[0])
    )


class _Step(NamedTuple):
    """One movement of a payment's life, before it has an identity."""

    event_type: str
    amount: int
    timestamp_ms: int
    dispute: bool


def _steps(payment: Payment, booked: int, rng: Random) -> list[_Step]:
    if rng.random() < 0.02:
        return []
    at_ms = _some_days_later(payment.timestamp_ms, 1, 3, rng)
    steps = [_Step("SETTLED", booked, at_ms, dispute=False)]
    if rng.random() < (0.8 if payment.is_fraud else 0.004):
        at_ms = _some_days_later(at_ms, 5, 28, rng)
        steps.append(_Step("CHARGEBACK", booked, at_ms, dispute=True))
        if rng.random() < 0.25:
            at_ms = _some_days_later(at_ms, 2, 4, rng)
            steps.append(_Step("CHARGEBACK_REVERSED", booked, at_ms, dispute=True))
    elif rng.random() < 0.06:
        steps += _refunds(booked, at_ms, rng)
    return steps


def _refunds(booked: int, settled_ms: int, rng: Random) -> list[_Step]:
    """Half of the refunds are whole; the others come in one to three parts, some to the end."""
    at_ms = _some_days_later(settled_ms, 1, 9, rng)
    if rng.random() < 0.5 or booked < 10:
        return [_Step("REFUNDED", booked, at_ms, dispute=False)]
    parts = rng.randint(1, 3)
    left, steps = booked, []
    for part in range(parts):
        pays_rest = part == parts - 1 and rng.random() < 0.4
        amount = left if pays_rest else max(1, int(left * rng.uniform(0.1, 0.4)))
        steps.append(_Step("REFUNDED", amount, at_ms, dispute=False))
        left -= amount
        at_ms = _some_days_later(at_ms, 1, 3, rng)
    return steps


def _event(payment: Payment, step: _Step, sender: str, ids: Random, rng: Random) -> MoneyEvent:
    tells_date = sender == FULL_ACQUIRER and rng.random() < 0.9
    is_late = rng.random() < 0.02
    days = 1 + (rng.randint(1, 3) if is_late else 0)
    return MoneyEvent(
        uuid_from(ids),
        payment.transaction_id,
        step.event_type,
        step.amount,
        payment.currency,
        step.timestamp_ms,
        day_of(payment.timestamp_ms) if tells_date else None,
        # one dispute per payment: a reversal names the chargeback's
        f"dsp-{payment.transaction_id[:8]}" if step.dispute and sender == FULL_ACQUIRER else None,
        sender,
        day_of(step.timestamp_ms) + timedelta(days=days),
        LATE_MONEY if is_late else None,
    )


def _plant_mess(settings: GeneratorSettings, events: list[MoneyEvent]) -> None:
    """Spoil some events in place, and append orphans and duplicates."""
    taken = {position for position, event in enumerate(events) if event.fault}
    count = len(events)
    foreign = stream(settings.seed, "mess/foreign-money")
    for position in pick(foreign, count, case_count(settings.foreign_money_share, count), taken):
        event = events[position]
        other = "EUR" if event.currency != "EUR" else "USD"
        events[position] = event._replace(currency=other, fault=FOREIGN_MONEY)

    orphan = stream(settings.seed, "mess/orphan-money")
    wanted = case_count(settings.orphan_money_share, count)
    for position in pick(orphan, count, wanted, set(taken)):
        events.append(
            events[position]._replace(
                event_id=uuid_from(orphan),
                transaction_id=uuid_from(orphan),
                event_type="SETTLED",
                dispute_id=None,
                fault=ORPHAN_MONEY,
            )
        )

    again = stream(settings.seed, "mess/duplicate-money")
    wanted = case_count(settings.duplicate_money_share, count)
    for position in pick(again, count, wanted, taken):
        later = events[position].delivered + timedelta(days=1)
        events.append(events[position]._replace(delivered=later, fault=DUPLICATE_MONEY))


def _some_days_later(timestamp_ms: int, least: int, most: int, rng: Random) -> int:
    """An instant during business hours, so many days after the day of another."""
    day = timestamp_ms // DAY_MS + rng.randint(least, most)
    return day * DAY_MS + rng.randrange(DAY_MS // 4, DAY_MS * 3 // 4)
