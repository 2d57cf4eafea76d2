"""Tables as of one version each, so that all reads of a run tell of one state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from delta.tables import DeltaTable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.context import Lakehouse
from lakehouse.delta import latest_version, log_begins_at, path_of
from lakehouse.tables import Table


@dataclass(frozen=True)
class Pinned:
    """A lakehouse of which each table stands at the version it had when the run began."""

    lake: Lakehouse
    versions: Mapping[str, int]

    @classmethod
    def now(cls, lake: Lakehouse, tables: Sequence[Table]) -> Self:
        """These tables as they stand, looked up in this order."""
        versions = {}
        for table in tables:
            lake.read(table)  # creates it where nobody wrote yet
            versions[table.name] = latest_version(lake.spark, path_of(lake.config, table))
        return cls(lake, versions)

    def read(self, table: Table) -> DataFrame:
        """Rows of a table as of its version."""
        return self.lake.read(table, self.versions[table.name])

    def commits(self, table: Table, since: datetime) -> DataFrame:
        """Rows of an append-only table that were committed at or after `since`, `committed_at`.

        By the table's log, which `audit.working_days` keep: earlier commits may be missing
        (`commits_since` says from when on none is).
        """
        version = self.versions[table.name]
        if self._committed_at(table, version) < since:
            return (
                self.read(table).limit(0).withColumn("committed_at", F.lit(None).cast("timestamp"))
            )
        feed = (
            self.lake.spark.read.format("delta")
            .option("readChangeFeed", "true")
            .option("startingTimestamp", since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%fZ"))
            .option("endingVersion", version)
            .load(path_of(self.lake.config, table))
        )
        return feed.select(*table.columns, F.col("_commit_timestamp").alias("committed_at"))

    def commits_since(self, table: Table, since: datetime) -> datetime:
        """From when on `commits` has all: what is not among them was committed before that."""
        path = path_of(self.lake.config, table)
        return max(since, log_begins_at(self.lake.spark, path))

    def _committed_at(self, table: Table, version: int) -> datetime:
        spark, path = self.lake.spark, path_of(self.lake.config, table)
        # newest first; its writer may have committed since the version was looked up
        newer = latest_version(spark, path) - version
        commits = DeltaTable.forPath(spark, path).history(newer + 1).select("version", "timestamp")
        found = {row["version"]: row["timestamp"] for row in commits.collect()}
        moment: datetime = found[version]
        return moment.astimezone(UTC)
