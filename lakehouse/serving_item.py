"""What an item of the serving store is on disk: short names, bounded texts, under 1 KB. Pure.

An item is `{transaction_id, live, live_version, gold, gold_version, expires_at}` and the key of the
index by user, `{user_id, event_time}`. DynamoDB bills a write per 1,024 bytes begun of the *whole*
item, names included, whichever group is written: below that, each write costs one unit. So the
attributes of a group have names of two letters, an instant is the number of microseconds since
1970 UTC, a day the number of days since then, and a text that somebody else chooses has a greatest
length. `lakehouse.serving` reads all of it back by the names of the contract; docs/decisions/0013
has the sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal

Item = dict[str, Any]
Group = Literal["live", "gold"]

KEY = "transaction_id"
EXPIRY = "expires_at"
OUTLIVED = "is_outlived"
"""Column of pushed items: whether the other group likely keeps the item as long, or longer."""
READ_FROM, READ_TO = "read_from", "read_to"
"""Columns of pushed items: between these days, both included, all there is went into an item."""
AS_OF, FIRST_DAY = "as_of", "first_day"
"""Attributes between which all lies that is behind a group: its newest instant, its first day."""
USER = "user_id"
EVENT_TIME = "event_time"
INDEX_KEY = {USER: "user_id", EVENT_TIME: "timestamp"}
"""The key of the index by user, and the attribute of a group that each part of it repeats."""

BYTES = 1_024
"""No item reaches this size."""
GROUP_BYTES: Mapping[Group, int] = {"live": 400, "gold": 420}
"""What a group weighs at most, without its own name; the rest of `BYTES` is for keys, versions."""

STORED_NAMES = {
    "amount": "am",
    "amount_base": "ab",
    "as_of": "ao",
    "base_currency": "bc",
    "chargeback_amount": "ca",
    "cooled": "cd",
    "country": "co",
    "currency": "cu",
    "decided_at": "da",
    "event_as_of": "ea",
    "final_from": "ff",
    "finality": "fi",
    "first_day": "fd",
    "fraud_reason_code": "fr",
    "fraud_score": "fs",
    "merchant_id": "mi",
    "model_version": "mv",
    "policy_flag": "pf",
    "policy_flags": "ps",
    "recommended_action": "ra",
    "refunded_amount": "rf",
    "region": "re",
    "score_source": "so",
    "settled_amount": "sa",
    "settlement_status": "ss",
    "timestamp": "at",
    "transaction_status": "ts",
    "user_id": "ui",
    "withdrawn": "wd",
}
"""The attributes of both groups: their names in the contract, and in the store."""
MOST_BYTES = {"user_id": 40, "merchant_id": 40, "model_version": 40, "region": 16}
"""Greatest length in UTF-8 of the texts that are no codes; a UUID and a SHA-1 fit."""

_NAMES = {stored: name for name, stored in STORED_NAMES.items()}
_INSTANTS = {"as_of", "decided_at", "event_as_of", "final_from", "timestamp"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARK_DIGITS = 12


def stored(group: Mapping[str, Any]) -> Item:
    """The attributes of a group as they are written; instants and days come as ISO 8601."""
    return {STORED_NAMES[name]: _stored(name, value) for name, value in group.items()}


def plain(group: Mapping[str, Any]) -> Item:
    """The attributes of a group by the names of the contract, instants and days as ISO 8601, UTC.

    Numbers are int where they are whole, else Decimal. What an earlier version of this project
    wrote, under long names, is read as it is.
    """
    named = {_NAMES.get(name, name): _unwrapped(value) for name, value in group.items()}
    return {
        name: _plain(name, value) if isinstance(value, int) else value
        for name, value in named.items()
    }


def shortened(name: str, text: str) -> str:
    """A text of the attribute `name`, within its greatest length.

    A longer one ends in `~` and the beginning of its SHA-256: what was different stays different,
    and the same text always gets the same short one, so that it can be asked for.
    """
    encoded = text.encode(errors="replace")
    if len(encoded) <= MOST_BYTES[name]:
        return text
    mark = f"~{sha256(encoded).hexdigest()[:_MARK_DIGITS]}"
    return encoded[: MOST_BYTES[name] - len(mark)].decode(errors="ignore") + mark


def micros_of(instant: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def instant_of(micros: int) -> str:
    """ISO 8601 in UTC, always of one width."""
    instant = _EPOCH + timedelta(microseconds=micros)
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - _EPOCH.date()).days


def day_of(number: int) -> date:
    """The day of that number."""
    return _EPOCH.date() + timedelta(days=number)


def size_of(item: Mapping[str, Any]) -> int:
    """Bytes of an item, as DynamoDB counts them: names and values of its attributes.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + size_of_value(value) for name, value in item.items())


def size_of_value(value: Any) -> int:
    """Bytes of an attribute without its name."""
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, int | Decimal):
        return _size_of_number(Decimal(value))
    if isinstance(value, Mapping):
        return 3 + len(value) + size_of(value)
    if isinstance(value, Sequence):
        return 3 + len(value) + sum(map(size_of_value, value))
    raise TypeError(f"DynamoDB holds no {type(value).__name__} here")


def _size_of_number(number: Decimal) -> int:
    """A byte per two significant digits, counted in pairs from the point; one more, and a sign."""
    if not number:
        return 1
    _, digits, exponent = number.as_tuple()
    significant = "".join(map(str, digits)).rstrip("0")
    lowest = int(exponent) + len(digits) - len(significant)
    highest = int(exponent) + len(digits) - 1
    return 1 + (highest // 2 - lowest // 2 + 1) + (number < 0)


def _stored(name: str, value: Any) -> Any:
    if name in _INSTANTS:
        return micros_of(datetime.fromisoformat(value))
    if name == FIRST_DAY:
        return day_number(date.fromisoformat(value))
    return shortened(name, value) if name in MOST_BYTES else value


def _plain(name: str, value: int) -> Any:
    if name in _INSTANTS:
        return instant_of(value)
    return day_of(value).isoformat() if name == FIRST_DAY else value


def _unwrapped(value: Any) -> Any:
    """Whole numbers as int, others as Decimal; never a float."""
    if isinstance(value, dict):
        return {name: _unwrapped(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_unwrapped(inner) for inner in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else value
    return value
