"""Sets of whole numbers as closed intervals: a million offsets in a row are one pair. Pure.

Every list of intervals here is ascending, and no two of its intervals touch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """All whole numbers from `first` to `last`, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def joined(intervals: Iterable[tuple[int, int]]) -> list[Interval]:
    """The union of intervals in any order, overlapping or not."""
    union: list[Interval] = []
    for first, last in sorted(intervals):
        if union and first <= union[-1].last + 1:
            union[-1] = Interval(union[-1].first, max(union[-1].last, last))
        else:
            union.append(Interval(first, last))
    return union


def without(intervals: Sequence[Interval], others: Sequence[Interval]) -> list[Interval]:
    """What is in `intervals` and not in `others`."""
    return list(_without(intervals, others))


def common(intervals: Sequence[Interval], others: Sequence[Interval]) -> list[Interval]:
    """What is in both."""
    return without(intervals, without(intervals, others))


def size(intervals: Iterable[Interval]) -> int:
    """How many numbers they hold."""
    return sum(last - first + 1 for first, last in intervals)


def _without(intervals: Sequence[Interval], others: Sequence[Interval]) -> Iterator[Interval]:
    place = 0
    for first, last in intervals:
        start = first
        while place < len(others) and others[place].last < start:
            place += 1
        at = place
        while at < len(others) and others[at].first <= last:
            if others[at].first > start:
                yield Interval(start, others[at].first - 1)
            start = max(start, others[at].last + 1)
            at += 1
        if start <= last:
            yield Interval(start, last)


def told(first: int, last: int) -> str:
    """From `first` to `last`, both inclusive, for people: `12-57`, `12`; `-` is none."""
    return str(Interval(first, last)) if first <= last else "-"
