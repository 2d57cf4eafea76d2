"""Which delivered batches are held, by the verdicts of `silver.quality_batches`.

A verdict names files. A file is held back while no later verdict has let it through: it counts as
if it had never been loaded, so that what it would supersede stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Self

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.records.codes import BatchVerdict, Verdict

Content = tuple[str, int]
"""A path and a revision of its file."""


def batch_of(path: str) -> str:
    """The batch of a delivered file: its folder below landing/."""
    return path.rpartition("/")[0]


def day_of(batch: str) -> date:
    """The day of delivery of a batch."""
    return date.fromisoformat(batch.rpartition("/date=")[2])


def content_hash(standing: Iterable[Content]) -> str:
    """Which files stand in a batch, as 16 hexadecimal digits."""
    lines = [f"{path}@{revision}" for path, revision in sorted(standing)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class GivenVerdict:
    """One row of `silver.quality_batches`."""

    batch: str
    content: str
    files: frozenset[Content]
    verdict: BatchVerdict
    failed: tuple[str, ...]
    reason: str | None
    recorded_at: datetime


@dataclass(frozen=True)
class Ledger:
    """All verdicts given so far."""

    verdicts: Sequence[GivenVerdict] = ()

    @classmethod
    def of(cls, batches: DataFrame) -> Self:
        """Read rows of `silver.quality_batches`."""
        rows = batches.select(
            "batch", "content", "files", "verdict", "failed", "reason", "recorded_at"
        ).collect()
        return cls(
            [
                GivenVerdict(
                    row["batch"],
                    row["content"],
                    frozenset((file["path"], file["file_revision"]) for file in row["files"]),
                    BatchVerdict(row["verdict"]),
                    tuple(row["failed"]),
                    row["reason"],
                    # PySpark gives the machine's local time
                    row["recorded_at"].astimezone(UTC),
                )
                for row in rows
            ]
        )

    @property
    def let_through(self) -> frozenset[Content]:
        """Files that a verdict has let through: nothing holds them back any more."""
        through = (v.files for v in self.verdicts if v.verdict is BatchVerdict.PUBLISHED)
        return frozenset(content for files in through for content in files)

    @property
    def held_back(self) -> frozenset[Content]:
        """Files that no verdict has let through."""
        held: set[Content] = set()
        for verdict in self.verdicts:
            if verdict.verdict is not BatchVerdict.PUBLISHED:
                held |= verdict.files
        return frozenset(held) - self.let_through

    @property
    def waiting(self) -> frozenset[str]:
        """Batches with files that are held back, released or not."""
        return frozenset(batch_of(path) for path, _ in self.held_back)

    def is_published(self, batch: str, content: str) -> bool:
        """Whether exactly these files of the batch went through: they do not come back."""
        return self._says(BatchVerdict.PUBLISHED, batch, content) is not None

    def release_of(self, batch: str, content: str) -> GivenVerdict | None:
        """The release of exactly these files of the batch."""
        return self._says(BatchVerdict.RELEASED, batch, content)

    def hold_of(self, batch: str) -> GivenVerdict | None:
        """The newest verdict that holds a batch which is still waiting."""
        if batch not in self.waiting:
            return None
        holds = [v for v in self.verdicts if (v.batch, v.verdict) == (batch, BatchVerdict.HELD)]
        return max(holds, key=lambda verdict: verdict.recorded_at, default=None)

    def _says(self, verdict: BatchVerdict, batch: str, content: str) -> GivenVerdict | None:
        wanted = (verdict, batch, content)
        return next((v for v in self.verdicts if (v.verdict, v.batch, v.content) == wanted), None)


def with_held_back(files: DataFrame, batches: DataFrame) -> DataFrame:
    """Rows of `bronze.drop_files`, HELD where a gate of Silver holds the file back."""
    named = batches.select("verdict", F.explode("files").alias("file"))
    contents = named.groupBy("file.path", "file.file_revision").agg(
        F.max(F.col("verdict") == BatchVerdict.PUBLISHED.value).alias("_is_published")
    )
    is_held_back = F.coalesce(~F.col("_is_published"), F.lit(False))
    verdict = F.when(is_held_back, Verdict.HELD.value).otherwise(F.col("verdict"))
    marked = files.join(F.broadcast(contents), ["path", "file_revision"], "left")
    return marked.withColumn("verdict", verdict).select(*files.columns)
