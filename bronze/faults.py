"""What can be wrong with a delivered file, and what follows from it."""

from __future__ import annotations

from typing import NamedTuple

from lakehouse.records.codes import DropFault, Verdict

_PASSING = {DropFault.UNFINISHED_DAY, DropFault.CHANGING}
_UNREADABLE = {*_PASSING, DropFault.UNKNOWN_KIND, DropFault.UNKNOWN_FORMAT, DropFault.DAMAGED}
_WITHOUT_ROWS = {*_UNREADABLE, DropFault.EMPTY}


class Fault(NamedTuple):
    """What is wrong with a file, and its facts for a person."""

    code: DropFault
    reason: str

    @property
    def verdict(self) -> Verdict:
        """What becomes of the file if nobody releases it."""
        return Verdict.WAITING if self.code in _PASSING else Verdict.HELD

    @property
    def is_releasable(self) -> bool:
        """Whether a person may let it load: its rows, if any, can be read and judged by Silver."""
        return self.code not in _UNREADABLE

    @property
    def has_rows(self) -> bool:
        """Whether there are rows to be counted."""
        return self.code not in _WITHOUT_ROWS
