"""The topic payments.transactions: what the gateway announces, as bytes, in produced order."""

from __future__ import annotations

from datetime import timedelta, timezone
from random import Random
from typing import Any, NamedTuple

from lakehouse.local.generator.log import Bookings
from lakehouse.local.generator.mess import (
    CARD_NUMBER,
    CONFLICTING_EVENT,
    DUPLICATE_EVENT,
    EXTRA_FIELDS,
    LATE_EVENT,
    MALFORMED,
    OUT_OF_ORDER_EVENT,
    plan_feed_mess,
    spoiled_event,
    to_json,
)
from lakehouse.local.generator.payments import Payment
from lakehouse.local.generator.settings import EPOCH, GeneratorSettings, stream, uuid_from

TRANSACTIONS_TOPIC = "payments.transactions"

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
OFFSETS = tuple(timezone(timedelta(minutes=minutes)) for minutes in (0, 60, -300, 330, 540, -210))
GATEWAYS = (b"gateway-eu-1", b"gateway-eu-2", b"gateway-us-1")
STRIKES_EVENT = frozenset((*MALFORMED, CARD_NUMBER))


class FeedRecord(NamedTuple):
    """One Kafka record; `timestamp_ms` is when it was produced, epoch milliseconds UTC.

    `fault` names the planted mess, None for an ordinary record.
    """

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int
    fault: str | None


def transaction_feed(
    settings: GeneratorSettings, payments: tuple[Payment, ...], bookings: Bookings
) -> list[FeedRecord]:
    """Announce every payment that is not in the log only; one or two events each, plus the mess."""
    mess = plan_feed_mess(settings, len(payments), bookings.log_only)
    ids = stream(settings.seed, "feed/event-ids")
    delays = stream(settings.seed, "feed/delays")
    style = stream(settings.seed, "feed/style")
    outcome = stream(settings.seed, "feed/outcome-delay")
    extras = stream(settings.seed, "feed/extra-fields")
    copying = stream(settings.seed, "feed/copies")
    turns: dict[str, int] = {}
    records: list[FeedRecord] = []

    for position, payment in enumerate(payments):
        steps = _steps(payment, outcome)
        if position in bookings.log_only:
            continue
        fault = mess.faults.get(position)
        key = payment.transaction_id.encode()
        for step, (timestamp_ms, status, sequence) in enumerate(steps):
            event = _event(payment, uuid_from(ids), timestamp_ms, status, sequence, style)
            if extras.random() < settings.extra_field_share:
                event |= EXTRA_FIELDS[int(extras.random() * len(EXTRA_FIELDS))]
            is_last = step == len(steps) - 1
            delay, struck = _delay(delays, fault, is_first=step == 0, is_last=is_last)
            if fault in STRIKES_EVENT and is_last:
                struck = fault
                value = spoiled_event(struck, event, turns.get(struck, 0))
                turns[struck] = turns.get(struck, 0) + 1
            else:
                value = to_json(event)
            headers = (
                ("producer", GATEWAYS[int(delays.random() * len(GATEWAYS))]),
                ("schema", b"1"),
            )
            produced_ms = timestamp_ms + delay
            record = FeedRecord(TRANSACTIONS_TOPIC, key, value, headers, produced_ms, struck)
            records.append(record)
            if is_last and position in mess.copies:
                records.append(_copy(record, event, mess.copies[position], copying))

    # stable: a copy produced in the same millisecond still follows its original
    records.sort(key=lambda record: record.timestamp_ms)
    return records


def _steps(payment: Payment, rng: Random) -> list[tuple[int, str, int | None]]:
    """Timestamp, status and sequence of each event, in the order they happened."""
    numbered = rng.random() < 0.8
    if not payment.was_pending:
        return [(payment.timestamp_ms, payment.status, 1 if numbered else None)]
    settled_ms = payment.timestamp_ms + rng.randrange(2_000, 90_000)
    return [(payment.timestamp_ms, "PENDING", 1), (settled_ms, payment.status, 2)]


def _event(
    payment: Payment,
    event_id: str,
    timestamp_ms: int,
    status: str,
    sequence: int | None,
    rng: Random,
) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event_id": event_id,
        "transaction_id": payment.transaction_id,
        "user_id": user_value(payment.user_id, rng),
        "timestamp": time_value(timestamp_ms, rng),
        "amount": amount_value(payment.amount, rng),
        "currency": payment.currency,
        "country": payment.country,
        "merchant_id": payment.merchant_id,
        "payment_token": payment.payment_token,
        "transaction_status": status,
    }
    if sequence is not None:
        event["sequence"] = sequence
    return event


def user_value(user_id: str, rng: Random) -> str | int:
    """Write a numbered user as an integer half of the time, as the contract allows."""
    as_number = rng.random() < 0.5
    return int(user_id) if as_number and user_id.isdigit() else user_id


def time_value(timestamp_ms: int, rng: Random) -> str | int:
    """Write an instant as epoch milliseconds, or as ISO-8601 with one of several offsets."""
    choice = rng.random()
    if choice < 0.3:
        return timestamp_ms
    offset = OFFSETS[int((choice - 0.3) / 0.7 * len(OFFSETS))]
    moment = (EPOCH + timedelta(milliseconds=timestamp_ms)).astimezone(offset)
    text = moment.isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z") if timestamp_ms % 2 else text


def amount_value(amount: int, rng: Random) -> str | int:
    """Write whole smallest units as an integer, as text, or as text with two zero decimals."""
    choice = rng.random()
    if choice < 0.6:
        return amount
    return str(amount) if choice < 0.85 else f"{amount}.00"


def _delay(
    rng: Random, fault: str | None, *, is_first: bool, is_last: bool
) -> tuple[int, str | None]:
    """Milliseconds from the event to its production, and the fault that explains them."""
    usual = rng.randrange(100, 3_000)
    if fault == LATE_EVENT and is_last:
        return usual + rng.randrange(2 * HOUR_MS, 40 * HOUR_MS), LATE_EVENT
    if fault == OUT_OF_ORDER_EVENT and is_first:
        return usual + rng.randrange(2 * MINUTE_MS, 20 * MINUTE_MS), OUT_OF_ORDER_EVENT
    return usual, None


def _copy(record: FeedRecord, event: dict[str, Any], kind: str, rng: Random) -> FeedRecord:
    """Deliver an event again, later: the same bytes, or another amount under the same id."""
    later_ms = record.timestamp_ms + rng.randrange(500, 6 * HOUR_MS)
    if kind == DUPLICATE_EVENT:
        return record._replace(timestamp_ms=later_ms, fault=DUPLICATE_EVENT)
    amount = int(str(event["amount"]).partition(".")[0])
    changed = event | {"amount": amount + rng.randrange(1, 500)}
    return record._replace(value=to_json(changed), timestamp_ms=later_ms, fault=CONFLICTING_EVENT)
