"""The sender's own totals of a day, and whether the files meet them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, ValidationError

from bronze.faults import Fault
from lakehouse.records.codes import DropFault


@dataclass(frozen=True)
class Totals:
    """What files hold: rows, and smallest currency units by currency."""

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


class _Control(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rows: int | None = None
    amount: dict[str, Decimal] | None = None


def unmet(control: str | None, found: Totals, uncounted: Sequence[str] = ()) -> Fault | None:
    """Why a day's files don't meet `_CONTROL.json`; None if they do, or if there is none.

    `uncounted` are files of the day that cannot be read: with them, no totals can be met.
    """
    if control is None:
        return None
    try:
        expected = _Control.model_validate_json(control)
    except ValidationError:
        expects = '{"rows": n, "amount": {"USD": "123400"}}'
        return Fault(DropFault.CONTROL_MALFORMED, f"_CONTROL.json is not {expects}")
    miss = _miss(expected, found, uncounted)
    return Fault(DropFault.CONTROL_UNMET, miss) if miss else None


def _miss(expected: _Control, found: Totals, uncounted: Sequence[str]) -> str | None:
    if uncounted:
        return f"_CONTROL.json counts {', '.join(uncounted)} too, which cannot be counted"
    if expected.rows is not None and expected.rows != found.rows:
        return f"_CONTROL.json says {expected.rows} rows, the files have {found.rows}"
    if expected.amount is None:
        return None
    for code in sorted({*expected.amount, *found.amount}):
        says, have = expected.amount.get(code, Decimal(0)), found.amount.get(code, Decimal(0))
        if says != have:
            return f"_CONTROL.json says {says} {code}, the files have {have}"
    return None
