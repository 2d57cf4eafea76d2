"""One generated week through every job, on real services."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from lakehouse import delta
from lakehouse.cli.generate import send
from lakehouse.config import Config
from lakehouse.identity import kafka_coordinates
from lakehouse.job import execute, job_named
from lakehouse.local.generator import GeneratedWorld, GeneratorSettings, generate, write_drops
from lakehouse.local.generator.sheets import Sheet
from lakehouse.tables import (
    BRONZE_TRANSACTIONS,
    GOLD_RECONCILIATION,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_QUARANTINE_LIVE,
    TABLES,
    Table,
)
from tests.conftest import LOCAL, ROOT, SHORT_LIFE, addresses, in_folder, override

TIMEOUT_SECONDS = 900  # the first test of a run waits for the whole week
SEED = int(os.environ.get("LAKEHOUSE_TEST_SEED", "20260302"))
JOB_FILES = {
    "create_tables": "gold/create_tables.py",
    "load_drops": "bronze/load_drops.py",
    "build_batch": "silver/build_batch.py",
    "ingest_transactions": "bronze/ingest_transactions.py",
    "ingest_fraud_scores": "bronze/ingest_fraud_scores.py",
    "enrich_live": "silver/enrich_live.py",
    "correct_record": "silver/correct_record.py",
    "compare_paths": "silver/compare_paths.py",
    "consolidate": "gold/consolidate.py",
    "record_history": "gold/record_history.py",
    "sync_dynamodb": "gold/sync_dynamodb.py",
    "compare_serving": "gold/compare_serving.py",
    "reconcile": "gold/reconcile.py",
    "audit": "gold/audit.py",
    "prove_history": "gold/prove_history.py",
    "maintain": "gold/maintain.py",
}
REFERENCE_KINDS = ("policies", "fx_rates")

Options = Mapping[str, str | Path]
Process = Callable[..., None]
"""How jobs are run: `Platform.run` or `Platform.submit`."""


@dataclass(frozen=True)
class Run:
    """How a job ran as a process of its own, and the tables to which it committed."""

    process: subprocess.CompletedProcess[str]
    wrote: frozenset[str]
    grown: frozenset[str]  # to which anybody did meanwhile


@dataclass
class Platform:
    """A lake that holds one generated week; `sheets` are the drops as they were delivered last."""

    config: Config
    spark: SparkSession
    world: GeneratedWorld
    sheets: Sequence[Sheet]
    submitted: dict[str, Run] = field(default_factory=dict)
    # as they were when the week had gone through, whatever a test delivers later
    steps: list[Row] = field(default_factory=list)
    decisions: int = 0
    fed: int = 0

    def run(self, *jobs: str, **options: Options) -> None:
        """Run jobs in this process; `options` are a job's own, by its name."""
        for name in jobs:
            own: dict[str, Any] = dict(options.get(name, {}))
            execute(job_named(name), self.config, trigger="once", **own)

    def submit(self, *jobs: str, **options: Options) -> None:
        """Run jobs as an operator does, side by side: `spark-submit`, a process for each."""
        before = self._commits()
        with ThreadPoolExecutor(len(jobs)) as pool:
            own = [options.get(job, {}) for job in jobs]
            processes = list(pool.map(_submitted, jobs, own))
        after = self._commits()
        grown = {name for name, count in after.items() if count > before[name]}
        for job, process in zip(jobs, processes, strict=True):
            written = {name for name in grown if TABLES[name].written_by == job}
            self.submitted[job] = Run(process, frozenset(written), frozenset(grown))

    def a_correction(self) -> Options:
        """Of a quarantined record that named nobody: it was one of the others, sent again."""
        is_nameless = "source_table = 'bronze.transactions' AND identity IS NULL"
        nameless = self.read(SILVER_QUARANTINE_LIVE).where(is_nameless).orderBy("coordinates")
        accepted = self.read(SILVER_LIVE_TRANSACTIONS).select("coordinates")
        sent = self.read(BRONZE_TRANSACTIONS).withColumn("coordinates", kafka_coordinates())
        record, twin = nameless.first(), sent.join(accepted, "coordinates", "left_semi").first()
        assert record is not None and twin is not None, "the generated week has no such record"
        corrected = Path(self.config.lake.root) / "corrected.json"
        corrected.write_bytes(twin["value"])
        return {
            "coordinates": record["coordinates"],
            "payload": corrected,
            "reason": "the acquirer sent it twice",
        }

    def _commits(self) -> dict[str, int]:
        """How many commits each table has, by the files of its log: Spark need not look."""
        logs = {
            name: Path(delta.path_of(self.config, table)) / "_delta_log"
            for name, table in TABLES.items()
        }
        return {name: len(list(log.glob("*.json"))) for name, log in logs.items()}

    def read(self, table: Table) -> DataFrame:
        """A table as it is now."""
        return self.spark.read.format("delta").load(delta.path_of(self.config, table))

    def rows(self, table: Table, *columns: str) -> list[Row]:
        """Its rows."""
        return self.read(table).select(*(columns or ["*"])).collect()

    def version(self, table: Table) -> int:
        """Its version."""
        return delta.latest_version(self.spark, delta.path_of(self.config, table))


@contextmanager
def empty_platform(services: Config, spark: SparkSession, folder: Path) -> Iterator[Platform]:
    """A platform to which nothing has been delivered yet."""
    print(f"replay with LAKEHOUSE_TEST_SEED={SEED}")
    with pytest.MonkeyPatch.context() as patch:
        # the environment stays so: jobs started as processes of their own read it too
        settings = {**addresses(services), **in_folder(folder), "DYNAMODB__TABLE": "e2e"}
        override(patch, settings)
        # so many card numbers that each of the generator's is among them
        sent = GeneratorSettings(seed=SEED, transactions=400, card_number_share=0.02)
        world = generate(sent)
        yield Platform(Config.load(LOCAL), spark, world, world.sheets)


def deliver(platform: Platform, process: Process) -> None:
    """Policies and rates first, then the live half, then the drops."""
    process("create_tables")
    landing = Path(platform.config.lake.landing)
    reference = [d for d in platform.world.drops if d.path.startswith(REFERENCE_KINDS)]
    write_drops(reference, landing)
    platform.run("load_drops", "build_batch")
    send(platform.config, platform.world)
    process("ingest_transactions", "ingest_fraud_scores")
    write_drops(platform.world.drops, landing)
    process("enrich_live", "load_drops")
    platform.run("consolidate")
    process("build_batch")
    process("consolidate")
    process("record_history", "sync_dynamodb")
    last = ("reconcile", "audit", "correct_record", "compare_paths", "compare_serving")
    process(*last, correct_record=platform.a_correction())
    # behind the others: it takes the lease of each job whose tables it maintains
    process("maintain", "prove_history")
    platform.steps = platform.rows(GOLD_RECONCILIATION)
    platform.decisions = platform.read(SILVER_LIVE_TRANSACTIONS).count()
    platform.fed = len(platform.world.transactions)


def _submitted(job: str, options: Options) -> subprocess.CompletedProcess[str]:
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [
        str(Path(sys.executable).parent / "spark-submit"), JOB_FILES[job],
        "--config", "conf/local.yaml", "--trigger", "once", *words,
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | SHORT_LIFE, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
