"""`lakehouse demo`: one generated week through every layer, on real services, and the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.cli.generate import Seed, Transactions, generated, send
from lakehouse.cli.options import DEFAULT_CONFIG, ConfigPath
from lakehouse.cli.terminal import note, say, steps
from lakehouse.config import Config
from lakehouse.errors import CountsDoNotCloseError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse.local.generator import GeneratedWorld

NextStep = Callable[[str], None]

_REFERENCE_KINDS = ("policies", "fx_rates")
_REFERENCE = ("load_drops", "build_batch")
_LIVE = (
    "ingest_transactions", "ingest_fraud_scores", "enrich_live", "consolidate", "sync_dynamodb",
)  # fmt: skip
# the history follows Gold at its own pace: both versions at the end
_BATCH = ("load_drops", "build_batch", "consolidate", "record_history", "sync_dynamodb")
# besides the jobs: generating, starting services, sending, counting
_STEPS = len((*_REFERENCE, *_LIVE, *_BATCH)) + 4


def demo(
    config: ConfigPath = DEFAULT_CONFIG,
    seed: Seed = None,
    transactions: Transactions = None,
) -> None:
    """Start the services, run every layer, show the result, and stop what was started.

    Data and tables are kept: run it again, ask them by `lakehouse query`, or `make clean`.
    """
    settings = Config.load(config)
    # Spark, the services and the generator take seconds to import
    from lakehouse.cli.demo_result import counted, example_of, show_result, unexplained
    from lakehouse.local.services import running_services
    from lakehouse.session import open_session

    started = time.monotonic()
    with ExitStack() as services:
        with steps(_STEPS) as next_step:
            next_step("generating a week of payments")
            world = generated(seed, transactions)
            next_step("starting Kafka, DynamoDB Local and the scoring service")
            with ThreadPoolExecutor(1) as meanwhile:
                opening = meanwhile.submit(open_session, settings, "demo")
                running = services.enter_context(running_services(settings))
            services.callback(_say_what_stops, running.started)
            spark = opening.result()
            before, live_version = _live_half(spark, settings, world, next_step)
            _batch_half(settings, world, next_step)
            next_step("reconcile")
            counts = counted(spark, settings)
        example = example_of(spark, settings, world, before)
        show_result(spark, settings, counts, example, before, live_version)
    say(f"\nDone in {time.monotonic() - started:.0f} s. Kept: {settings.lake.root}")
    if example:
        say(f"Next: lakehouse services start; lakehouse explain {example}")
    if open_steps := unexplained(counts):
        raise CountsDoNotCloseError(open_steps)


def _say_what_stops(started: tuple[str, ...]) -> None:
    if started:
        note(f"stopping the services that this demo started: {', '.join(started)}")


def _live_half(
    spark: SparkSession, config: Config, world: GeneratedWorld, next_step: NextStep
) -> tuple[dict[str, Any], int]:
    """Deliver policies, rates and topics; return what DynamoDB said then, and Gold's version."""
    from lakehouse.delta import latest_version, path_of
    from lakehouse.local.generator import write_drops
    from lakehouse.serving import lookup
    from lakehouse.tables import GOLD_TRANSACTIONS

    reference = [drop for drop in world.drops if drop.path.startswith(_REFERENCE_KINDS)]
    write_drops(reference, Path(config.lake.landing))
    _run(config, _REFERENCE, next_step)
    next_step("sending records to Kafka")
    send(config, world)
    _run(config, _LIVE, next_step)
    suspects = [payment.transaction_id for payment in world.truth.frauds]
    items = {suspect: lookup(config.dynamodb, suspect) for suspect in suspects}
    return items, latest_version(spark, path_of(config, GOLD_TRANSACTIONS))


def _batch_half(config: Config, world: GeneratedWorld, next_step: NextStep) -> None:
    """Deliver the daily log, offline scores and the money's later life."""
    from lakehouse.local.generator import write_drops

    write_drops(world.drops, Path(config.lake.landing))
    _run(config, _BATCH, next_step)


def _run(config: Config, jobs: tuple[str, ...], next_step: NextStep) -> None:
    from lakehouse.job import execute, job_named

    for name in jobs:
        next_step(name)
        execute(job_named(name), config, trigger="once")
