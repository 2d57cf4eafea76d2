"""Kafka -> Bronze beside a bare append of the same columns, and beside Kafka -> nowhere."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.backlog import run_to_end, stream_of
from bench.place import in_folder
from bench.timing import best_of, show
from lakehouse.config import Config
from lakehouse.job import execute, job_named
from lakehouse.session import open_session

LEAST_RATIO = 0.8  # of the bare append's records per second


def ingestion(config: Config, records: int, rounds: int) -> None:
    """Time a backlog of payments that is in Kafka already."""
    spark = open_session(config, "bench")
    folder = Path(config.lake.root) / "ingestion"
    own = in_folder(config, folder)
    topic = config.kafka.topics.transactions

    def to_nowhere() -> None:
        _emptied(folder)
        run_to_end(stream_of(spark, config, topic), "noop", str(folder / "checkpoint"))

    def bare_append() -> None:
        _emptied(folder)
        rows = stream_of(spark, config, topic)
        run_to_end(rows, "delta", str(folder / "checkpoint"), str(folder / "bare"))

    def bronze() -> None:
        _emptied(folder)
        execute(job_named("ingest_transactions"), own, trigger="once")

    works = {"Kafka -> noop": to_nowhere, "bare append": bare_append, "bronze": bronze}
    found = best_of(works, rounds)
    bare = found["bare append"]
    show(
        f"ingestion of {records:,} records",
        ("what", "seconds", "records/s", "ratio to the bare append", "at least"),
        [
            (name, f"{seconds:.1f}", f"{records / seconds:,.0f}", f"{bare / seconds:.2f}",
             str(LEAST_RATIO) if name == "bronze" else "")
            for name, seconds in found.items()
        ],
    )  # fmt: skip
    _emptied(folder)


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
