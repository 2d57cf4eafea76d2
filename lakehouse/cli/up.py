"""`lakehouse up`: the streaming layers without an end, from Kafka to the Live Index.

The three streams share one process and one Spark. Ctrl-C, or a polite kill, lets each finish its
micro-batch; a second one does not wait for that.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import typer

from lakehouse.cli.options import DEFAULT_CONFIG, ConfigPath
from lakehouse.cli.terminal import note, pictures, step
from lakehouse.config import Config
from lakehouse.monitoring import heard_by

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse.supervisor import Ending

STREAMS = ("ingest_transactions", "ingest_fraud_scores", "enrich_live")
_REFRESH_SECONDS = 2.0
# plans of micro-batches live for a second: with the little room that Java begins with for what is
# new, it collects twice as often
_YOUNG = "-Xmn768m"
_INTERRUPTED = 130


def up(context: typer.Context, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Run the services and the streaming layers until Ctrl-C, and show how they go.

    Stops at its end what it started. Feed it from another terminal: `lakehouse generate --rate`.
    """
    settings = Config.load(config)
    debug = bool(context.find_root().params.get("debug"))
    # Spark takes a second to import
    from lakehouse.supervisor import Ending

    ending = Ending()
    with ExitStack() as services:
        spark = _started(settings, services)
        with _ended_by_signals(ending):
            _stream(spark, settings, ending, debug)
    if ending.at_once:
        raise typer.Exit(_INTERRUPTED)


def _started(config: Config, services: ExitStack) -> SparkSession:
    """Open Spark while the services start; where the cloud has them, there is nothing to start."""
    from lakehouse.local.services import running_services
    from lakehouse.session import open_session

    os.environ.setdefault("SPARK_SUBMIT_OPTS", _YOUNG)
    with step("starting"), ThreadPoolExecutor(1) as meanwhile:
        # in a thread: in the main one PySpark would take Ctrl-C for itself, and cancel all jobs
        opening = meanwhile.submit(open_session, config, "up")
        if config.services is not None:
            running = services.enter_context(running_services(config))
            if running.started:
                names = ", ".join(running.started)
                services.callback(note, f"stopping the services that were started: {names}")
        return opening.result()


def _stream(spark: SparkSession, config: Config, ending: Ending, debug: bool) -> None:
    from lakehouse.cli.pace import Pace
    from lakehouse.cli.topics import seen_now
    from lakehouse.delta import latest_version
    from lakehouse.job import job_named
    from lakehouse.supervisor import side_by_side

    pace = Pace(
        config,
        newest_version=partial(latest_version, spark),
        ends=lambda topic: seen_now(config.kafka, topic).end,
    )
    jobs = [job_named(name) for name in STREAMS]
    with (
        heard_by(pace.hear),
        pictures() as show,
        side_by_side(jobs, config, ending, debug) as streams,
    ):
        while not all(stream.ended() for stream in streams):
            # what cannot be shown now is no fault of a stream
            with suppress(Exception):
                show(pace.picture(streams, ending))
            _sleep(ending)
        with suppress(Exception):
            show(pace.picture(streams, ending))


def _sleep(ending: Ending) -> None:
    """Until the next picture is due, or the end is asked for."""
    was_asked, due = ending.asked, time.monotonic() + _REFRESH_SECONDS
    while ending.asked == was_asked and time.monotonic() < due:
        time.sleep(0.1)


@contextmanager
def _ended_by_signals(ending: Ending) -> Iterator[None]:
    from lakehouse.local.services_process import ENDINGS

    before = {}

    def ask(*_: object) -> None:
        ending.ask()
        if ending.at_once:
            # who asks a third time ends the process
            signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in ENDINGS:
        before[number] = signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
