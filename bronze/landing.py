"""landing/: which files lie there, which days were delivered completely, and the bytes of files.

Through Hadoop's file systems, so that a local folder and an s3a:// prefix are the same. Whatever
reads bytes raises Py4JJavaError where the storage does not give them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from bronze.causes import cause_of
from lakehouse.errors import LandingNotListedError
from lakehouse.totals import MOST_BYTES

COMPLETE = "_SUCCESS"
CONTROL = "_CONTROL.json"
_PLACE = re.compile(r"([^/]+)/date=(\d{4}-\d{2}-\d{2})/([^/]+)")
_ENDINGS = {
    ".csv": "csv", ".csv.gz": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet",
}  # fmt: skip


@dataclass(frozen=True)
class LandedFile:
    """One file as it lies there now."""

    path: str  # below landing/
    location: str  # with its file system, not encoded
    size_bytes: int
    modified_ms: int  # epoch milliseconds

    @property
    def kind(self) -> str:
        """The first folder of its path; nothing if it lies in none."""
        return self.path.rpartition("/")[0].partition("/")[0]

    @property
    def delivery_date(self) -> date | None:
        """The day of its folder; None if it lies in no folder of a day."""
        place = _place(self.path)
        return place and place[1]

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

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
    """What lies below landing/: days, oldest first, and files where no file of a day can lie."""

    days: list[LandedDay]
    misplaced: list[LandedFile]


class Landing:
    """The landing folder.

    Raises:
        LandingNotListedError: no file system is known for it, or it cannot be signed in to.
    """

    def __init__(self, spark: SparkSession, root: str) -> None:
        context: Any = spark.sparkContext
        self._jvm, hadoop = context._jvm, context._jsc.hadoopConfiguration()
        self._root = self._jvm.org.apache.hadoop.fs.Path(root)
        try:
            self._files = self._root.getFileSystem(hadoop)
        except Py4JJavaError as error:
            raise LandingNotListedError(root, cause_of(error)) from error

    def listed(self) -> Landed:
        """Everything but hidden files, whose names begin with a dot or an underscore.

        A hidden folder hides nothing: what lies in it is misplaced. One listing: an object store
        has no folders to look into.

        Raises:
            LandingNotListedError: the storage does not say what lies there.
        """
        days: dict[tuple[str, date], dict[str, LandedFile]] = {}
        misplaced = []
        for file in self._files_below():
            is_mark = file.name in (COMPLETE, CONTROL)
            if file.name.startswith(("_", ".")) and not is_mark:
                continue
            if place := _place(file.path):
                days.setdefault(place, {})[file.name] = file
            elif not is_mark:
                misplaced.append(file)
        found = [_day(kind, files) for (kind, _), files in sorted(days.items())]
        return Landed(found, sorted(misplaced, key=lambda file: file.path))

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
        """The text of a small file; of a great one, as much of it as a control file may have."""
        with self._opened(location) as stream:
            return self._first_bytes(stream, MOST_BYTES).decode("utf-8", errors="replace")

    def head(self, file: LandedFile, size: int) -> bytes:
        """So many first bytes of a file, unpacked."""
        with self._opened(file.location) as stream:
            unpacked = self._jvm.java.util.zip.GZIPInputStream(stream) if file.is_gzip else stream
            return self._first_bytes(unpacked, size)

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

    def _files_below(self) -> Iterator[LandedFile]:
        root = self._files.makeQualified(self._root).toString()
        try:
            if not self._files.exists(self._root):
                return
            found = self._files.listFiles(self._root, True)
            while found.hasNext():
                entry = found.next()
                location = entry.getPath().toString()
                path = location.removeprefix(f"{root}/")
                yield LandedFile(path, location, entry.getLen(), entry.getModificationTime())
        except Py4JJavaError as error:
            raise LandingNotListedError(root, cause_of(error)) from error

    def _first_bytes(self, stream: Any, size: int) -> bytes:
        io = self._jvm.org.apache.commons.io
        return bytes(io.IOUtils.toByteArray(io.input.BoundedInputStream(stream, size)))

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


def _day(kind: str, found: Mapping[str, LandedFile]) -> LandedDay:
    files = tuple(file for name, file in sorted(found.items()) if name not in (COMPLETE, CONTROL))
    control = found.get(CONTROL)
    return LandedDay(kind, files, control.location if control else None, COMPLETE in found)


def _is_gone(error: Py4JJavaError) -> bool:
    return bool(error.java_exception.getClass().getName() == "java.io.FileNotFoundException")
