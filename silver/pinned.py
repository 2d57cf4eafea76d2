"""Tables as of one version each, so that all reads of a run tell of one state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Self

from delta.tables import DeltaTable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.context import Lakehouse
from lakehouse.delta import latest_version, path_of
from lakehouse.tables import SILVER_POLICIES, Table


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

        By the table's log, which `audit.working_days` keep: earlier commits may be missing.
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

    def _committed_at(self, table: Table, version: int) -> datetime:
        spark, path = self.lake.spark, path_of(self.lake.config, table)
        # newest first; its writer may have committed since the version was looked up
        newer = latest_version(spark, path) - version
        commits = DeltaTable.forPath(spark, path).history(newer + 1).select("version", "timestamp")
        found = {row["version"]: row["timestamp"] for row in commits.collect()}
        moment: datetime = found[version]
        return moment.astimezone(UTC)

    def published_policies(self) -> DataFrame:
        """What silver.policies said from when until when: one row per commit, few of them.

        `book` is the Delta version, `since` and `until` (exclusive, null while it stands) tell
        when it stood, `listed` holds policy_id, version, effective_date and effective_to of all
        its rows. Of what time travel does not reach any more the oldest that it reaches stands for
        all before: its `since` is null.
        """
        lake, table = self.lake, SILVER_POLICIES
        path = path_of(lake.config, table)
        horizon = lake.clock() - timedelta(days=lake.config.audit.horizon_days)
        commits = DeltaTable.forPath(lake.spark, path).history().select("version", "timestamp")
        found = sorted(
            (row["version"], row["timestamp"].astimezone(UTC))
            for row in commits.collect()
            if row["version"] <= self.versions[table.name]
        )
        ends = [since for _, since in found[1:]] + [None]
        kept = [
            (book, since, until)
            for (book, since), until in zip(found, ends, strict=True)
            if until is None or until > horizon
        ]
        row = F.struct("policy_id", "version", "effective_date", "effective_to")
        books = [
            lake.read(table, book)
            .agg(F.collect_list(row).alias("listed"))
            .select(
                F.lit(book).cast("long").alias("book"),
                F.lit(since if place else None).cast("timestamp").alias("since"),
                F.lit(until).cast("timestamp").alias("until"),
                "listed",
            )
            for place, (book, since, until) in enumerate(kept)
        ]
        return reduce(DataFrame.unionByName, books)
