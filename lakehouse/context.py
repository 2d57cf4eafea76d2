"""The lakehouse that a job sees: tables, topics and the clock, behind one small door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from lakehouse import delta, kafka
from lakehouse.checkpoint import Checkpoint
from lakehouse.config import Config
from lakehouse.lease import Lease, awaited_lease
from lakehouse.tables import Table


@dataclass(frozen=True)
class Batch:
    """One micro-batch: `query_id` lives and dies with the checkpoint, `number` rises in it."""

    query_id: str
    number: int


@dataclass(frozen=True)
class Trigger:
    """How long a streaming job runs: all that is there now (`once`), or until stopped."""

    mode: str
    interval_seconds: int


@dataclass(frozen=True)
class Lakehouse:
    """Adapters of one run; nothing here knows what a job does."""

    config: Config
    spark: SparkSession
    job: str
    trigger: Trigger
    lease: Lease
    clock: Callable[[], datetime]
    faults: list[Exception] = field(default_factory=list)  # raised inside micro-batches

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """Rows of a table, now or as of a version; a table that nobody wrote yet is empty."""
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        rows = reader.load(self._ensured(table))
        delta.check_schema(rows, table)
        return rows

    def changes(self, table: Table, after: int) -> DataFrame:
        """The change feed of a table behind version `after`, with Delta's `_commit_*` columns."""
        return (
            self.spark.read.format("delta")
            .option("readChangeFeed", "true")
            .option("startingVersion", after + 1)
            .load(self._ensured(table))
        )

    def stream(self, table: Table, with_versions: bool = False) -> DataFrame:
        """New rows of an append-only table; `with_versions` adds Delta's `_commit_*` columns."""
        reader = self.spark.readStream.format("delta")
        if with_versions:
            reader = reader.option("readChangeFeed", "true").option("startingVersion", 0)
        return reader.load(self._ensured(table))

    def topic(self, topic: kafka.Topic, starting: Mapping[int, int]) -> DataFrame:
        """Records of a topic from these offsets on, whatever a stream before has read of it.

        Only its offsets say where a topic goes on, so the stream begins a new checkpoint.
        """
        self.checkpoint.delete()
        options = kafka.reader_options(self.config.kafka, topic.name, starting)
        return self.spark.readStream.format("kafka").options(**options).load()

    def each_batch(
        self, rows: DataFrame, process: Callable[[DataFrame, Batch], None]
    ) -> StreamingQuery:
        """Hand each micro-batch to `process`, which may see it again after a crash."""

        def checked(batch_rows: DataFrame, number: int) -> None:
            context = batch_rows.sparkSession.sparkContext
            query_id = context.getLocalProperty("sql.streaming.queryId")
            try:
                if not query_id:
                    # without it, the first batches of a new checkpoint would look like old ones
                    raise RuntimeError("Spark gave no id of the streaming query to its micro-batch")
                self.lease.check()
                process(batch_rows, Batch(query_id, number))
            except Exception as fault:
                self.faults.append(fault)
                raise

        writer = rows.writeStream.foreachBatch(checked).queryName(self.job)
        writer = writer.option("checkpointLocation", self.checkpoint.path)
        if self.trigger.mode == "once":
            return writer.trigger(availableNow=True).start()
        return writer.trigger(processingTime=f"{self.trigger.interval_seconds} seconds").start()

    @property
    def checkpoint(self) -> Checkpoint:
        """What this job's stream has read; a topic goes on behind its table instead."""
        return Checkpoint(self.spark, self.config, self.job)

    def append(self, rows: DataFrame, to: Table, batch: Batch | None = None) -> None:
        """Append rows; with a `batch`, a second append of that batch to that table is skipped."""
        self.lease.check()
        writer = rows.select(*to.columns).write.format("delta").mode("append")
        if batch is not None:
            writer = writer.option("txnAppId", f"{self.job}/{batch.query_id}").option(
                "txnVersion", batch.number
            )
        writer.save(self._ensured(to))

    def writable(self, table: Table, behind: int | None = None) -> DeltaTable:
        """The table for a MERGE; the lease is checked now, so commit soon.

        `behind` is a version that was the newest before anything was read: the commit must be the
        first since then that says so. `delta.ensure_committed` tells whether it was.
        """
        path = self._ensured(table)
        self.lease.check()
        if behind is None:
            return DeltaTable.forPath(self.spark, path)
        return DeltaTable.forPath(delta.behind_version(self.spark, table, behind), path)

    def version(self, table: Table) -> int:
        """The newest version of a table; runs no query."""
        return delta.latest_version(self.spark, self._ensured(table))

    def _ensured(self, table: Table) -> str:
        path = delta.path_of(self.config, table)
        if not delta.exists(self.spark, path):
            # two jobs may meet a missing table at once: one creates it, the other waits
            with awaited_lease(self.config, f"create-{table.name}"):
                delta.create(self.spark, self.config, table)
        return path
