"""How far each stream has come, and what waits for it.

A stream that reads Kafka is so many records behind, by what has landed; one that reads tables so
many of their versions, by its checkpoint; a follower of Gold so many Gold versions, by its own
position. A version counts whatever is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.checkpoint import Checkpoint
from lakehouse.cli.topics import seen_now
from lakehouse.config import Config
from lakehouse.delta import exists, latest_version, path_of, table_id
from lakehouse.errors import BrokerUnreachableError, ServiceError
from lakehouse.tables import (
    BRONZE_DROP_FILES,
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    GOLD_HISTORY_CHAIN,
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_CORRECTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    SILVER_OFFLINE_SCORES,
    Table,
)

_NOTHING_YET = -1
READ_BY_STREAM: Mapping[str, tuple[Table, ...]] = {
    "enrich_live": (BRONZE_TRANSACTIONS, BRONZE_FRAUD_SCORES, SILVER_CORRECTIONS),
    "consolidate": (
        SILVER_LIVE_TRANSACTIONS, SILVER_BATCH_TRANSACTIONS, SILVER_MONEY_EVENTS,
        SILVER_FRAUD_SCORES, SILVER_OFFLINE_SCORES,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class StreamStatus:
    """One stream: its last finished micro-batch (of a follower: Gold version), and what waits.

    `behind` counts records or versions, as `lag` says; None where nobody can tell.
    """

    stream: str
    last_batch: int | None
    behind: int | None
    lag: str


def stream_statuses(spark: SparkSession, config: Config) -> list[StreamStatus]:
    """Every stream, in the order of the flow."""
    lake = _Lake(spark, config)
    topics = config.kafka.topics
    return [
        _of_topic(lake, "ingest_transactions", topics.transactions, BRONZE_TRANSACTIONS),
        _of_topic(lake, "ingest_fraud_scores", topics.fraud_scores, BRONZE_FRAUD_SCORES),
        *(_of_tables(lake, job, tables) for job, tables in READ_BY_STREAM.items()),
        _of_gold(lake, "record_history", lake.recorded_through()),
        _of_gold(lake, "sync_dynamodb", lake.pushed_through()),
    ]


def versions_behind(spark: SparkSession, config: Config) -> dict[str, int]:
    """How many versions of what it reads each job behind Bronze has not read yet."""
    lake = _Lake(spark, config)
    read = {**READ_BY_STREAM, "build_batch": (BRONZE_DROP_FILES,)}
    streams = [
        *(_of_tables(lake, job, tables) for job, tables in read.items()),
        _of_gold(lake, "record_history", lake.recorded_through()),
        _of_gold(lake, "sync_dynamodb", lake.pushed_through()),
    ]
    return {each.stream: each.behind or 0 for each in streams}


class _Lake:
    """What the files of a lake say of its streams; each table is asked once."""

    def __init__(self, spark: SparkSession, config: Config) -> None:
        self.spark, self.config = spark, config
        self._newest: dict[str, int | None] = {}

    def newest(self, table: Table) -> int | None:
        """The newest version of a table; None where no job has created it."""
        path = path_of(self.config, table)
        if path not in self._newest:
            is_there = exists(self.spark, path)
            self._newest[path] = latest_version(self.spark, path) if is_there else None
        return self._newest[path]

    def id_of(self, table: Table) -> str:
        """Delta's id of a table that exists."""
        return table_id(self.spark, path_of(self.config, table))

    def checkpoint(self, job: str) -> Checkpoint:
        """What a job's stream has read."""
        return Checkpoint(self.spark, self.config, job)

    def recorded_through(self) -> int:
        """The Gold version up to which history is complete."""
        if self.newest(GOLD_HISTORY_CHAIN) is None:
            return _NOTHING_YET
        chain = self.spark.read.format("delta").load(path_of(self.config, GOLD_HISTORY_CHAIN))
        newest = chain.agg(F.max("gold_version")).first()
        return int(newest[0]) if newest and newest[0] is not None else _NOTHING_YET

    def pushed_through(self) -> int:
        """The Gold version up to which DynamoDB was told: the name of a file in its checkpoint."""
        if self.newest(GOLD_TRANSACTIONS) is None:
            return _NOTHING_YET
        names = self.checkpoint("sync_dynamodb").names(self.id_of(GOLD_TRANSACTIONS))
        versions = [int(n.removeprefix("through-")) for n in names if n.startswith("through-")]
        return max(versions, default=_NOTHING_YET)


def _of_topic(lake: _Lake, job: str, topic: str, table: Table) -> StreamStatus:
    last_batch = lake.checkpoint(job).last_batch()
    try:
        now = seen_now(lake.config.kafka, topic)
    except BrokerUnreachableError as fault:
        return StreamStatus(job, last_batch, None, f"no broker answers at {fault.servers}")
    except ServiceError as fault:
        return StreamStatus(job, last_batch, None, str(fault))
    landed: dict[int, int] = {}
    if lake.newest(table) is not None:
        rows = lake.spark.read.format("delta").load(path_of(lake.config, table))
        own = rows.where((F.col("topic") == topic) & (F.col("topic_id") == now.topic_id))
        greatest = own.groupBy("partition").agg(F.max("offset"))
        landed = {row[0]: row[1] + 1 for row in greatest.collect()}
    behind = sum(max(0, end - landed.get(partition, 0)) for partition, end in now.end.items())
    return StreamStatus(job, last_batch, behind, how_many(behind, "record"))


def _of_tables(lake: _Lake, job: str, tables: tuple[Table, ...]) -> StreamStatus:
    checkpoint = lake.checkpoint(job)
    last_batch, read = checkpoint.last_batch(), checkpoint.next_versions()
    behind = {}
    for table in tables:
        newest = lake.newest(table)
        if newest is not None:
            # version 0 creates a table and holds no row
            reached = read.get(lake.id_of(table), 1)
            behind[table.name] = max(0, newest + 1 - reached)
    total = sum(behind.values())
    late = [f"{how_many(count, 'version')} of {name}" for name, count in behind.items() if count]
    return StreamStatus(job, last_batch, total, ", ".join(late) or how_many(0, "version"))


def _of_gold(lake: _Lake, job: str, through: int) -> StreamStatus:
    newest = lake.newest(GOLD_TRANSACTIONS)
    behind = max(0, (_NOTHING_YET if newest is None else newest) - through)
    last = through if through > _NOTHING_YET else None
    late = f" of {GOLD_TRANSACTIONS.name}" if behind else ""
    return StreamStatus(job, last, behind, how_many(behind, "version") + late)


def how_many(count: int, what: str) -> str:
    """A number of things, in words."""
    return f"{count} {what}{'' if count == 1 else 's'}"
