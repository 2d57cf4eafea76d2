"""How a job follows gold.transactions: version by version, behind a position of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.context import Lakehouse
from lakehouse.delta import (
    commit_path,
    commit_times,
    kept_days,
    latest_version,
    oldest_version,
    path_of,
    table_id,
)
from lakehouse.errors import FollowerAheadError
from lakehouse.files import bytes_of, hadoop_path
from lakehouse.tables import GOLD_TRANSACTIONS

NOTHING_YET = -1
"""The position of a follower that has read no version."""

# a commit is some time younger than the files that it names
_SLACK = timedelta(days=1)


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


def kept_behind(lake: Lakehouse) -> int:
    """The version behind which Gold's change feed is whole, files and log; -1: it always was."""
    if lake.has_all_versions(GOLD_TRANSACTIONS):
        return NOTHING_YET
    path = path_of(lake.config, GOLD_TRANSACTIONS)
    # VACUUM spares what is younger, and a log may be longer than that
    since = lake.clock() - timedelta(days=kept_days(GOLD_TRANSACTIONS, lake.config.audit)) + _SLACK
    versions = [v for v, at in commit_times(lake.spark, path).items() if at > since]
    first = min(versions, default=newest_gold_version(lake) + 1)
    return max(first, oldest_version(lake.spark, path)) - 1


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
    place = commit_path(path_of(lake.config, GOLD_TRANSACTIONS), version)
    commit, files = hadoop_path(lake.spark, place)
    if files.getScheme() != "file":
        return bytes_of(lake.spark, place)
    # Hadoop's own reader refuses a changed byte by its checksum: the proof is to name it
    local = Path(commit.toUri().getPath())
    return local.read_bytes() if local.exists() else None
