"""A job as a process of its own that is killed, with all of its process group, at one moment.

`python -m tests.faults.dying_job JOB before|amid|behind TABLE NTH`: at the n-th append to the
table, or where it is opened for a MERGE. `amid` is once Delta has begun to write data files; behind
a MERGE is once the micro-batch is done, and its checkpoint not.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import ClassVar

from delta.tables import DeltaTable
from pyspark.sql import DataFrame
from pyspark.sql.streaming import StreamingQuery

from lakehouse import delta, job
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

    def writable(self, table: Table, behind: int | None = None) -> DeltaTable:
        """Open a table for a MERGE, and die before, amid or behind it."""
        opened = super().writable(table, behind)
        if table.name == Dying.table:
            Dying.left -= 1
            if Dying.left == 0 and Dying.moment == "before":
                _die()
            if Dying.left == 0 and Dying.moment == "amid":
                self._die_of_a_new_file(table)
        return opened

    def each_batch(
        self, rows: DataFrame, process: Callable[[DataFrame, Batch], None]
    ) -> StreamingQuery:
        """Hand out each micro-batch, and die behind the one that opened the table."""

        def mortal(batch_rows: DataFrame, batch: Batch) -> None:
            process(batch_rows, batch)
            if Dying.left == 0 and Dying.moment == "behind":
                _die()

        return super().each_batch(rows, mortal)

    def append(
        self, rows: DataFrame, to: Table, batch: Batch | None = None, behind: int | None = None
    ) -> None:
        """Append, and die before, amid or behind it."""
        if to.name == Dying.table:
            Dying.left -= 1
        is_due = to.name == Dying.table and Dying.left == 0
        if is_due and Dying.moment == "before":
            _die()
        if is_due and Dying.moment == "amid":
            self._die_of_a_new_file(to)
        super().append(rows, to, batch, behind)
        if is_due and Dying.moment == "behind":
            _die()

    def _die_of_a_new_file(self, table: Table) -> None:
        folder = Path(delta.path_of(self.config, table))
        known = (folder, _files(folder))
        Thread(target=_die_of_a_new_file, args=known, daemon=True).start()


def _files(folder: Path) -> set[Path]:
    return set(folder.rglob("*.parquet"))


def _die_of_a_new_file(folder: Path, known: set[Path]) -> None:
    while _files(folder) <= known:
        time.sleep(0.005)
    _die()


def _die() -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    name, Dying.moment, Dying.table, nth = sys.argv[1:]
    Dying.left = int(nth)
    job.Lakehouse = Dying  # type: ignore[attr-defined]
    job.execute(job.job_named(name), Config.load(LOCAL), trigger="once")
