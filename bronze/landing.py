"""landing/: which files lie there, which days were delivered completely, and the bytes of files.

Through Hadoop's file systems, so that a local folder and an s3a:// prefix are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

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
    """A day of one kind; at `control` lies the text of the sender's totals."""

    kind: str
    files: tuple[LandedFile, ...]
    control: str | None
    is_complete: bool


class Landed(NamedTuple):
    """What lies below landing/: days, oldest first, and paths where no file of a day can lie."""

    days: list[LandedDay]
    misplaced: list[str]


class Landing:
    """The landing folder."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        context: Any = spark.sparkContext
        self._jvm, hadoop = context._jvm, context._jsc.hadoopConfiguration()
        self._root = self._jvm.org.apache.hadoop.fs.Path(root)
        self._files = self._root.getFileSystem(hadoop)

    def listed(self) -> Landed:
        """Everything but hidden files, whose names begin with a dot or an underscore.

        One listing: an object store has no folders to look into.
        """
        days: dict[tuple[str, date], dict[str, Any]] = {}
        misplaced = []
        for path, entry in self._entries():
            name = path.rpartition("/")[2]
            is_mark = name in (COMPLETE, CONTROL)
            if name.startswith(("_", ".")) and not is_mark:
                continue
            if place := _place(path):
                days.setdefault(place, {})[name] = entry
            elif not is_mark:
                misplaced.append(path)
        found = [_day(*place, entries) for place, entries in sorted(days.items())]
        return Landed(found, sorted(misplaced))

    def is_unchanged(self, file: LandedFile) -> bool:
        """Whether a file has the size and the time that it had when it was listed."""
        try:
            entry = self._files.getFileStatus(self._path(file.location))
        except Py4JJavaError as error:
            if _is_gone(error):
                return False
            raise
        return (entry.getLen(), entry.getModificationTime()) == (file.size_bytes, file.modified_ms)

    def text(self, location: str) -> str:
        """The text of a small file."""
        with self._opened(location) as stream:
            read = self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)
        return bytes(read).decode("utf-8", errors="replace")

    def head(self, file: LandedFile, size: int) -> bytes:
        """So many first bytes of a file, unpacked."""
        io = self._jvm.org.apache.commons.io
        with self._opened(file.location) as stream:
            unpacked = self._jvm.java.util.zip.GZIPInputStream(stream) if file.is_gzip else stream
            limited = io.input.BoundedInputStream(unpacked, size)
            return bytes(io.IOUtils.toByteArray(limited))

    def sha256(self, file: LandedFile) -> str | None:
        """SHA-256 of a file's bytes, in hexadecimal; None if the file is gone."""
        try:
            with self._opened(file.location) as stream:
                return str(self._jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))
        except Py4JJavaError as error:
            if _is_gone(error):
                return None
            raise

    def gzip_fault(self, file: LandedFile) -> str | None:
        """Why a compressed file cannot be read to its end; None if it can."""
        try:
            with self._opened(file.location) as stream:
                unpacked = self._jvm.java.util.zip.GZIPInputStream(stream)
                self._jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(unpacked)
        except Py4JJavaError as error:
            return f"the gzip file is damaged: {error.java_exception.getMessage()}"
        return None

    def _entries(self) -> Iterator[tuple[str, Any]]:
        """Path below landing/ and status of every file."""
        if not self._files.exists(self._root):
            return
        root = self._files.makeQualified(self._root).toString()
        found = self._files.listFiles(self._root, True)
        while found.hasNext():
            entry = found.next()
            yield entry.getPath().toString().removeprefix(f"{root}/"), entry

    @contextmanager
    def _opened(self, location: str) -> Iterator[Any]:
        with closing(self._files.open(self._path(location))) as stream:
            yield stream

    def _path(self, location: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(location)


def _place(path: str) -> tuple[str, date] | None:
    """Kind and day of delivery of a file's path; None where no file of a day can lie."""
    place = _PLACE.fullmatch(path)
    try:
        return (place[1], date.fromisoformat(place[2])) if place else None
    except ValueError:
        # 30 February
        return None


def _day(kind: str, day: date, entries: dict[str, Any]) -> LandedDay:
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
    location = control.getPath().toString() if control else None
    return LandedDay(kind, files, location, COMPLETE in entries)


def _is_gone(error: Py4JJavaError) -> bool:
    return bool(error.java_exception.getClass().getName() == "java.io.FileNotFoundException")
