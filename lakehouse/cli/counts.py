"""Where every record went, step by step, from the broker to DynamoDB."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lakehouse.records.gold import Reconciliation


@dataclass(frozen=True)
class StepCounts:
    """Records of one step; `unexplained` is not 0 where they do not close."""

    step: str
    delivered: int
    accepted: int
    duplicates: int
    quarantined: int
    held: int
    unexplained: int


def by_step(lines: Iterable[Reconciliation]) -> list[StepCounts]:
    """The lines of a run, whatever their day and currency, as one row per step."""
    names = ("delivered", "accepted", "duplicates", "quarantined", "held", "unexplained")
    sums: dict[str, dict[str, int]] = {}
    for line in lines:
        own = sums.setdefault(line.step, dict.fromkeys(names, 0))
        for name in names:
            own[name] += getattr(line, name)
    return [StepCounts(step, **counts) for step, counts in sums.items()]
