"""The sender's own totals of a day, and whether the files meet them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from bronze.faults import Fault
from lakehouse.decision.currency import minor_digits
from lakehouse.records.codes import DropFault
from lakehouse.totals import SentTotals, sent_totals

NOT_ISO = "in codes that are not of ISO 4217"
"""All other codes: a file may have as many as rows."""

_MOST_NAMED = 5


@dataclass(frozen=True)
class Totals:
    """What files hold: rows, and smallest currency units by ISO 4217 code, or NOT_ISO."""

    rows: int = 0
    amount: Mapping[str, Decimal] = field(default_factory=dict)
    foreign_rows: int = 0  # not UTF-8

    def __add__(self, other: Totals) -> Totals:
        currencies = {*self.amount, *other.amount}
        amount = {
            code: self.amount.get(code, Decimal(0)) + other.amount.get(code, Decimal(0))
            for code in currencies
        }
        foreign_rows = self.foreign_rows + other.foreign_rows
        return Totals(self.rows + other.rows, amount, foreign_rows)


def unmet(
    control: str | Fault | None, found: Totals, uncounted: Sequence[str] = ()
) -> Fault | None:
    """Why a day's files don't meet `_CONTROL.json`; None if they do, or if there is none.

    `control` is its text, or why nobody can read it. `uncounted` are files of the day that cannot
    be read: with them, no totals can be met.
    """
    if control is None or isinstance(control, Fault):
        return control
    expected = sent_totals(control)
    if expected is None:
        expects = '{"rows": n, "amount": {"USD": "123400"}}'
        return Fault(DropFault.CONTROL_MALFORMED, f"_CONTROL.json is not {expects}")
    miss = _miss(expected, found, uncounted)
    return Fault(DropFault.CONTROL_UNMET, miss) if miss else None


def _miss(expected: SentTotals, found: Totals, uncounted: Sequence[str]) -> str | None:
    if uncounted:
        others = len(uncounted) - _MOST_NAMED
        names = ", ".join(uncounted[:_MOST_NAMED]) + (f" and {others} more" if others > 0 else "")
        return f"_CONTROL.json counts {names} too, which cannot be counted"
    if expected.rows is not None and expected.rows != found.rows:
        return f"_CONTROL.json says {expected.rows} rows, the files have {found.rows}"
    if expected.amount is None:
        return None
    amount = _by_code(expected.amount)
    for code in sorted({*amount, *found.amount}):
        says, have = amount.get(code, Decimal(0)), found.amount.get(code, Decimal(0))
        if says != have:
            return f"_CONTROL.json says {says} {code}, the files have {have}"
    return None


def _by_code(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Amounts by ISO 4217 code; all others as one."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for code, amount in amounts.items():
        sums[code if code in minor_digits() else NOT_ISO] += amount
    return sums
