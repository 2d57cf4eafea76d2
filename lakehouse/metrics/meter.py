"""What one run measures of its streams and tables, outside of the threads that do its work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.delta import commit_info, known_version, latest_version
from lakehouse.metrics.commits import Commit, points_of_commit
from lakehouse.metrics.listening import Heard, listen, unheard
from lakehouse.metrics.points import Metric, Point, point
from lakehouse.metrics.progress import (
    Progress,
    begun_at,
    next_versions,
    points_of_progress,
    processed,
)
from lakehouse.metrics.sending import Take
from lakehouse.monitoring import log

Ends = Callable[[str], Mapping[int, int]]

_LAST_WORD_SECONDS = 1.0  # Spark tells of a query's end behind its end
_LOOK_SECONDS = 30.0  # from look to look at the newest versions of tables that a stream reads
_MOST_COMMITS = 1_000  # of one table between two looks


class Meter:
    """The figures of one run; one that was given no `take` measures nothing.

    A job's thread only names what it does: `tick`, which the sender's thread calls, looks at
    what Delta knows of it. `ends` asks the broker up to where each partition of a topic is written.
    """

    def __init__(
        self,
        job: str = "",
        run_id: str = "",
        take: Take | None = None,
        ends: Ends = lambda _: {},
    ) -> None:
        self._job, self._run_id, self._take, self._ends = job, run_id, take, ends
        self._began = datetime.now(UTC)
        self._spark: SparkSession | None = None
        self._heard: Heard | None = None
        self._bounds: list[Progress] = []  # the first micro-batch, and the last
        self._starting: dict[str, Mapping[int, int]] = {}
        self._begun: dict[str, int | None] = {}  # of a table's path: its next version then
        self._is_endless = False
        self._written: dict[str, str] = {}  # paths of tables, by name
        self._seen: dict[str, tuple[int, datetime | None]] = {}  # last version, and when
        self._looked = -_LOOK_SECONDS

    @property
    def progress(self) -> Sequence[Progress]:
        """The first micro-batch of this run and the last; nothing of a run without any."""
        return tuple(self._bounds)

    def take(self, points: Sequence[Point]) -> None:
        """Take figures that a job has at hand."""
        if self._take:
            self._take(points)

    def follow(self, spark: SparkSession, is_endless: bool) -> None:
        """Hear of each micro-batch of the query that the job starts now.

        Versions behind are told only of one that is `is_endless`: another one reads what there is,
        and ends; what comes meanwhile is for the next run.
        """
        self._is_endless = is_endless
        if not self._take:
            return
        with suppress(Exception):
            self._spark = spark
            self._heard = listen(spark, self._job, self._progressed)

    def begins(self, topic: str, starting: Mapping[int, int]) -> None:
        """The stream that the job starts now reads a topic from these offsets on."""
        self._starting[topic] = starting

    def reads(self, spark: SparkSession, path: str) -> None:
        """The stream that the job starts now reads the table at this path."""
        self._spark = spark
        self._begun[path] = None

    def stands_at(self, spark: SparkSession, path: str, version: int) -> None:
        """The job, which goes on step by step, has read the table at this path up to a version."""
        self._spark, self._is_endless = spark, True
        self._begun[path] = version + 1

    def writes(self, spark: SparkSession, table: str, path: str) -> None:
        """The job is about to commit to a table."""
        self._spark = spark
        self._written[table] = path

    def tick(self) -> list[Point]:
        """What has happened since the last time: commits, and versions that a stream is behind."""
        found: list[Point] = []
        if not self._take:
            return found
        is_due = time.monotonic() - self._looked >= _LOOK_SECONDS
        if self._spark is not None:
            for table, path in tuple(self._written.items()):
                # of one table nothing may be known; the others are told of
                with suppress(Exception):
                    found += self._committed(self._spark, table, path)
            if is_due and self._is_endless:
                with suppress(Exception):
                    found += self._behind(self._spark)
        if is_due:
            self._looked = time.monotonic()
            with suppress(Exception):
                found += self._waiting()
        return found

    def close(self) -> None:
        """Wait for what Spark has still to say of the query, a second at most; hear no more."""
        if self._heard and self._spark:
            self._heard.ended.wait(_LAST_WORD_SECONDS)
            unheard(self._spark, self._job)
        self._looked = -_LOOK_SECONDS

    def _progressed(self, told: Mapping[str, Any]) -> None:
        progress = begun_at(told, self._starting)
        self._bounds = [*self._bounds[:1], progress]
        self.take(points_of_progress(progress, self._job, datetime.now(UTC)))

    def _behind(self, spark: SparkSession) -> list[Point]:
        versions = next_versions(self._bounds[-1]) if self._bounds else self._begun_at(spark)
        if not versions:
            return []
        behind = sum(
            max(0, latest_version(spark, path) + 1 - following)
            for path, following in versions.items()
        )
        return [point(Metric.VERSIONS_BEHIND, self._job, datetime.now(UTC), behind)]

    def _begun_at(self, spark: SparkSession) -> dict[str, int]:
        """Before the first micro-batch has ended: where tables stood at the first look.

        A stream that hangs in it has read at most that, so it is behind by more than is told.
        """
        for path, following in tuple(self._begun.items()):
            if following is None:
                self._begun[path] = latest_version(spark, path) + 1
        return {path: version for path, version in self._begun.items() if version is not None}

    def _waiting(self) -> list[Point]:
        """What waits in each partition, the micro-batch that is under way included.

        A stream tells of its lag as its micro-batch began: nothing while it is idle or stuck, and
        of a busy one not what came meanwhile.
        """
        done_of = processed(self._bounds[-1]) if self._bounds else self._starting
        return [
            point(
                Metric.CONSUMER_LAG,
                f"{self._job}/{partition}",
                datetime.now(UTC),
                max(0, end - done),
            )
            for topic, offsets in done_of.items()
            for ends in [self._ends(topic)]
            for partition, done in offsets.items()
            for end in [ends.get(partition, done)]
        ]

    def _committed(self, spark: SparkSession, table: str, path: str) -> list[Point]:
        found: list[Point] = []
        last, before = self._seen.get(table, (-1, None))
        # looked up once: what is committed meanwhile is for the next time
        newest = known_version(spark, path)
        for version, commit in reversed([*self._between(spark, path, last, newest)]):
            found += points_of_commit(commit, table, before)
            before = commit.at
            log(
                "committed", job=self._job, run_id=self._run_id, table=table, version=version,
                rows=commit.rows, counts={"files": commit.files, "bytes": commit.size},
            )  # fmt: skip
        self._seen[table] = (newest, before)
        return found

    def _between(
        self, spark: SparkSession, path: str, last: int, newest: int
    ) -> Iterator[tuple[int, Commit]]:
        """Commits behind `last`, the newest first; at the first look, those of this run."""
        for version in range(newest, max(last, newest - _MOST_COMMITS), -1):
            commit = Commit.of(commit_info(spark, path, version))
            if commit and last < 0 and commit.at < self._began:
                return
            if commit:
                yield version, commit
