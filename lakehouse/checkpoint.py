"""A stream's checkpoint: how far it has read, whether Spark can go on from it, how it is retired.

What a stream has done stands in its tables, so a checkpoint may be lost: it is where to go on
reading, not what was read.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

_LOGS = ("OffsetSeqLog", "CommitLog")
# what Java counts among the faults of input and output, though only the content is wrong
_DAMAGE = {
    "java.io.EOFException",
    "org.apache.hadoop.fs.ChecksumException",
    "com.fasterxml.jackson.core.JsonProcessingException",
}


class Checkpoint:
    """The checkpoint folder of one job, on whichever file system."""

    def __init__(self, spark: SparkSession, path: str) -> None:
        self.path = path
        self._spark = spark
        context: Any = spark.sparkContext
        self._jvm = context._jvm
        self._folder = self._jvm.org.apache.hadoop.fs.Path(path)
        self._files = self._folder.getFileSystem(context._jsc.hadoopConfiguration())

    def exists(self) -> bool:
        """Whether a stream has planned a micro-batch in it."""
        return bool(self.names("offsets"))

    def last_batch(self) -> int | None:
        """The last micro-batch that was finished."""
        return max((int(name) for name in self.names("commits") if name.isdigit()), default=None)

    def offsets(self, batch: int) -> str:
        """Up to where a micro-batch has read: one JSON document for each source."""
        rows = self._spark.read.text(f"{self.path}/offsets/{batch}").collect()
        return "\n".join(row[0] for row in rows)

    def next_offsets(self, topic: str) -> dict[int, int]:
        """The next offset to read of each partition of a topic; empty where none was read."""
        for source in self._sources():
            if topic in source:
                return {int(number): int(offset) for number, offset in source[topic].items()}
        return {}

    def next_versions(self) -> dict[str, int]:
        """The next version to read of each table, by Delta's id of it."""
        return {
            source["reservoirId"]: int(source["reservoirVersion"])
            for source in self._sources()
            if "reservoirId" in source
        }

    def damage(self) -> str | None:
        """Why Spark can't go on from here, in its own words; None where it can.

        Raises:
            Py4JJavaError: the file system fails, which says nothing about the checkpoint.
        """
        session = self._spark._jsparkSession
        streaming = self._jvm.org.apache.spark.sql.execution.streaming
        for log, folder in zip(_LOGS, ("offsets", "commits"), strict=True):
            if not self.names(folder):
                continue
            try:
                # as a stream reads it when it starts
                getattr(streaming, log)(session, f"{self.path}/{folder}").getLatest()
            except Py4JJavaError as error:
                fault = error.java_exception
                if _is_of_file_system(fault):
                    raise
                return f"{folder}: {fault.getClass().getSimpleName()}"
        return None

    def set_aside(self, now: datetime) -> str:
        """Rename it, so that the next stream begins a new one; return where it lies now."""
        kept = f"{self.path}.until-{now:%Y%m%dT%H%M%S}"
        self._files.rename(self._folder, self._jvm.org.apache.hadoop.fs.Path(kept))
        return kept

    def names(self, folder: str) -> list[str]:
        """Names of the files in one of its folders."""
        path = self._jvm.org.apache.hadoop.fs.Path(f"{self.path}/{folder}")
        found = self._files.listStatus(path) if self._files.exists(path) else []
        return [status.getPath().getName() for status in found]

    def _sources(self) -> list[dict[str, Any]]:
        last_batch = self.last_batch()
        if last_batch is None:
            return []
        found = []
        for line in self.offsets(last_batch).splitlines():
            with suppress(ValueError):
                source = json.loads(line)
                if isinstance(source, dict):
                    found.append(source)
        return found


def _is_of_file_system(fault: Any) -> bool:
    names, kind = set(), fault.getClass()
    while kind is not None:
        names.add(kind.getName())
        kind = kind.getSuperclass()
    return "java.io.IOException" in names and names.isdisjoint(_DAMAGE)
