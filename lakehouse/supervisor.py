"""Streaming jobs side by side in one process and one Spark, each kept running until asked to end.

A stream that fails is started again by itself, while the others go on: what a micro-batch had done
stands, and the next run completes it. What only a person can decide ends them all, and so does a
stream that fails again and again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Lock, Thread
from typing import Literal

from py4j.protocol import Py4JNetworkError
from pyspark.sql.streaming import StreamingQuery

from lakehouse.config import Config
from lakehouse.errors import LakehouseError, LeaseLostError, OvertakenError, ServiceError
from lakehouse.job import Job, Run, started

MOST_FAILURES = 10
"""After so many failures with no finished micro-batch between them, all streams end.

A service that is away does not end them, however long: they ask it again every half minute.
"""

_LONGEST_PAUSE_SECONDS = 30.0
_POLL_SECONDS = 0.25
# a micro-batch under way may end by itself; what stops a process from outside waits 90 s and longer
_PATIENCE_SECONDS = 30.0

State = Literal["starting", "running", "restarting", "stopped", "failed"]


class Ending:
    """How streams are asked to end: behind the micro-batch that is under way, or `at_once`."""

    # plain flags: a handler of signals must take no lock, which its own thread might hold
    def __init__(self) -> None:
        self.asked = self.at_once = False

    def ask(self) -> None:
        """Ask; who asks twice does not want to wait."""
        self.at_once, self.asked = self.asked, True


class Supervised:
    """One streaming job: what became of it, and its query while there is one.

    `fault` is the last one, and `failures` how many there were since a micro-batch was finished.
    """

    def __init__(self, job: Job, config: Config, ending: Ending, turn: Lock, debug: bool) -> None:
        self.name = job.__name__
        self.state: State = "starting"
        self.failures = 0
        self.fault: Exception | None = None
        self._job, self._config, self._ending, self._debug = job, config, ending, debug
        self._turn = turn
        self._run: Run | None = None
        self._thread = Thread(target=self._keep_running, name=self.name, daemon=True)
        self._thread.start()

    @property
    def query(self) -> StreamingQuery | None:
        """Its query; None while it is being started."""
        return self._run.query if self._run else None

    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return not self._thread.is_alive()

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join()

    def _keep_running(self) -> None:
        while not self._is_over():
            try:
                self._run_until_asked()
            except Exception as fault:
                self.fault, self.failures = fault, self.failures + 1
                # a service may be away for hours: to wait for it is no failure of ours
                is_hopeless = self.failures >= MOST_FAILURES and not isinstance(fault, ServiceError)
                is_cut_off = self._is_over() and not self._ending.at_once
                if is_hopeless or is_cut_off or not _may_pass(fault):
                    self.state = "failed"
                    self._ending.asked = True
                    return
                self.state = "restarting"
                self._pause(pause_seconds(self.failures))
        self.state = "stopped"

    def _run_until_asked(self) -> None:
        with ExitStack() as held:
            # in turns: PySpark opens its way back from the JVM at the first start, unguarded
            with self._turn:
                if self._is_over():
                    return
                run = held.enter_context(started(
                    self._job, self._config, trigger="continuous", debug=self._debug
                ))  # fmt: skip
            self._run, self.state = run, "running"
            held.callback(self._forget)
            while not run.wait(_POLL_SECONDS):
                if self.failures and run.last_batch is not None:
                    self.failures = 0
                if self._is_over():
                    run.stop(_PATIENCE_SECONDS, lambda: self._ending.at_once)
                    return

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._is_over() and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)

    def _is_over(self) -> bool:
        return self._ending.asked

    def _forget(self) -> None:
        self._run = None


@contextmanager
def side_by_side(
    jobs: Sequence[Job], config: Config, ending: Ending, debug: bool = False
) -> Iterator[list[Supervised]]:
    """Keep streaming jobs running; at the end of the block ask them to end, and wait for them.

    Raises:
        LakehouseError: the fault, or whichever other, that ended one of them for good.
    """
    turn = Lock()
    streams = [Supervised(job, config, ending, turn, debug) for job in jobs]
    try:
        yield streams
    finally:
        ending.asked = True
        for stream in streams:
            stream.join()
    for stream in streams:
        if stream.state == "failed" and stream.fault:
            raise stream.fault


def pause_seconds(failures: int) -> float:
    """How long to wait after so many failures in a row: 1, 2, 4, ... seconds."""
    return float(min(2.0 ** (failures - 1), _LONGEST_PAUSE_SECONDS))


def _may_pass(fault: Exception) -> bool:
    """Whether another start may go well by itself.

    A service that is away comes back, a lease that could not be renewed is taken again (or its
    new holder is named), and Spark's own faults may be of the moment. Our other ones name what a
    person has to decide: lost records, another run, a wrong setting. A JVM never comes back.
    """
    if isinstance(fault, LakehouseError):
        return isinstance(fault, ServiceError | LeaseLostError | OvertakenError)
    return not isinstance(fault, Py4JNetworkError)
