"""What can be wrong with a delivered file, and what follows from it."""

from __future__ import annotations

from typing import NamedTuple

from lakehouse.records.codes import DropFault, Verdict

_PASSING = {DropFault.UNFINISHED_DAY, DropFault.CHANGING}
_UNREADABLE = {
    *_PASSING,
    DropFault.REMOVED,
    DropFault.MISPLACED,
    DropFault.UNKNOWN_KIND,
    DropFault.UNREADABLE,
    DropFault.UNKNOWN_FORMAT,
    DropFault.DAMAGED,
}
_WITHOUT_ROWS = {*_UNREADABLE, DropFault.EMPTY}
# a storage says the same in other words each time, with the number of the request
_OF_STORAGE = {DropFault.UNREADABLE, DropFault.CONTROL_UNREADABLE, DropFault.DAMAGED}


class Fault(NamedTuple):
    """What is wrong with a file, and its facts for a person."""

    code: DropFault
    reason: str

    @property
    def verdict(self) -> Verdict:
        """What becomes of the file if nobody releases it."""
        if self.code == DropFault.REMOVED:
            return Verdict.GONE
        return Verdict.WAITING if self.code in _PASSING else Verdict.HELD

    @property
    def is_releasable(self) -> bool:
        """Whether a person may let it load: its rows, if any, can be read and judged by Silver."""
        return self.code not in _UNREADABLE

    @property
    def has_rows(self) -> bool:
        """Whether there are rows to be counted."""
        return self.code not in _WITHOUT_ROWS

    def is_news_beside(self, known: Fault | None) -> bool:
        """Whether it tells a person more than what is known already."""
        if known is None or known.code != self.code:
            return True
        return self.code not in _OF_STORAGE and known.reason != self.reason


CHANGING = Fault(
    DropFault.CHANGING, "it was replaced, or removed, while it was read: the next run looks again"
)
