"""What is known of delivered files, and what a new look at landing/ makes of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bronze.faults import Fault
from bronze.landing import LandedFile
from lakehouse.errors import DropNotHeldError, DropNotReleasableError
from lakehouse.records.codes import DropFault, Verdict
from lakehouse.tables import BRONZE_DROP_FILES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Content(NamedTuple):
    """One content of a path."""

    path: str
    file_sha256: str
    file_revision: int


class Entry(NamedTuple):
    """One row of the manifest; without `content`, nobody looked at what the file holds."""

    path: str
    content: Content | None
    size_bytes: int
    modified_ms: int  # epoch milliseconds
    row_count: int
    verdict: Verdict
    fault: Fault | None
    release_reason: str | None
    judged_us: int  # epoch microseconds


class Release(NamedTuple):
    """A person lets a held content load all the same."""

    held: Content
    reason: str


@dataclass(frozen=True)
class Judgement:
    """What becomes of a file: loaded, or not for a fault that nobody forgives."""

    file: LandedFile
    content: Content | None
    row_count: int = 0
    fault: Fault | None = None
    release_reason: str | None = None

    @property
    def verdict(self) -> Verdict:
        """What became of it."""
        if self.fault is None or self.release_reason is not None:
            return Verdict.LOADED
        return self.fault.verdict


@dataclass(frozen=True)
class Manifest:
    """What `bronze.drop_files` says.

    A path has a row more whenever what is to be said of it differs from its newest row, and for
    each time that its file was touched since it is loaded.
    """

    entries: frozenset[Entry] = field(default_factory=frozenset)

    @classmethod
    def of(cls, files: DataFrame) -> Manifest:
        """Read rows of `bronze.drop_files`."""
        rows = files.select(
            "path", "file_sha256", "file_revision", "size_bytes",
            F.unix_millis("modified_at").alias("modified_ms"), "row_count", "verdict", "fault",
            "reason", "release_reason", F.unix_micros("judged_at").alias("judged_us"),
        ).collect()  # fmt: skip
        return cls(
            frozenset(
                Entry(
                    path,
                    None if sha256 is None else Content(path, sha256, revision),
                    *(size, modified_ms, count, Verdict(verdict)),
                    None if fault is None else Fault(DropFault(fault), reason),
                    *(release_reason, judged_us),
                )
                for path, sha256, revision, size, modified_ms, count, verdict, fault, reason,
                release_reason, judged_us in rows
            )
        )  # fmt: skip

    def is_settled(self, file: LandedFile) -> bool:
        """Whether all that is said of the path is that this untouched file is loaded."""
        newest = self._newest(file.path)
        if newest is None or newest.verdict != Verdict.LOADED:
            return False
        return any(
            entry.verdict == Verdict.LOADED
            and (entry.size_bytes, entry.modified_ms) == (file.size_bytes, file.modified_ms)
            for entry in self._of_newest_content(file.path)
        )

    def touched(self, file: LandedFile, file_sha256: str) -> Judgement | None:
        """What to write down of a file whose newest content is loaded; None if it is another."""
        for entry in self._of_newest_content(file.path):
            content = entry.content
            if entry.verdict == Verdict.LOADED and content and content.file_sha256 == file_sha256:
                return Judgement(file, content, entry.row_count, entry.fault, entry.release_reason)
        return None

    def says(self, judgement: Judgement) -> bool:
        """Whether the newest row of the path says this already."""
        entry, fault = self._newest(judgement.file.path), judgement.fault
        if entry is None or (entry.content, entry.verdict) != (
            judgement.content, judgement.verdict,
        ):  # fmt: skip
            return False
        return entry.fault == fault if fault is None else not fault.is_news_beside(entry.fault)

    def gone(self, paths: Collection[str]) -> list[Judgement]:
        """What to write down of each path that waits, or is held, and is none of those there now.

        What was loaded stays loaded, whether its file is there or not.
        """
        newest = [self._newest(path) for path in sorted(self._by_path.keys() - {*paths})]
        return [
            Judgement(_as_it_lay(entry), entry.content, entry.row_count, self._removal(entry.path))
            for entry in newest
            if entry and entry.verdict in (Verdict.WAITING, Verdict.HELD)
        ]

    def _removal(self, path: str) -> Fault:
        is_loaded = any(entry.verdict == Verdict.LOADED for entry in self._by_path[path])
        earlier = "what was loaded of it before stays" if is_loaded else "it was never loaded"
        return Fault(DropFault.REMOVED, f"it lies in landing/ no more: {earlier}")

    def content_of(self, path: str, file_sha256: str, landed: Iterable[Content]) -> Content:
        """Give a path's content its revision: that of the newest if it is equal, else the next.

        `landed` are contents that Bronze holds, perhaps from a run that died before it wrote here.
        """
        of_path = [entry.content for entry in self._by_path.get(path, []) if entry.content]
        of_path += [content for content in landed if content.path == path]
        newest = max(of_path, key=lambda content: content.file_revision, default=None)
        if newest is None:
            return Content(path, file_sha256, 0)
        if newest.file_sha256 == file_sha256:
            return newest
        return Content(path, file_sha256, newest.file_revision + 1)

    def release(self, path: str, reason: str) -> Release:
        """Let the content load for which a path is held.

        Raises:
            DropNotHeldError: the path is not held, or unknown.
            DropNotReleasableError: what it is held for cannot be forgiven.
        """
        newest = self._newest(path)
        if newest is None or newest.verdict != Verdict.HELD or newest.fault is None:
            raise DropNotHeldError(path, newest and newest.verdict)
        if newest.content is None or not newest.fault.is_releasable:
            raise DropNotReleasableError(path, newest.fault.reason)
        return Release(newest.content, reason)

    def after(self, now: datetime) -> datetime:
        """`now`, or just behind the newest row: whatever clocks do, rows have an order."""
        newest = max((entry.judged_us for entry in self.entries), default=0)
        return max(now, _EPOCH + timedelta(microseconds=newest + 1))

    def _newest(self, path: str) -> Entry | None:
        of_path = self._by_path.get(path, [])
        return max(of_path, key=lambda entry: entry.judged_us, default=None)

    def _of_newest_content(self, path: str) -> list[Entry]:
        looked_at = [
            (entry.content.file_revision, entry)
            for entry in self._by_path.get(path, [])
            if entry.content
        ]
        newest = max((revision for revision, _ in looked_at), default=0)
        return [entry for revision, entry in looked_at if revision == newest]

    @cached_property
    def _by_path(self) -> Mapping[str, list[Entry]]:
        by_path: dict[str, list[Entry]] = {}
        for entry in self.entries:
            by_path.setdefault(entry.path, []).append(entry)
        return by_path


def _as_it_lay(entry: Entry) -> LandedFile:
    return LandedFile(entry.path, "", entry.size_bytes, entry.modified_ms)


def manifest_rows(
    files: DataFrame, judgements: Iterable[Judgement], judged_at: datetime
) -> DataFrame:
    """Rows of `bronze.drop_files`, one per judgement; `files` is the table."""
    rows = [
        (
            judged.file.kind, judged.file.delivery_date, judged.file.path,
            judged.content and judged.content.file_sha256,
            judged.content and judged.content.file_revision,
            judged.file.size_bytes, judged.file.modified_ms, judged.file.format or "unknown",
            judged.row_count, str(judged.verdict), judged.fault and judged.fault.reason,
            judged.fault and str(judged.fault.code), judged.release_reason, judged_at,
        )
        for judged in judgements
    ]  # fmt: skip
    schema = (
        "kind string, delivery_date date, path string, file_sha256 string, file_revision int, "
        "size_bytes long, modified_ms long, format string, row_count long, verdict string, "
        "reason string, fault string, release_reason string, judged_at timestamp"
    )
    return (
        files.sparkSession.createDataFrame(rows, schema)
        .withColumn("modified_at", F.timestamp_millis("modified_ms"))
        .select(*BRONZE_DROP_FILES.columns)
    )
