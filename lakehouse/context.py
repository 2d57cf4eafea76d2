"""The lakehouse that a job sees: tables, topics and the clock, behind one small door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from lakehouse import delta, kafka
from lakehouse.checkpoint import Checkpoint
from lakehouse.config import Config
from lakehouse.intervals import told
from lakehouse.lease import Lease, awaited_lease
from lakehouse.metrics.meter import Meter
from lakehouse.monitoring import about
from lakehouse.runs import Recorded
from lakehouse.tables import Table

# Delta's own bound, which no longer holds by itself where bytes are bounded
_MOST_FILES = 1_000
# a commit is some time younger than the files that it names
_SLACK = timedelta(days=1)


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
    record: Recorded = field(default_factory=Recorded)  # of the run table
    meter: Meter = field(default_factory=Meter)
    _there: set[str] = field(default_factory=set)  # paths of tables that were seen to exist

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """Rows of a table, now or as of a version; a table that nobody wrote yet is empty."""
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        path = self._ensured(table)
        rows = reader.load(path)
        delta.check_schema(rows, table)
        if table.name not in self.record.inputs:
            # a micro-batch reads the same tables again: to look each time would cost it
            known = delta.known_version(self.spark, path) if version is None else version
            self.record.inputs[table.name] = str(known)
        return rows

    def changes(self, table: Table, after: int) -> DataFrame:
        """The change feed of a table behind version `after`, with Delta's `_commit_*` columns."""
        path = self._ensured(table)
        feed = (
            self.spark.read.format("delta")
            .option("readChangeFeed", "true")
            .option("startingVersion", after + 1)
            .load(path)
        )
        upto = delta.known_version(self.spark, path)
        self.record.inputs[table.name] = told(after + 1, upto)
        return feed

    def stream(
        self, table: Table, with_versions: bool = False, is_bounded: bool = False
    ) -> DataFrame:
        """New rows of an append-only table; `with_versions` adds Delta's `_commit_*` columns.

        Where it `is_bounded`, a micro-batch is larger than `trigger.max_batch_mb` by one file at
        most, and has no more than 1,000 of them.

        Without a checkpoint it begins with all rows. They have each its own version where the table
        still has all of its past; else they have the version that the table stands at.
        """
        reader, path = self.spark.readStream.format("delta"), self._ensured(table)
        self.meter.reads(self.spark, path)
        if is_bounded:
            reader = reader.options(
                maxBytesPerTrigger=f"{self.config.trigger.max_batch_mb}m",
                maxFilesPerTrigger=_MOST_FILES,
            )
        if with_versions:
            reader = reader.option("readChangeFeed", "true")
            # Delta asks for this version though a checkpoint says where to go on
            if self.has_all_versions(table):
                reader = reader.option("startingVersion", 0)
        return reader.load(path)

    def topic(self, topic: kafka.Topic, starting: Mapping[int, int]) -> DataFrame:
        """Records of a topic from these offsets on, whatever a stream before has read of it.

        Only its offsets say where a topic goes on, so the stream begins a new checkpoint.
        """
        self.checkpoint.delete()
        self.meter.begins(topic.name, starting)
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
                # Spark calls from threads of its own, which know nothing of the run
                with about(job=self.job, run_id=self.record.run_id, batch=number):
                    process(batch_rows, Batch(query_id, number))
            except Exception as fault:
                self.faults.append(fault)
                raise

        self.meter.follow(self.spark, is_endless=self.trigger.mode == "continuous")
        writer = rows.writeStream.foreachBatch(checked).queryName(self.job)
        writer = writer.option("checkpointLocation", self.checkpoint.path)
        if self.trigger.mode == "once":
            return writer.trigger(availableNow=True).start()
        return writer.trigger(processingTime=f"{self.trigger.interval_seconds} seconds").start()

    @property
    def checkpoint(self) -> Checkpoint:
        """What this job's stream has read; a topic goes on behind its table instead."""
        return Checkpoint(self.spark, self.config, self.job)

    def append(
        self, rows: DataFrame, to: Table, batch: Batch | None = None, behind: int | None = None
    ) -> None:
        """Append rows; with a `batch`, a second append of that batch to that table is skipped.

        `behind` is the turn that was the last before anything was read.

        Raises:
            OvertakenError: another run has taken a turn since; nothing was appended.
        """
        self.lease.check()
        path = self._ensured(to)
        self._note(to, path)
        writer = rows.select(*to.columns).write.format("delta").mode("append")
        if batch is not None:
            writer = writer.option("txnAppId", f"{self.job}/{batch.query_id}").option(
                "txnVersion", batch.number
            )
        if behind is None:
            writer.save(path)
        else:
            with delta.ensured(self.spark, to.name):
                writer.options(**delta.behind_turn(to, behind)).save(path)

    def writable(self, table: Table, behind: int | None = None) -> DeltaTable:
        """The table for a MERGE; the lease is checked now, so commit soon.

        `behind` is the turn that was the last before anything was read: the commit must be the
        first since then that takes one. `delta.ensured` tells whether it was.
        """
        path = self._ensured(table)
        self._note(table, path)
        self.lease.check()
        if behind is None:
            return DeltaTable.forPath(self.spark, path)
        return DeltaTable.forPath(delta.session_behind(self.spark, table, behind), path)

    def version(self, table: Table) -> int:
        """The newest version of a table; runs no query."""
        return delta.latest_version(self.spark, self._ensured(table))

    def known_version(self, table: Table) -> int:
        """The newest version that this run has seen, its own commits included; lists no log."""
        return delta.known_version(self.spark, self._ensured(table))

    def turn(self, table: Table) -> int:
        """The last turn that a commit to a table has taken; note it before anything is read."""
        return delta.last_turn(self.spark, self._ensured(table), table)

    def has_all_versions(self, table: Table) -> bool:
        """Whether a table still has all of its past, from its first commit on, files and log."""
        first = delta.first_commit_at(self.spark, self._ensured(table))
        # a log that is short keeps its first commit, though VACUUM has taken files of it
        kept = timedelta(days=delta.kept_days(table, self.config.audit)) - _SLACK
        return first is not None and self.clock() - first < kept

    def _note(self, table: Table, path: str) -> None:
        """Of a table to which this run is about to commit."""
        self.meter.writes(self.spark, table.name, path)
        if table.name not in self.record.stood:
            self.record.stood[table.name] = delta.latest_version(self.spark, path)

    def _ensured(self, table: Table) -> str:
        path = delta.path_of(self.config, table)
        # a micro-batch opens the same tables again: to look each time would cost it
        if path in self._there:
            return path
        if not delta.exists(self.spark, path):
            # two jobs may meet a missing table at once: one creates it, the other waits
            with awaited_lease(self.config, f"create-{table.name}"):
                if not delta.exists(self.spark, path):
                    self.record.stood[table.name] = -1
                    delta.create(self.spark, self.config, table)
        self._there.add(path)
        return path
