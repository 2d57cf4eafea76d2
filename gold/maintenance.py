"""What maintenance decides: what to compact, how long to keep, what is still to be read; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.config import MaintenanceSettings

Partition = Mapping[str, str | None]

RETENTION = ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration")
STATISTICS = "delta.dataSkippingStatsColumns"

# versions that leave every row as it was
_WITHOUT_ROWS = frozenset(
    {"CREATE TABLE", "OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES"}
)
_INTERVAL = re.compile(r"interval (\d+) (hour|day|week)s?", re.IGNORECASE)
_DAYS_OF = {"hour": 1 / 24, "day": 1.0, "week": 7.0}
# a commit is some time younger than the files that it names
_SLACK = timedelta(days=1)


@dataclass(frozen=True)
class Version:
    """A version of a table: when it was committed, in UTC, and by which operation."""

    number: int
    committed_at: datetime
    operation: str


def crowded(
    files: DataFrame, partitioned_by: Sequence[str], settings: MaintenanceSettings
) -> list[Partition]:
    """Partitions with so many small files that they are worth rewriting, the most crowded first.

    `files` are (partitionValues, size in bytes); small is below half the target. A table that has
    no partitions is one, without a column.
    """
    values = [F.col("partitionValues")[name].alias(name) for name in partitioned_by]
    small = files.where(F.col("size") < small_bytes(settings))
    counted = small.groupBy(*values).agg(F.count("*").alias("files"))
    found = counted.where(F.col("files") >= settings.small_files)
    first = found.orderBy(F.desc("files"), *partitioned_by).limit(settings.partitions_per_run)
    return [{name: row[name] for name in partitioned_by} for row in first.collect()]


def target_bytes(settings: MaintenanceSettings) -> int:
    """How large a file may become."""
    return settings.target_file_mb * 1024 * 1024


def small_bytes(settings: MaintenanceSettings) -> int:
    """A file below this size is rewritten together with others."""
    return target_bytes(settings) // 2


def in_partitions(partitions: Iterable[Partition]) -> str:
    """SQL condition on partition columns: in one of these."""

    def matches(column: str, value: str | None) -> str:
        return f"`{column}` IS NULL" if value is None else f"`{column}` = '{_escaped(value)}'"

    each = [" AND ".join(matches(*pair) for pair in one.items()) for one in partitions]
    return " OR ".join(f"({condition})" for condition in each)


def corrections(stored: Mapping[str, str], declared: Mapping[str, str]) -> dict[str, str]:
    """Properties to set, so that the table keeps no less and no other statistics than declared."""
    wanted = {}
    for name in RETENTION:
        if days_of(stored.get(name, "")) < days_of(declared[name]):
            wanted[name] = declared[name]
    if STATISTICS in declared and stored.get(STATISTICS) != declared[STATISTICS]:
        wanted[STATISTICS] = declared[STATISTICS]
    return wanted


def days_of(interval: str) -> float:
    """The days of a Delta interval such as `interval 90 days`; 0 where it is none that we set."""
    found = _INTERVAL.fullmatch(interval.strip())
    return int(found[1]) * _DAYS_OF[found[2].lower()] if found else 0.0


def has_expired(versions: Iterable[Version], cutoff: datetime) -> bool:
    """Whether a version is so old that VACUUM could have something to delete."""
    return any(version.committed_at <= cutoff for version in versions)


def unread(versions: Iterable[Version], read_through: int, cutoff: datetime) -> int | None:
    """The first version with rows that is too old to be kept, and unread; None where none is."""
    at_risk = [
        version.number
        for version in versions
        if version.number > read_through
        and version.committed_at <= cutoff + _SLACK
        and version.operation not in _WITHOUT_ROWS
    ]
    return min(at_risk, default=None)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
