"""The daily transaction log: how the acquirer booked each payment, and where it disagrees."""

from __future__ import annotations

from typing import NamedTuple

from lakehouse.local.generator.mess import pick
from lakehouse.local.generator.payments import Payment
from lakehouse.local.generator.settings import DAY_MS, GeneratorSettings, case_count, stream

# in the topic, but in no log
LOG_MISSING = "log_missing"
# in a log, but not in the topic
LOG_ONLY = "log_only"
# booked with another amount than the topic announced
LOG_AMOUNT = "log_amount_differs"
# booked on the other side of midnight than the topic announced
LOG_MIDNIGHT = "log_day_differs"


class Bookings(NamedTuple):
    """What the log says, by position of the payment: epoch milliseconds UTC, smallest units.

    A position in `missing` has no log row; one in `log_only` has no event. `planted` names the
    disagreement, by position.
    """

    timestamps_ms: list[int]
    amounts: list[int]
    missing: frozenset[int]
    log_only: frozenset[int]
    planted: dict[int, str]


def make_bookings(settings: GeneratorSettings, payments: tuple[Payment, ...]) -> Bookings:
    """Book every payment; each is struck by at most one disagreement."""
    count = len(payments)
    taken: set[int] = set()
    timestamps = [payment.timestamp_ms for payment in payments]
    amounts = [payment.amount for payment in payments]
    planted: dict[int, str] = {}

    for position in _nearest_to_midnight(settings, payments):
        taken.add(position)
        planted[position] = LOG_MIDNIGHT
        timestamps[position] = _across_midnight(timestamps[position])

    differs = stream(settings.seed, "log/amount")
    for position in pick(differs, count, case_count(settings.log_disagreement_share, count), taken):
        planted[position] = LOG_AMOUNT
        # a tip, or a part that was not delivered
        booked = amounts[position] * differs.choice((90, 110, 115)) // 100
        amounts[position] = booked if 0 < booked != amounts[position] else amounts[position] + 1

    missing = pick(
        stream(settings.seed, "log/missing"),
        count,
        case_count(settings.log_missing_share, count),
        taken,
    )
    log_only = pick(
        stream(settings.seed, "log/only"),
        count,
        case_count(settings.log_only_share, count),
        taken,
    )
    planted.update(dict.fromkeys(missing, LOG_MISSING))
    planted.update(dict.fromkeys(log_only, LOG_ONLY))
    return Bookings(timestamps, amounts, frozenset(missing), frozenset(log_only), planted)


def _nearest_to_midnight(settings: GeneratorSettings, payments: tuple[Payment, ...]) -> list[int]:
    """Positions of the payments nearest to a midnight inside the period."""
    wanted = case_count(settings.midnight_share, len(payments))
    inner = range(1, settings.days)
    distances = [
        (min(abs(payment.timestamp_ms - settings.start_ms - day * DAY_MS) for day in inner), i)
        for i, payment in enumerate(payments)
        if wanted and inner
    ]
    return [position for _, position in sorted(distances)[:wanted]]


def _across_midnight(timestamp_ms: int) -> int:
    """Mirror an instant at its nearest midnight."""
    into_day = timestamp_ms % DAY_MS
    midnight = timestamp_ms - into_day + (DAY_MS if into_day > DAY_MS // 2 else 0)
    mirrored = 2 * midnight - timestamp_ms
    return mirrored if mirrored != midnight else midnight - 1
