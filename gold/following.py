"""How a job follows gold.transactions: version by version, behind a position of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.context import Lakehouse
from lakehouse.delta import latest_version, path_of, table_id
from lakehouse.errors import FollowerAheadError
from lakehouse.tables import GOLD_TRANSACTIONS

NOTHING_YET = -1
"""The position of a follower that has read no version."""


@dataclass(frozen=True)
class Span:
    """Gold versions that a follower reads in one run: behind `after`, up to `upto` inclusive."""

    after: int
    upto: int


def follow(lake: Lakehouse, step: Callable[[Lakehouse], None]) -> None:
    """Take one step; with `--trigger continuous` one every interval, until interrupted."""
    try:
        step(lake)
        while lake.trigger.mode == "continuous":
            time.sleep(lake.trigger.interval_seconds)
            step(lake)
    except KeyboardInterrupt:
        # how a continuous run ends; a single step was broken off
        if lake.trigger.mode != "continuous":
            raise


def span_behind(lake: Lakehouse, position: int) -> Span | None:
    """What a follower at `position` has still to read; None where it has read everything.

    One that runs on and on says so to its meter, too: it is behind until its next step.

    Raises:
        FollowerAheadError: the position is beyond Gold's newest version.
    """
    newest = newest_gold_version(lake)
    if position > newest:
        raise FollowerAheadError(GOLD_TRANSACTIONS.name, position, newest)
    if lake.trigger.mode == "continuous":
        lake.meter.stands_at(lake.spark, path_of(lake.config, GOLD_TRANSACTIONS), position)
    return None if position == newest else Span(position, newest)


def changes_in(lake: Lakehouse, span: Span) -> DataFrame:
    """The change feed of gold.transactions over exactly these versions."""
    feed = lake.changes(GOLD_TRANSACTIONS, after=span.after)
    # Gold may have gone on since the span was taken
    return feed.where(F.col("_commit_version") <= span.upto)


def newest_gold_version(lake: Lakehouse) -> int:
    """The version of gold.transactions now."""
    lake.read(GOLD_TRANSACTIONS)  # creates it where no job has written yet
    return latest_version(lake.spark, path_of(lake.config, GOLD_TRANSACTIONS))


def gold_table_id(lake: Lakehouse) -> str:
    """Delta's id of this very table: another one after it was dropped and created again."""
    lake.read(GOLD_TRANSACTIONS)  # creates it where no job has written yet
    return table_id(lake.spark, path_of(lake.config, GOLD_TRANSACTIONS))


def commit_file(lake: Lakehouse, version: int) -> bytes | None:
    """Delta's commit file of one Gold version; None where it is not there any more."""
    log = f"{path_of(lake.config, GOLD_TRANSACTIONS)}/_delta_log"
    commit, files = hadoop_path(lake, f"{log}/{version:020d}.json")
    if not files.exists(commit):
        return None
    if files.getScheme() == "file":
        # Hadoop's own reader refuses a changed byte by its checksum: the proof is to name it
        return Path(commit.toUri().getPath()).read_bytes()
    stream = files.open(commit)
    try:
        jvm: Any = lake.spark.sparkContext._jvm
        return bytes(jvm.org.apache.commons.io.IOUtils.toByteArray(stream))
    finally:
        stream.close()


def hadoop_path(lake: Lakehouse, place: str) -> tuple[Any, Any]:
    """A path, and the file system of this session that it is in: local, or S3 with credentials."""
    context: Any = lake.spark.sparkContext
    path = context._jvm.org.apache.hadoop.fs.Path(place)
    return path, path.getFileSystem(context._jsc.hadoopConfiguration())
