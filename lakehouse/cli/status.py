"""`lakehouse status`: how full and how fresh each table is, and how far each stream has come."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from functools import reduce
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, TimestampType

from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath
from lakehouse.cli.query import existing_tables
from lakehouse.cli.terminal import show_grid, show_json, step
from lakehouse.config import Config
from lakehouse.delta import latest_version, path_of
from lakehouse.errors import LakehouseError
from lakehouse.kafka import end_offsets
from lakehouse.session import open_session
from lakehouse.tables import BRONZE_FRAUD_SCORES, BRONZE_TRANSACTIONS, Table

# which column of a table is the newest event's time, in the order they are looked for
_TIMES = ("timestamp", "inference_time", "known_from", "committed_at", "modified_at",
          "effective_date", "rate_date", "delivery_date", "quarantine_date")  # fmt: skip


@dataclass(frozen=True)
class TableStatus:
    """One table: its rows, the newest event time in it (UTC) and its version."""

    table: str
    rows: int
    newest: datetime | None
    version: int


@dataclass(frozen=True)
class StreamStatus:
    """One stream: its last finished micro-batch, and how many records wait for it."""

    stream: str
    last_batch: int | None
    lag: str


def status(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show each table (rows, newest event, version) and each stream (last batch, lag)."""
    settings = Config.load(config)
    with step("reading tables and checkpoints"):
        spark = open_session(settings, "status")
        tables = table_statuses(spark, settings)
        streams = stream_statuses(spark, settings)
    if as_json:
        show_json({"tables": [asdict(t) for t in tables], "streams": [asdict(s) for s in streams]})
        return
    show_grid("tables", ["table", "rows", "newest event (UTC)", "version"],
              [[t.table, t.rows, t.newest, t.version] for t in tables])  # fmt: skip
    show_grid("streams", ["stream", "last batch", "lag"],
              [[s.stream, s.last_batch, s.lag] for s in streams])  # fmt: skip


def table_statuses(spark: SparkSession, config: Config) -> list[TableStatus]:
    """Count all tables in one Spark job."""
    tables = existing_tables(spark, config)
    if not tables:
        return []
    counts = [
        spark.read.format("delta")
        .load(path_of(config, table))
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.max(F.expr(_time_of(table))).cast("timestamp").alias("newest"),
        )
        .withColumn("table", F.lit(table.name))
        for table in tables
    ]
    found = {row["table"]: row for row in reduce(DataFrame.unionByName, counts).collect()}
    return [
        TableStatus(
            table.name,
            found[table.name]["rows"],
            found[table.name]["newest"],
            latest_version(spark, path_of(config, table)),
        )
        for table in tables
    ]


def _time_of(table: Table) -> str:
    timed = {f.name for f in table.schema if isinstance(f.dataType, TimestampType | DateType)}
    return next((name for name in _TIMES if name in timed), "NULL") if timed else "NULL"


def stream_statuses(spark: SparkSession, config: Config) -> list[StreamStatus]:
    """Read the checkpoints; the ingest jobs' lag comes from the broker's end offsets."""
    topics = config.kafka.topics
    return [
        StreamStatus("ingest_transactions", _last_batch(config, "ingest_transactions"),
                     _kafka_lag(spark, config, topics.transactions, BRONZE_TRANSACTIONS)),
        StreamStatus("ingest_fraud_scores", _last_batch(config, "ingest_fraud_scores"),
                     _kafka_lag(spark, config, topics.fraud_scores, BRONZE_FRAUD_SCORES)),
        StreamStatus("enrich_live", _last_batch(config, "enrich_live"), "-"),
        StreamStatus("consolidate", _last_batch(config, "consolidate"), "-"),
    ]  # fmt: skip


def _last_batch(config: Config, job: str) -> int | None:
    commits = Path(config.lake.checkpoints) / job / "commits"
    numbers = [int(path.name) for path in commits.glob("*") if path.name.isdigit()]
    return max(numbers, default=None)


def _kafka_lag(spark: SparkSession, config: Config, topic: str, table: Table) -> str:
    try:
        ends = end_offsets(config.kafka, topic)
    except LakehouseError:
        return "broker does not answer"
    if table not in existing_tables(spark, config):
        return f"{sum(ends.values())} records"
    landed = (
        spark.read.format("delta")
        .load(path_of(config, table))
        .groupBy("partition")
        .agg(F.max("offset").alias("offset"))
    )
    behind = {row["partition"]: row["offset"] + 1 for row in landed.collect()}
    return f"{sum(end - behind.get(partition, 0) for partition, end in ends.items())} records"
