"""How a value stands in a table of the page: with its unit, and beside it as it was answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from lakehouse.decision.currency import minor_digits

Row = Mapping[str, Any]
Show = Callable[[Any, Row], str]
NOTHING = "–"


def as_it_is(value: Any, _row: Row) -> str:
    """Texts, days and instants (UTC); whole numbers with groups of three digits."""
    if isinstance(value, bool) or value is None:
        return NOTHING if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return value.isoformat() if isinstance(value, date) else str(value)


def percent(value: Any, _row: Row) -> str:
    """A rate from 0 to 1."""
    return NOTHING if value is None else f"{100 * value:.2f} %"


def hours(value: Any, _row: Row) -> str:
    """A number of hours."""
    return NOTHING if value is None else f"{value:,.1f} h".replace(",", " ")


def score(value: Any, _row: Row) -> str:
    """The tenth of the scores that begins here."""
    if value is None:
        return "no score"
    return f"{value:.1f} to {value + 0.1:.1f}"


def money_in(currency: str) -> Show:
    """Smallest units of the currency that the row has in this column, in whole units of it."""

    def show(value: Any, row: Row) -> str:
        units = in_units(value, row[currency])
        if units is None:
            return NOTHING
        if isinstance(units, int):
            return f"{units:,} smallest units".replace(",", " ")
        return f"{units:,f} {row[currency]}".replace(",", " ")

    return show


def in_units(smallest: Any, currency: str | None) -> Decimal | int | None:
    """Whole units of a currency; of one that ISO 4217 does not know, its smallest units as int."""
    if smallest is None:
        return None
    digits = minor_digits().get(currency or "")
    if digits is None:
        return int(smallest)
    # sums have decimals of their own
    return Decimal(int(smallest)).scaleb(-digits)


def exact(value: Any) -> str:
    """A value for programs: instants as ISO 8601 in UTC, nothing as an empty text."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)
