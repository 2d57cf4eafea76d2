"""What is known of delivered files, and what a new look at landing/ makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bronze.landing import LandedFile
from lakehouse.records.codes import Verdict
from lakehouse.tables import BRONZE_DROP_FILES


class Content(NamedTuple):
    """One content of a path."""

    path: str
    file_sha256: str
    file_revision: int


class Entry(NamedTuple):
    """One row of the manifest."""

    content: Content
    size_bytes: int
    modified_ms: int
    verdict: str
    reason: str | None


@dataclass(frozen=True)
class Pending:
    """A file whose content is not loaded yet."""

    file: LandedFile
    content: Content


class Judgement(NamedTuple):
    """What becomes of a pending file: loaded, or held for a reason."""

    pending: Pending
    row_count: int
    reason: str | None


@dataclass(frozen=True)
class Manifest:
    """What `bronze.drop_files` says; a file that was held and is loaded later has two rows."""

    entries: frozenset[Entry] = field(default_factory=frozenset)

    @classmethod
    def of(cls, files: DataFrame) -> Manifest:
        """Read rows of `bronze.drop_files`."""
        rows = files.select(
            "path", "file_sha256", "file_revision", "size_bytes",
            F.unix_millis("modified_at").alias("modified_ms"), "verdict", "reason",
        ).collect()  # fmt: skip
        return cls(frozenset(Entry(Content(*row[:3]), *row[3:]) for row in rows))

    def is_settled(self, file: LandedFile) -> bool:
        """Whether the newest content of the path is loaded and the file looks untouched."""
        newest = self._newest(file.path)
        return any(
            entry.verdict == Verdict.LOADED
            and (entry.size_bytes, entry.modified_ms) == (file.size_bytes, file.modified_ms)
            for entry in newest
        )

    def is_loaded(self, content: Content) -> bool:
        """Whether the content is loaded."""
        return any(e.content == content and e.verdict == Verdict.LOADED for e in self.entries)

    def says(self, judgement: Judgement) -> bool:
        """Whether this is written down already: a file may be held for a reason once only."""
        news = (judgement.pending.content, _verdict(judgement.reason), judgement.reason)
        return any((e.content, e.verdict, e.reason) == news for e in self.entries)

    def content_of(self, path: str, file_sha256: str, landed: Iterable[Content]) -> Content:
        """Give a path's content its revision: that of the newest if it is equal, else the next.

        `landed` are contents that Bronze holds, perhaps from a run that died before it wrote here.
        """
        known = {entry.content for entry in self.entries} | set(landed)
        of_path = [content for content in known if content.path == path]
        newest = max(of_path, key=lambda content: content.file_revision, default=None)
        if newest is None:
            return Content(path, file_sha256, 0)
        if newest.file_sha256 == file_sha256:
            return newest
        return Content(path, file_sha256, newest.file_revision + 1)

    def _newest(self, path: str) -> list[Entry]:
        of_path = [entry for entry in self.entries if entry.content.path == path]
        revision = max((entry.content.file_revision for entry in of_path), default=-1)
        return [entry for entry in of_path if entry.content.file_revision == revision]


def manifest_rows(files: DataFrame, judgements: Iterable[Judgement]) -> DataFrame:
    """Rows of `bronze.drop_files`, one per judgement; `files` is the table."""
    rows = [
        (
            pending.file.kind, pending.file.delivery_date, *pending.content,
            pending.file.size_bytes, pending.file.modified_ms, pending.file.format or "unknown",
            count, str(_verdict(reason)), reason,
        )
        for pending, count, reason in judgements
    ]  # fmt: skip
    schema = (
        "kind string, delivery_date date, path string, file_sha256 string, file_revision int, "
        "size_bytes long, modified_ms long, format string, row_count long, verdict string, "
        "reason string"
    )
    return (
        files.sparkSession.createDataFrame(rows, schema)
        .withColumn("modified_at", F.timestamp_millis("modified_ms"))
        .select(*BRONZE_DROP_FILES.columns)
    )


def _verdict(reason: str | None) -> Verdict:
    return Verdict.HELD if reason else Verdict.LOADED
