"""A job as a process of its own that is killed, with all of its process group, at one moment.

`python -m tests.faults.dying_job JOB before|behind TABLE NTH`: at the n-th append to the table.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from typing import ClassVar

from pyspark.sql import DataFrame

from lakehouse import job
from lakehouse.config import Config
from lakehouse.context import Batch, Lakehouse
from lakehouse.tables import Table
from tests.conftest import LOCAL


@dataclass(frozen=True)
class Dying(Lakehouse):
    """A lakehouse whose process does not survive one of its appends."""

    moment: ClassVar[str]
    table: ClassVar[str]
    left: ClassVar[int]

    def append(self, rows: DataFrame, to: Table, batch: Batch | None = None) -> None:
        """Append, and die before it or behind it."""
        if to.name == Dying.table:
            Dying.left -= 1
        is_due = to.name == Dying.table and Dying.left == 0
        if is_due and Dying.moment == "before":
            _die()
        super().append(rows, to, batch)
        if is_due:
            _die()


def _die() -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    name, Dying.moment, Dying.table, nth = sys.argv[1:]
    Dying.left = int(nth)
    job.Lakehouse = Dying  # type: ignore[attr-defined]
    job.execute(job.job_named(name), Config.load(LOCAL), trigger="once")
