"""A stream's checkpoint: how far it has read, on whichever file system."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.config import Config


class Checkpoint:
    """The checkpoint folder of one job."""

    def __init__(self, spark: SparkSession, config: Config, job: str) -> None:
        self.path = f"{config.lake.checkpoints}/{job}"
        self._spark = spark
        context: Any = spark.sparkContext
        self._path_of = context._jvm.org.apache.hadoop.fs.Path
        folder = self._path_of(self.path)
        self._files = folder.getFileSystem(context._jsc.hadoopConfiguration())

    def last_batch(self) -> int | None:
        """The last micro-batch that was finished."""
        return max((int(name) for name in self.names("commits") if name.isdigit()), default=None)

    def next_versions(self) -> dict[str, int]:
        """The next version to read of each table, by Delta's id of it."""
        last_batch = self.last_batch()
        if last_batch is None:
            return {}
        found = {}
        for line in self._spark.read.text(f"{self.path}/offsets/{last_batch}").collect():
            with suppress(ValueError):
                source = json.loads(line[0])
                if isinstance(source, dict) and "reservoirId" in source:
                    found[source["reservoirId"]] = int(source["reservoirVersion"])
        return found

    def names(self, folder: str) -> list[str]:
        """Names of the files in one of its folders."""
        path = self._path_of(f"{self.path}/{folder}")
        found = self._files.listStatus(path) if self._files.exists(path) else []
        return [status.getPath().getName() for status in found]

    def delete(self) -> None:
        """Forget it: the next stream begins a new one."""
        self._files.delete(self._path_of(self.path), True)
