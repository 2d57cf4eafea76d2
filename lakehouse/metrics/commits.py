"""What commits say of themselves, as figures: pure, over Delta's `commitInfo`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from lakehouse.metrics.points import Metric, Point, point

_CHANGES_NO_ROW = ("OPTIMIZE", "VACUUM START", "VACUUM END")
_ROWS = (
    "numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted", "numDeletedRows",
    "numUpdatedRows",
)  # fmt: skip
_FILES = ("numFiles", "numTargetFilesAdded", "numAddedFiles")
_BYTES = ("numOutputBytes", "numTargetBytesAdded", "numAddedBytes")


@dataclass(frozen=True)
class Commit:
    """One commit: when (UTC), rows that it changed, files and bytes that it added."""

    at: datetime
    rows: int
    files: int
    size: int

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Self | None:
        """From what it says; None where that counts nothing, as the creation of a table."""
        told = info.get("operationMetrics") or {}
        if not told:
            return None
        rows = _sum(told, _ROWS)
        # an insert alone says its rows so; of a MERGE these are also rows copied unchanged
        if not any(name in told for name in _ROWS):
            rows = int(told.get("numOutputRows", 0))
        is_housekeeping = info.get("operation") in _CHANGES_NO_ROW
        milliseconds = info.get("inCommitTimestamp") or info["timestamp"]
        at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        return cls(at, 0 if is_housekeeping else rows, _sum(told, _FILES), _sum(told, _BYTES))


def points_of_commit(commit: Commit, table: str, before: datetime | None) -> list[Point]:
    """Its figures; a rate where the commit `before` it is known."""
    found = [
        point(Metric.ROWS_OUT, table, commit.at, commit.rows),
        point(Metric.FILES, table, commit.at, commit.files),
        point(Metric.BYTES, table, commit.at, commit.size),
    ]
    seconds = (commit.at - before).total_seconds() if before else 0.0
    if seconds > 0:
        rate = round(commit.rows / seconds, 3)
        found.append(point(Metric.ROWS_PER_SECOND, table, commit.at, rate))
    return found


def _sum(told: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return sum(int(told.get(name, 0)) for name in names)
