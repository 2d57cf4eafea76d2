"""The mess of real feeds: which events it strikes, and what it makes of them.

Each kind is named once, below; `FeedRecord.fault` and the truth use these names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from random import Random
from typing import Any, NamedTuple

from lakehouse.local.generator.settings import GeneratorSettings, case_count, stream

# delivered again, byte for byte
DUPLICATE_EVENT = "duplicate_event"
# delivered again under the same event_id, with another amount
CONFLICTING_EVENT = "conflicting_event"
# produced hours after it happened
LATE_EVENT = "late_event"
# produced minutes after it happened: others, or its own successor, overtake it
OUT_OF_ORDER_EVENT = "out_of_order_event"
# a valid event with a card number in a field that nobody declared
CARD_NUMBER = "card_number"

BROKEN_JSON = "broken_json"
MISSING_TRANSACTION_ID = "missing_transaction_id"
MISSING_EVENT_ID = "missing_event_id"
BAD_TIMESTAMP = "bad_timestamp"
NEGATIVE_AMOUNT = "negative_amount"
FRACTIONAL_AMOUNT = "fractional_amount"
UNKNOWN_CURRENCY = "unknown_currency"
UNKNOWN_STATUS = "unknown_status"
WRONG_TYPE = "wrong_type"

MALFORMED = (
    BROKEN_JSON,
    MISSING_TRANSACTION_ID,
    MISSING_EVENT_ID,
    BAD_TIMESTAMP,
    NEGATIVE_AMOUNT,
    FRACTIONAL_AMOUNT,
    UNKNOWN_CURRENCY,
    UNKNOWN_STATUS,
    WRONG_TYPE,
)

DUPLICATE_SCORE = "duplicate_score"
LATE_SCORE = "late_score"
# produced before the event it scores
EARLY_SCORE = "early_score"
# a second model's opinion of the same transaction
SECOND_MODEL_SCORE = "second_model_score"
# valid, but no event and no log row carries its transaction id
ORPHAN_SCORE = "orphan_score"

SCORE_BROKEN_JSON = "score_broken_json"
SCORE_OUT_OF_RANGE = "score_out_of_range"
SCORE_MISSING_TRANSACTION_ID = "score_missing_transaction_id"
SCORE_BAD_TIME = "score_bad_time"

MALFORMED_SCORES = (
    SCORE_BROKEN_JSON,
    SCORE_OUT_OF_RANGE,
    SCORE_MISSING_TRANSACTION_ID,
    SCORE_BAD_TIME,
)

# faults with which a record must end in quarantine; all others keep it acceptable or a duplicate
REFUSED = frozenset((*MALFORMED, *MALFORMED_SCORES, CONFLICTING_EVENT))
DUPLICATES = frozenset((DUPLICATE_EVENT, DUPLICATE_SCORE))

UNKNOWN_CURRENCY_CODE = "XXQ"

# published test numbers: they pass the Luhn check and belong to nobody
CARD_TEXTS = (
    "card 4111 1111 1111 1111 read by phone",
    "5555-5555-5555-4444",
    "pan=4242424242424242;exp=12/29",
    "3782 822463 10005",
)

BAD_TIMESTAMPS = ("not-a-time", "2026-02-30T10:00:00Z", "2026-03-04T10:00:00", "")
WRONG_TYPES: tuple[tuple[str, Any], ...] = (
    ("amount", {"value": 1200}),
    ("currency", 978),
    ("user_id", ["u-000001"]),
    ("amount", True),
)
EXTRA_FIELDS: tuple[dict[str, Any], ...] = (
    {"channel": "pos"},
    {"device": {"os": "android", "app": "7.3.1"}},
    {"memo": "Bäckerei Müller, danke \u2615"},
    {"loyalty": None, "basket": [3, 1]},
)


class FeedMess(NamedTuple):
    """What strikes which payment, by its position in time order.

    `faults` strikes the payment's last event (an out-of-order one: its first); `copies` follow
    that event.
    """

    faults: dict[int, str]
    copies: dict[int, str]


def plan_feed_mess(settings: GeneratorSettings, payments: int, absent: frozenset[int]) -> FeedMess:
    """Choose the victims among `payments`, each struck at most once; `absent` have no events."""
    faults: dict[int, str] = {}
    copies: dict[int, str] = {}
    taken = set(absent)
    total = case_count(settings.malformed_share, payments)
    shares = [
        (kind, max(1, (total + position) // len(MALFORMED)) if total else 0)
        for position, kind in enumerate(MALFORMED)
    ]
    shares += [
        (CARD_NUMBER, case_count(settings.card_number_share, payments)),
        (LATE_EVENT, case_count(settings.late_share, payments)),
        (OUT_OF_ORDER_EVENT, case_count(settings.out_of_order_share, payments)),
    ]
    for kind, count in shares:
        rng = stream(settings.seed, f"mess/{kind}")
        faults.update(dict.fromkeys(pick(rng, payments, count, taken), kind))
    for kind, share in (
        (DUPLICATE_EVENT, settings.duplicate_share),
        (CONFLICTING_EVENT, settings.conflict_share),
    ):
        rng = stream(settings.seed, f"mess/{kind}")
        victims = pick(rng, payments, case_count(share, payments), taken)
        copies.update(dict.fromkeys(victims, kind))
    return FeedMess(faults, copies)


def pick(rng: Random, population: int, count: int, taken: set[int]) -> list[int]:
    """Draw up to `count` positions that are not yet taken, and take them."""
    picked: list[int] = []
    while len(picked) < count and len(taken) < population:
        position = rng.randrange(population)
        if position not in taken:
            taken.add(position)
            picked.append(position)
    return picked


def spoiled_event(kind: str, event: dict[str, Any], turn: int) -> bytes:
    """Write an event with one fault; `turn` walks through the variants of the fault."""
    if kind == BROKEN_JSON:
        text = to_json(event)
        return (text[: len(text) * 2 // 3], text[:-1], text[1:])[turn % 3]
    spoiled = dict(event)
    if kind == MISSING_TRANSACTION_ID:
        del spoiled["transaction_id"]
    elif kind == MISSING_EVENT_ID:
        spoiled["event_id"] = None
    elif kind == BAD_TIMESTAMP:
        spoiled["timestamp"] = BAD_TIMESTAMPS[turn % len(BAD_TIMESTAMPS)]
    elif kind == NEGATIVE_AMOUNT:
        whole = int(str(event["amount"]).partition(".")[0])
        spoiled["amount"] = (-whole, f"-{whole}.00")[turn % 2]
    elif kind == FRACTIONAL_AMOUNT:
        spoiled["amount"] = str(event["amount"]).partition(".")[0] + ".50"
    elif kind == UNKNOWN_CURRENCY:
        spoiled["currency"] = UNKNOWN_CURRENCY_CODE
    elif kind == UNKNOWN_STATUS:
        spoiled["transaction_status"] = ("SHIPPED", "authorised")[turn % 2]
    elif kind == WRONG_TYPE:
        name, value = WRONG_TYPES[turn % len(WRONG_TYPES)]
        spoiled[name] = value
    elif kind == CARD_NUMBER:
        spoiled["note"] = CARD_TEXTS[turn % len(CARD_TEXTS)]
    return to_json(spoiled)


def spoiled_score(kind: str, score: dict[str, Any], turn: int) -> bytes:
    """Write a model output with one fault; `turn` walks through the variants of the fault."""
    if kind == SCORE_BROKEN_JSON:
        text = to_json(score)
        return text[: len(text) // 2]
    spoiled = dict(score)
    if kind == SCORE_OUT_OF_RANGE:
        spoiled["fraud_score"] = (1.7, -0.2)[turn % 2]
    elif kind == SCORE_MISSING_TRANSACTION_ID:
        del spoiled["transaction_id"]
    elif kind == SCORE_BAD_TIME:
        spoiled["inference_time"] = "yesterday"
    return to_json(spoiled)


def to_json(fields: dict[str, Any]) -> bytes:
    """Write one compact JSON object, UTF-8, keys in their given order."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def count_kinds(faults: Iterable[str | None]) -> dict[str, int]:
    """Count planted cases by kind, sorted by name."""
    counts: dict[str, int] = {}
    for fault in faults:
        if fault is not None:
            counts[fault] = counts.get(fault, 0) + 1
    return dict(sorted(counts.items()))
