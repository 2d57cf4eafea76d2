"""Money that waits for its payment, by age."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from lakehouse.records.codes import MONEY_AGES, AccountDifference
from lakehouse.records.gold import Reconciliation


def waiting_by_age(lines: Iterable[Reconciliation], today: date) -> dict[str, int]:
    """How many money events wait, by whole UTC days between their day and today; 0 included.

    One whose day cannot be read counts as of the greatest age: somebody has to look.
    """
    found = dict.fromkeys(MONEY_AGES.values(), 0)
    for line in lines:
        days = (today - line.day).days if line.day else max(MONEY_AGES)
        age = MONEY_AGES[max(start for start in MONEY_AGES if start <= max(days, 0))]
        waiting = (each for each in line.differences if each.kind == AccountDifference.WAITING)
        found[age] += sum(each.records for each in waiting)
    return found
