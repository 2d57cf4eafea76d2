"""How a job runs: `run(ingest_transactions)` in its module, `lakehouse run` from the shell.

The function's name is the job's name, its lease, its checkpoint folder and its query's name.
"""

from __future__ import annotations

import inspect
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from pyspark.errors import StreamingQueryException
from pyspark.sql.streaming import StreamingQuery

from lakehouse.config import DEFAULT_CONFIG, Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.delta import latest_version, path_of
from lakehouse.errors import BrokerUnreachableError, UnknownJobError
from lakehouse.lease import held_lease
from lakehouse.metrics.places import metered
from lakehouse.metrics.progress import read_through
from lakehouse.monitoring import configure_logging, finish, watched
from lakehouse.runs import recorded
from lakehouse.session import open_session
from lakehouse.tables import TABLES

JOB_ENTRY_POINTS = "lakehouse.jobs"
_POLL_SECONDS = 0.05
# how a Kafka client of the JVM says that nobody answers
_NO_ANSWER = re.compile(
    r"org\.apache\.kafka\.common\.errors\.(Timeout|Disconnect|Network|BrokerNotAvailable)Exception"
)

Job = Callable[..., Any]


def run(job: Job) -> None:
    """Run a job as a process of its own: `--config`, `--trigger`, and the job's own options."""
    configure_logging()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(job.__name__)(command_of(job))
    finish(lambda: app(standalone_mode=False), debug="--debug" in sys.argv)


def command_of(job: Job) -> Callable[..., None]:
    """Turn a job into a command: options for the run, then the job's own keyword parameters."""

    def command(
        context: typer.Context,
        config: Annotated[Path, typer.Option(help="The one config file.")] = DEFAULT_CONFIG,
        trigger: Annotated[str | None, typer.Option(help="once | continuous")] = None,
        debug: Annotated[bool, typer.Option("--debug", help="Show stack traces.")] = False,
        **options: Any,
    ) -> None:
        # `lakehouse --debug run JOB` says it one command further up
        debug = debug or bool(context.find_root().params.get("debug"))
        execute(job, Config.load(config), trigger=trigger, debug=debug, **options)

    # a job's module may postpone its annotations: as text they would say nothing of its options
    own = [p for p in _parameters(job) if p.name != "lake"]
    general = [p for p in _parameters(command) if p.kind is not p.VAR_KEYWORD]
    keyword_only = [p.replace(kind=p.KEYWORD_ONLY) for p in (*general, *own)]
    signature = inspect.Signature(keyword_only)
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in keyword_only}
    command.__doc__ = inspect.getdoc(sys.modules[job.__module__]) or job.__doc__
    return command


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def execute(
    job: Job,
    config: Config,
    *,
    trigger: str | None = None,
    debug: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    **options: Any,
) -> Any:
    """Run a job in this process to its end, and return what it returns.

    Raises:
        LeaseHeldError: another run of the job is alive.
        BrokerUnreachableError: Kafka went away while the job was reading from it.
    """
    with started(job, config, trigger=trigger, debug=debug, clock=clock, **options) as run:
        if run.query is None:
            return run.outcome
        try:
            run.wait()
        except KeyboardInterrupt:
            run.query.stop()
            # an end that was asked for, unless somebody waits for what comes after this run
            if run.lake.trigger.mode == "once":
                raise
        return None


@contextmanager
def started(
    job: Job,
    config: Config,
    *,
    trigger: str | None = None,
    debug: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    **options: Any,
) -> Iterator[Run]:
    """Have a job under way while the block runs, with its lease: whoever started it waits or stops.

    Several may be under way in one process: they share its Spark.

    Raises:
        LeaseHeldError: another run of the job is alive.
    """
    name = job.__name__
    mode = Trigger(trigger or config.trigger.mode, config.trigger.interval_seconds)
    if mode.mode not in ("once", "continuous"):
        raise typer.BadParameter("expected once or continuous", param_hint="--trigger")
    run_id = uuid.uuid4().hex[:12]
    with (
        watched(name, run_id),
        held_lease(config, name) as lease,
        # behind the lease: a start that was refused is no run, and hides none
        recorded(config, name, run_id) as record,
        metered(config, name, run_id) as meter,
    ):
        spark = open_session(config, name, debug)
        lake = Lakehouse(config, spark, name, mode, lease, clock, record=record, meter=meter)
        try:
            yield Run(lake, job(lake, **options))
        finally:
            # a fault here would hide the job's own
            with suppress(Exception):
                meter.close()
            with suppress(Exception):
                record.inputs.update(read_through(meter.progress))
            with suppress(Exception):
                record.outputs.update(_written(lake))


@dataclass(frozen=True)
class Run:
    """A job under way: `outcome` is its streaming query, or what it has returned already."""

    lake: Lakehouse
    outcome: Any

    @property
    def query(self) -> StreamingQuery | None:
        """The query of a streaming job."""
        return self.outcome if isinstance(self.outcome, StreamingQuery) else None

    @property
    def last_batch(self) -> int | None:
        """The last micro-batch that this run has finished."""
        progress = self.query.lastProgress if self.query else None
        return progress["batchId"] if progress else None

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end, or so many seconds at most; whether it has ended.

        Raises what was raised inside a micro-batch, as itself.

        Raises:
            BrokerUnreachableError: Kafka went away while the job was reading from it.
        """
        if self.query is None:
            return True
        try:
            # PySpark takes fractions of a second, and says that it doesn't
            return self.query.awaitTermination(seconds) is not False  # type: ignore[arg-type]
        except StreamingQueryException as error:
            # the JVM knows a fault of a micro-batch as text only
            if self.lake.faults:
                raise self.lake.faults[-1] from error
            if _NO_ANSWER.search(getattr(error, "stackTrace", "")):
                raise BrokerUnreachableError(self.lake.config.kafka.bootstrap_servers) from error
            raise

    def stop(self, patience_seconds: float, at_once: Callable[[], bool]) -> None:
        """End its stream behind the micro-batch that is under way.

        One that lasts longer than the patience, or until somebody wants the end `at_once`, is
        broken off: the next run completes it. Raises as `wait`, if that last micro-batch fails.
        """
        query = self.query
        if query is None:
            return
        end, before = time.monotonic() + patience_seconds, self.last_batch
        # a stream that is behind begins the next one without a pause: its number tells, too
        while query.status["isTriggerActive"] and self.last_batch == before:
            if self.wait(_POLL_SECONDS) or at_once() or time.monotonic() > end:
                break
        if not query.isActive:
            self.wait()
        query.stop()


def _written(lake: Lakehouse) -> dict[str, str]:
    """The version of each table that this run has brought further, by the log: runs no query."""
    found: dict[str, str] = {}
    for name, before in lake.record.stood.items():
        # what cannot be looked up is no reason to fail a run
        with suppress(Exception):
            version = latest_version(lake.spark, path_of(lake.config, TABLES[name]))
            if version > before:
                found[name] = str(version)
    return found


def job_names() -> list[str]:
    """Every job that has an entry point."""
    return sorted(point.name for point in entry_points(group=JOB_ENTRY_POINTS))


def job_named(name: str) -> Job:
    """Find a job by its entry point, so that this package imports no layer.

    Raises:
        UnknownJobError: no entry point has this name.
    """
    jobs = {point.name: point for point in entry_points(group=JOB_ENTRY_POINTS)}
    if name not in jobs:
        raise UnknownJobError(name, job_names())
    job: Job = jobs[name].load()
    return job
