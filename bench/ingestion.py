"""Kafka -> Bronze beside a bare append of the same columns, and beside Kafka -> nowhere."""

from __future__ import annotations

import shutil
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bench.place import in_folder
from bench.timing import best_of, show
from lakehouse.config import Config
from lakehouse.job import execute, job_named
from lakehouse.kafka import reader_options, topic_now
from lakehouse.session import open_session
from lakehouse.tables import BRONZE_TRANSACTIONS

LEAST_RATIO = 0.8  # of the bare append's records per second


def ingestion(config: Config, records: int, rounds: int) -> None:
    """Time a backlog of payments that is in Kafka already."""
    spark = open_session(config, "bench")
    topic = topic_now(config.kafka, config.kafka.topics.transactions)
    folder = Path(config.lake.root) / "ingestion"

    def backlog() -> DataFrame:
        options = reader_options(config.kafka, topic.name, topic.first)
        return spark.readStream.format("kafka").options(**options).load()

    def to_nowhere() -> None:
        _finish(backlog(), "noop", folder)

    def bare_append() -> None:
        _finish(_same_columns(backlog(), topic.topic_id), "delta", folder)

    def bronze() -> None:
        own = in_folder(config, folder)
        shutil.rmtree(own.lake.root, ignore_errors=True)
        execute(job_named("ingest_transactions"), own, trigger="once")

    works = {"Kafka -> noop": to_nowhere, "bare append": bare_append, "bronze": bronze}
    found = best_of(works, rounds)
    bare = found["bare append"].seconds
    show(
        f"ingestion of {records:,} records",
        ("what", "seconds", "records/s", "ratio to the bare append", "at least"),
        [
            (t.name, f"{t.seconds:.1f}", f"{records / t.seconds:,.0f}", f"{bare / t.seconds:.2f}",
             str(LEAST_RATIO) if t.name == "bronze" else "")
            for t in found.values()
        ],
    )  # fmt: skip


def _same_columns(records: DataFrame, topic_id: str) -> DataFrame:
    known = {
        "topic_id": F.lit(topic_id),
        "timestamp_type": F.col("timestampType"),
        "redactions": F.lit(0),
        "ingest_date": F.to_date("timestamp"),
    }
    return records.withColumns(known).select(*BRONZE_TRANSACTIONS.columns)


def _finish(rows: DataFrame, to: str, folder: Path) -> None:
    shutil.rmtree(folder / "bare", ignore_errors=True)
    writer = rows.writeStream.format(to).trigger(availableNow=True)
    if to == "delta":
        writer = writer.option("path", str(folder / "bare" / "table")).partitionBy("ingest_date")
    writer.option(
        "checkpointLocation", str(folder / "bare" / "checkpoint")
    ).start().awaitTermination()
