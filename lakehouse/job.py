"""How a job runs: `run(ingest_transactions)` in its module, `lakehouse run` from the shell.

The function's name is the job's name, its lease, its checkpoint folder and its query's name.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from lakehouse.config import Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.errors import LakehouseError, UnknownJobError
from lakehouse.lease import held_lease
from lakehouse.monitoring import configure_logging, watched
from lakehouse.session import open_session

JOB_ENTRY_POINTS = "lakehouse.jobs"
DEFAULT_CONFIG = Path("conf/local.yaml")

Job = Callable[..., Any]


def run(job: Job) -> None:
    """Run a job as a process of its own: `--config`, `--trigger`, and the job's own options."""
    configure_logging()
    typer.run(command_of(job))


def command_of(job: Job) -> Callable[..., None]:
    """Turn a job into a command: options for the run, then the job's own keyword parameters."""

    def command(
        config: Annotated[Path, typer.Option(help="The one config file.")] = DEFAULT_CONFIG,
        trigger: Annotated[str | None, typer.Option(help="once | continuous")] = None,
        debug: Annotated[bool, typer.Option(help="Show stack traces.")] = False,
        **options: Any,
    ) -> None:
        with friendly_errors(debug):
            execute(job, Config.load(config), trigger=trigger, **options)

    own = [p for p in inspect.signature(job).parameters.values() if p.name != "lake"]
    general = [
        p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    keyword_only = [p.replace(kind=p.KEYWORD_ONLY) for p in (*general, *own)]
    signature = inspect.Signature(keyword_only)
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in keyword_only}
    command.__doc__ = inspect.getdoc(sys.modules[job.__module__]) or job.__doc__
    return command


def execute(
    job: Job,
    config: Config,
    *,
    trigger: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    **options: Any,
) -> Any:
    """Run a job in this process to its end, and return what it returns.

    Raises:
        LeaseHeldError: another run of the job is alive.
    """
    name = job.__name__
    mode = Trigger(trigger or config.trigger.mode, config.trigger.interval_seconds)
    if mode.mode not in ("once", "continuous"):
        raise typer.BadParameter("expected once or continuous", param_hint="--trigger")
    with watched(name), held_lease(config, name) as lease:
        spark = open_session(config, name)
        lake = Lakehouse(config, spark, name, mode, lease, clock)
        outcome = job(lake, **options)
        return _finished(outcome, lake) if isinstance(outcome, StreamingQuery) else outcome


def job_named(name: str) -> Job:
    """Find a job by its entry point, so that this package imports no layer.

    Raises:
        UnknownJobError: no entry point has this name.
    """
    jobs = {point.name: point for point in entry_points(group=JOB_ENTRY_POINTS)}
    if name not in jobs:
        raise UnknownJobError(name, sorted(jobs))
    job: Job = jobs[name].load()
    return job


@contextmanager
def friendly_errors(debug: bool) -> Iterator[None]:
    """End with one clear line and the error's exit code; `debug` shows the stack trace."""
    try:
        yield
    except LakehouseError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


def _finished(query: StreamingQuery, lake: Lakehouse) -> None:
    try:
        query.awaitTermination()
    except KeyboardInterrupt:
        query.stop()
    except StreamingQueryException as error:
        # the JVM knows a fault of a micro-batch as text only
        raise (lake.faults[-1] if lake.faults else error) from error


def stop_session() -> None:
    """Stop the session of this process, if one is open."""
    session = SparkSession.getActiveSession()
    if session is not None:
        session.stop()
