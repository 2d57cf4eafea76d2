"""A follower's position where its target has no transactions: a marker file in its checkpoint.

The file's name is the version and its content is empty: creating it is atomic on every file
system, so a crash leaves the old position or the new one, never a torn one.
"""

from __future__ import annotations

from typing import Any

from gold.following import NOTHING_YET
from lakehouse.context import Lakehouse

_PREFIX = "through-"


def position_of(lake: Lakehouse, table_id: str) -> int:
    """The greatest version of the followed table that this job finished; -1 before the first."""
    return max(_marked(lake, table_id), default=NOTHING_YET)


def move_position(lake: Lakehouse, table_id: str, version: int) -> None:
    """Remember that this job finished everything up to `version`."""
    folder, files = _folder(lake, table_id)
    files.create(_marker(lake, folder, version), True).close()
    for older in _marked(lake, table_id):
        if older < version:
            files.delete(_marker(lake, folder, older), False)


def _marked(lake: Lakehouse, table_id: str) -> list[int]:
    folder, files = _folder(lake, table_id)
    if not files.exists(folder):
        return []
    names = [status.getPath().getName() for status in files.listStatus(folder)]
    return [int(name.removeprefix(_PREFIX)) for name in names if name.startswith(_PREFIX)]


def _folder(lake: Lakehouse, table_id: str) -> tuple[Any, Any]:
    # the session's own Hadoop file systems: a folder, or S3 with the session's credentials
    context = lake.spark.sparkContext
    place = f"{lake.config.lake.checkpoints}/{lake.job}/{table_id}"
    folder = context._jvm.org.apache.hadoop.fs.Path(place)  # type: ignore[union-attr]
    return folder, folder.getFileSystem(context._jsc.hadoopConfiguration())


def _marker(lake: Lakehouse, folder: Any, version: int) -> Any:
    jvm = lake.spark.sparkContext._jvm
    return jvm.org.apache.hadoop.fs.Path(folder, f"{_PREFIX}{version:020d}")  # type: ignore[union-attr]
