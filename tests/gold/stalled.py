"""Runs that stall between what they have read and their commit, while others do something."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from threading import Event
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import DataFrame

from lakehouse.context import Batch, Lakehouse
from lakehouse.tables import Table

_FOREVER = 200


@dataclass(frozen=True)
class StalledLakehouse(Lakehouse):
    """A lakehouse in which others do something between the check of the lease and the commit."""

    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    stalls_at: Table | None = None  # null: at the first table that is written

    def writable(self, table: Table, behind: int | None = None) -> DeltaTable:
        """Open a table; then the run stalls."""
        opened = super().writable(table, behind)
        self._stall(table)
        return opened

    def append(
        self, rows: DataFrame, to: Table, batch: Batch | None = None, behind: int | None = None
    ) -> None:
        """Stall, then append."""
        self._stall(to)
        super().append(rows, to, batch, behind)

    def _stall(self, table: Table) -> None:
        if self.stalls_at in (None, table):
            while self.meanwhile:
                self.meanwhile.pop()()


def stalled(
    lake: Lakehouse, meanwhile: Callable[[], None], at: Table | None = None
) -> StalledLakehouse:
    """The same lakehouse, for a run that stalls once."""
    parts = {each.name: getattr(lake, each.name) for each in fields(Lakehouse)}
    return StalledLakehouse(**parts, meanwhile=[meanwhile], stalls_at=at)


@contextmanager
def begun(
    run: Callable[[Lakehouse], None], lake: Lakehouse, at: Table | None = None
) -> Iterator[Callable[[], None]]:
    """A run that has read all that it needs, and stalls; what is yielded lets it go on to its end.

    The other way round than `stalled`: who comes later can read before the first one commits.
    """
    stalls, goes_on = Event(), Event()

    def wait() -> None:
        stalls.set()
        assert goes_on.wait(_FOREVER)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(run, stalled(lake, wait, at))
        ended.add_done_callback(lambda _: stalls.set())

        def finish() -> None:
            goes_on.set()
            ended.result(_FOREVER)

        try:
            assert stalls.wait(_FOREVER)
            assert not ended.done(), f"the run did not stall: {ended.exception()}"
            yield finish
        finally:
            goes_on.set()


@dataclass(frozen=True)
class Phases:
    """One transaction of Delta's own, phase by phase, by the observer of its own tests."""

    phases: Any

    @classmethod
    def of_next_transaction(cls, lake: Lakehouse) -> Phases:
        """The next transaction that this thread begins: it goes up to its commit, and waits."""
        jvm: Any = lake.spark.sparkContext._jvm
        observed = jvm.org.apache.spark.sql.delta
        phases = observed.fuzzer.OptimisticTransactionPhases.forName("observed")
        observer = observed.fuzzer.PhaseLockingTransactionExecutionObserver(phases)
        nobody = getattr(getattr(observed, "NoOpTransactionExecutionObserver$"), "MODULE$")
        observer.setNextObserver(nobody, True)  # of the transactions behind it
        observed.TransactionExecutionObserver.setObserver(observer)
        for phase in (phases.initialPhase(), phases.preparePhase()):
            phase.entryBarrier().unblock()
        return cls(phases)

    def stands_before_its_commit(self) -> bool:
        """Whether it has read, and written its files."""
        return bool(self.phases.preparePhase().hasLeft())

    def goes_on(self) -> None:
        """Let it commit, if Delta does."""
        rest = self.phases
        for phase in (rest.commitPhase(), rest.backfillPhase(), rest.postCommitPhase()):
            phase.entryBarrier().unblock()
        rest.postCommitPhase().exitBarrier().unblock()


@contextmanager
def committing(
    run: Callable[[Lakehouse], object], lake: Lakehouse, at: Table | None = None
) -> Iterator[Callable[[], None]]:
    """A run that has written its files, and not committed them; what is yielded lets it go on.

    Later than `begun`: others commit while it does.
    """
    observed: list[Phases] = []

    def observe() -> None:
        observed.append(Phases.of_next_transaction(lake))

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(run, stalled(lake, observe, at))
        while not (observed and observed[0].stands_before_its_commit()):
            assert not ended.done(), f"the run did not stall: {ended.exception()}"
            time.sleep(0.05)
        goes_on = iter([observed[0].goes_on])

        def finish() -> None:
            next(goes_on)()
            ended.result(_FOREVER)

        try:
            yield finish
        finally:
            for let_go in goes_on:
                let_go()
