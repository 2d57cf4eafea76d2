"""landing/: which days were delivered completely, and the bytes of their files.

Through Hadoop's file systems, so that a local folder and an s3a:// prefix are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

COMPLETE = "_SUCCESS"
CONTROL = "_CONTROL.json"
_DAY = re.compile(r"date=(\d{4}-\d{2}-\d{2})")
_ENDINGS = {
    ".csv": "csv", ".csv.gz": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet",
}  # fmt: skip


@dataclass(frozen=True)
class LandedFile:
    """One file as it lies there now."""

    kind: str
    delivery_date: date
    name: str
    uri: str  # encoded, as Spark's metadata columns give it
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
        """For Spark's readers, which take a path for a pattern."""
        folder, _, _ = self.uri.rpartition("/")
        return f"{folder}/" + re.sub(r"([\[\]{}*?\\])", r"\\\1", self.name)


@dataclass(frozen=True)
class LandedDay:
    """A complete day of one kind; `control` is the text of the sender's totals."""

    files: tuple[LandedFile, ...]
    control: str | None


class Landing:
    """The landing folder."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        context: Any = spark.sparkContext
        self._jvm, hadoop = context._jvm, context._jsc.hadoopConfiguration()
        self._root = self._jvm.org.apache.hadoop.fs.Path(root)
        self._files = self._root.getFileSystem(hadoop)

    def complete_days(self, kind: str) -> list[LandedDay]:
        """Days of a kind that have `_SUCCESS`, oldest first; a kind that never came has none."""
        folder = self._jvm.org.apache.hadoop.fs.Path(self._root, kind)
        if not self._files.exists(folder):
            return []
        found = []
        for entry in sorted(self._files.listStatus(folder), key=lambda e: e.getPath().getName()):
            day = _DAY.fullmatch(entry.getPath().getName())
            if entry.isDirectory() and day:
                found.append(self._day(kind, date.fromisoformat(day[1]), entry.getPath()))
        return [day for day in found if day is not None]

    def _day(self, kind: str, day: date, folder: Any) -> LandedDay | None:
        entries = {e.getPath().getName(): e for e in self._files.listStatus(folder) if e.isFile()}
        if COMPLETE not in entries:
            return None
        files = tuple(
            LandedFile(
                kind,
                day,
                name,
                entry.getPath().toUri().toString(),
                entry.getLen(),
                entry.getModificationTime(),
            )
            for name, entry in sorted(entries.items())
            if not name.startswith(("_", "."))
        )
        return LandedDay(files, self._text(entries[CONTROL]) if CONTROL in entries else None)

    def sha256(self, file: LandedFile) -> str:
        """SHA-256 of a file's bytes, in hexadecimal."""
        with self._opened(file.uri) as stream:
            return str(self._jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))

    def gzip_fault(self, file: LandedFile) -> str | None:
        """Why a compressed file cannot be read to its end; None if it can."""
        try:
            with self._opened(file.uri) as stream:
                unpacked = self._jvm.java.util.zip.GZIPInputStream(stream)
                self._jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(unpacked)
        except Py4JJavaError as error:
            return f"the gzip file is damaged: {error.java_exception.getMessage()}"
        return None

    def _text(self, entry: Any) -> str:
        with self._opened(entry.getPath().toUri().toString()) as stream:
            read = self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)
        return bytes(read).decode("utf-8", errors="replace")

    @contextmanager
    def _opened(self, uri: str) -> Iterator[Any]:
        path = self._jvm.org.apache.hadoop.fs.Path(self._jvm.java.net.URI(uri))
        with closing(self._files.open(path)) as stream:
            yield stream
