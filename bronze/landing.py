"""landing/: which days were delivered completely, and the bytes of their files.

Through Hadoop's file systems, so that a local folder and an s3a:// prefix are the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

COMPLETE = "_SUCCESS"
CONTROL = "_CONTROL.json"
_PLACE = re.compile(r"([^/]+)/date=(\d{4}-\d{2}-\d{2})/([^/]+)")
_ENDINGS = {
    ".csv": "csv", ".csv.gz": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet",
}  # fmt: skip


@dataclass(frozen=True)
class LandedFile:
    """One file as it lies there now."""

    kind: str
    delivery_date: date
    name: str
    location: str  # with its file system, not encoded
    size_bytes: int
    modified_ms: int  # epoch milliseconds

    @property
    def path(self) -> str:
        """Below landing/."""
        return f"{self.kind}/date={self.delivery_date}/{self.name}"

    @property
    def format(self) -> str | None:
        """`csv`, `json` or `parquet`, by the file's ending."""
        return next((name for ending, name in _ENDINGS.items() if self.name.endswith(ending)), None)

    @property
    def is_gzip(self) -> bool:
        """Whether the bytes are compressed."""
        return self.name.endswith(".gz")

    @property
    def glob(self) -> str:
        """For Spark's readers, which take a location for a pattern."""
        return re.sub(r"([\[\]{}*?\\])", r"\\\1", self.location)


@dataclass(frozen=True)
class LandedDay:
    """A complete day of one kind; at `control` lies the text of the sender's totals."""

    files: tuple[LandedFile, ...]
    control: str | None


class Landing:
    """The landing folder."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        context: Any = spark.sparkContext
        self._jvm, hadoop = context._jvm, context._jsc.hadoopConfiguration()
        self._root = self._jvm.org.apache.hadoop.fs.Path(root)
        self._files = self._root.getFileSystem(hadoop)

    def complete_days(self, kinds: Collection[str]) -> list[LandedDay]:
        """Days of these kinds that have `_SUCCESS`, oldest first; a kind that never came has none.

        One listing of everything: an object store has no folders to look into.
        """
        days: dict[tuple[str, str], dict[str, Any]] = {}
        for entry, place in self._entries():
            kind, day, name = place
            if kind in kinds and (name in (COMPLETE, CONTROL) or not name.startswith(("_", "."))):
                days.setdefault((kind, day), {})[name] = entry
        return [
            self._day(kind, date.fromisoformat(day), entries)
            for (kind, day), entries in sorted(days.items())
            if COMPLETE in entries
        ]

    def text(self, location: str) -> str:
        """The text of a small file."""
        with self._opened(location) as stream:
            read = self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)
        return bytes(read).decode("utf-8", errors="replace")

    def sha256(self, file: LandedFile) -> str:
        """SHA-256 of a file's bytes, in hexadecimal."""
        with self._opened(file.location) as stream:
            return str(self._jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))

    def gzip_fault(self, file: LandedFile) -> str | None:
        """Why a compressed file cannot be read to its end; None if it can."""
        try:
            with self._opened(file.location) as stream:
                unpacked = self._jvm.java.util.zip.GZIPInputStream(stream)
                self._jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(unpacked)
        except Py4JJavaError as error:
            return f"the gzip file is damaged: {error.java_exception.getMessage()}"
        return None

    def _entries(self) -> Iterator[tuple[Any, tuple[str, ...]]]:
        """Files that lie where files of a day lie: status; kind, day, name."""
        if not self._files.exists(self._root):
            return
        root = self._files.makeQualified(self._root).toString()
        found = self._files.listFiles(self._root, True)
        while found.hasNext():
            entry = found.next()
            place = _PLACE.fullmatch(entry.getPath().toString().removeprefix(f"{root}/"))
            if place:
                yield entry, place.groups()

    def _day(self, kind: str, day: date, entries: Mapping[str, Any]) -> LandedDay:
        files = tuple(
            LandedFile(
                kind,
                day,
                name,
                entry.getPath().toString(),
                entry.getLen(),
                entry.getModificationTime(),
            )
            for name, entry in sorted(entries.items())
            if name not in (COMPLETE, CONTROL)
        )
        control = entries.get(CONTROL)
        return LandedDay(files, control.getPath().toString() if control else None)

    @contextmanager
    def _opened(self, location: str) -> Iterator[Any]:
        path = self._jvm.org.apache.hadoop.fs.Path(location)
        with closing(self._files.open(path)) as stream:
            yield stream
