"""What is known of delivered files, and what a new look at landing/ makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
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
    row_count: int
    verdict: str
    reason: str | None


@dataclass(frozen=True)
class Pending:
    """A file, and the content that it has now."""

    file: LandedFile
    content: Content


class Judgement(NamedTuple):
    """What becomes of a file: loaded, or held for a reason."""

    pending: Pending
    row_count: int
    reason: str | None


@dataclass(frozen=True)
class Manifest:
    """What `bronze.drop_files` says.

    A content has a row more for each reason that it was held for, and for each time that its file
    was touched since it is loaded.
    """

    entries: frozenset[Entry] = field(default_factory=frozenset)

    @classmethod
    def of(cls, files: DataFrame) -> Manifest:
        """Read rows of `bronze.drop_files`."""
        rows = files.select(
            "path", "file_sha256", "file_revision", "size_bytes",
            F.unix_millis("modified_at").alias("modified_ms"), "row_count", "verdict", "reason",
        ).collect()  # fmt: skip
        return cls(frozenset(Entry(Content(*row[:3]), *row[3:]) for row in rows))

    def is_settled(self, file: LandedFile) -> bool:
        """Whether the newest content of the path is loaded and the file looks untouched."""
        return any(
            entry.verdict == Verdict.LOADED
            and (entry.size_bytes, entry.modified_ms) == (file.size_bytes, file.modified_ms)
            for entry in self._newest(file.path)
        )

    def touched(self, file: LandedFile, file_sha256: str) -> Judgement | None:
        """What to write down of a file whose newest content is loaded; None if it is another."""
        for entry in self._newest(file.path):
            if entry.verdict == Verdict.LOADED and entry.content.file_sha256 == file_sha256:
                return Judgement(Pending(file, entry.content), entry.row_count, None)
        return None

    def says(self, judgement: Judgement) -> bool:
        """Whether this is written down already: a file may be held for a reason once only."""
        news = (judgement.pending.content, _verdict(judgement.reason), judgement.reason)
        of_path = self._by_path.get(judgement.pending.file.path, [])
        return any((entry.content, entry.verdict, entry.reason) == news for entry in of_path)

    def content_of(self, path: str, file_sha256: str, landed: Iterable[Content]) -> Content:
        """Give a path's content its revision: that of the newest if it is equal, else the next.

        `landed` are contents that Bronze holds, perhaps from a run that died before it wrote here.
        """
        of_path = [entry.content for entry in self._by_path.get(path, [])]
        of_path += [content for content in landed if content.path == path]
        newest = max(of_path, key=lambda content: content.file_revision, default=None)
        if newest is None:
            return Content(path, file_sha256, 0)
        if newest.file_sha256 == file_sha256:
            return newest
        return Content(path, file_sha256, newest.file_revision + 1)

    def _newest(self, path: str) -> list[Entry]:
        of_path = self._by_path.get(path, [])
        revision = max((entry.content.file_revision for entry in of_path), default=-1)
        return [entry for entry in of_path if entry.content.file_revision == revision]

    @cached_property
    def _by_path(self) -> Mapping[str, list[Entry]]:
        by_path: dict[str, list[Entry]] = {}
        for entry in self.entries:
            by_path.setdefault(entry.content.path, []).append(entry)
        return by_path


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
