"""`lakehouse demo`: one generated week through every layer, on real services, and the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
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
Chains = tuple[tuple[str, ...], ...]

_REFERENCE_KINDS = ("policies", "fx_rates")
# chains of jobs: what stands side by side needs nothing of the other, and runs at the same time
_BEFORE_DECISIONS = (("load_drops", "build_batch"), ("ingest_transactions", "ingest_fraud_scores"))
_LIVE = (("enrich_live", "consolidate", "sync_dynamodb"), ("load_drops",))
_BATCH = (("build_batch", "consolidate"),)
# the history follows Gold at its own pace: both versions at the end
_FOLLOWERS = (("record_history",), ("sync_dynamodb",))
_JOBS = (*_BEFORE_DECISIONS, *_LIVE, *_BATCH, *_FOLLOWERS)
# besides the jobs: generating, starting services, sending, counting
_STEPS = sum(map(len, _JOBS)) + 4
_POLL_SECONDS = 0.2


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
            jobs = _Jobs(spark, settings, next_step)
            _live_half(jobs, world)
            before, live_version = _known_now(jobs, world)
            jobs.run(_BATCH)
            jobs.run(_FOLLOWERS)
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


def _live_half(jobs: _Jobs, world: GeneratedWorld) -> None:
    """Deliver policies, rates and topics, and decide; the other drops land meanwhile."""
    from lakehouse.local.generator import write_drops

    landing = Path(jobs.config.lake.landing)
    write_drops([drop for drop in world.drops if drop.path.startswith(_REFERENCE_KINDS)], landing)
    jobs.next_step("sending records to Kafka")
    send(jobs.config, world)
    jobs.run(_BEFORE_DECISIONS)
    write_drops(world.drops, landing)
    jobs.run(_LIVE)


def _known_now(jobs: _Jobs, world: GeneratedWorld) -> tuple[dict[str, Any], int]:
    """What DynamoDB says of the fraudulent payments, and Gold's version."""
    from lakehouse.delta import latest_version, path_of
    from lakehouse.serving import lookup
    from lakehouse.tables import GOLD_TRANSACTIONS

    suspects = [payment.transaction_id for payment in world.truth.frauds]
    items = {suspect: lookup(jobs.config.dynamodb, suspect) for suspect in suspects}
    return items, latest_version(jobs.spark, path_of(jobs.config, GOLD_TRANSACTIONS))


@dataclass(frozen=True)
class _Jobs:
    """Runs jobs in one session, each with its lease and checkpoint as in a process of its own."""

    spark: SparkSession
    config: Config
    next_step: NextStep
    ended: Event = field(default_factory=Event)

    def run(self, chains: Chains) -> None:
        """Run chains side by side, the jobs of a chain in their order; the first fault ends all."""
        with ThreadPoolExecutor(len(chains)) as pool:
            running = [pool.submit(self._chain, chain) for chain in chains]
            try:
                for done in as_completed(running):
                    done.result()
            except BaseException:
                # an interrupt too reaches this thread alone
                self._end(running)
                raise

    def _chain(self, names: tuple[str, ...]) -> None:
        from lakehouse.job import execute, job_named

        for name in names:
            if not self.ended.is_set():
                self.next_step(name)
                execute(job_named(name), self.config, trigger="once")

    def _end(self, running: Sequence[Future[None]]) -> None:
        """Break off what runs: a job between two queries of its own meets it at the next one."""
        self.ended.set()
        while not all(chain.done() for chain in running):
            for query in self.spark.streams.active:
                query.stop()
            self.spark.sparkContext.cancelAllJobs()
            wait(running, timeout=_POLL_SECONDS)
