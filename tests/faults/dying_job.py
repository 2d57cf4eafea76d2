"""A job as a process of its own that is killed, with all of its process group, at one moment.

`python -m tests.faults.dying_job JOB before|amid|behind TABLE NTH`: at the n-th append to the
table, or where it is opened for a MERGE. `before` is when nothing has been read for it yet, `amid`
once Delta writes data files, so that rows have been read, and has committed nothing; `behind` once
the append is committed (of a MERGE: once the micro-batch is done), and the checkpoint not.
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

MOMENTS = ("before", "amid", "behind")


@dataclass(frozen=True)
class Dying(Lakehouse):
    """A lakehouse whose process does not survive one of its appends."""

    moment: ClassVar[str]
    table: ClassVar[str]
    left: ClassVar[int]

    def writable(self, table: Table, behind: int | None = None) -> DeltaTable:
        """Open a table for a MERGE, and die before, amid or behind it."""
        opened = super().writable(table, behind)
        self._come_to(table)
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
        self.version(to)  # a table that is created now has its first commit
        is_due = self._come_to(to)
        super().append(rows, to, batch, behind)
        if is_due and Dying.moment == "behind":
            _die()
        if is_due:
            _outlive(f"the append to {to.name}")

    def _come_to(self, table: Table) -> bool:
        """Count, and die before or amid what follows; whether it is the n-th."""
        if table.name != Dying.table:
            return False
        Dying.left -= 1
        if Dying.left:
            return False
        if Dying.moment == "before":
            _die()
        if Dying.moment == "amid":
            folder = Path(delta.path_of(self.config, table))
            known = (folder, _data_files(folder), _commits(folder))
            Thread(target=_die_of_a_new_file, args=known, daemon=True).start()
        return True


def _data_files(folder: Path) -> set[Path]:
    return set(folder.rglob("part-*.parquet"))


def _commits(folder: Path) -> int:
    return len(list(folder.glob("_delta_log/*.json")))


def _die_of_a_new_file(folder: Path, known: set[Path], commits: int) -> None:
    while _data_files(folder) <= known:
        time.sleep(0.005)
    if _commits(folder) > commits:
        _outlive(f"a commit to {folder}")
    _die()


def _outlive(what: str) -> None:
    """End in a way that the test does not take for being killed."""
    print(f"the process has outlived {what}", file=sys.stderr, flush=True)
    os._exit(1)


def _die() -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    name, Dying.moment, Dying.table, nth = sys.argv[1:]
    Dying.left = int(nth)
    if Dying.moment not in MOMENTS or Dying.left < 1:
        raise SystemExit(f"not one of {', '.join(MOMENTS)}, or not a time: {sys.argv[2:]}")
    job.Lakehouse = Dying  # type: ignore[attr-defined]
    job.execute(job.job_named(name), Config.load(LOCAL), trigger="once")
