"""A follower's position where its target has no transactions: a marker file in its checkpoint.

The file's name is the version and its content is empty: creating it is atomic on every file
system, so a crash leaves the old position or the new one, never a torn one.
"""

from __future__ import annotations

from typing import Any

from gold.following import NOTHING_YET, newest_gold_version
from lakehouse.context import Lakehouse
from lakehouse.errors import FollowerAheadError
from lakehouse.files import hadoop_path
from lakehouse.tables import GOLD_TRANSACTIONS

_PREFIX = "through-"


def position_of(lake: Lakehouse, table_id: str) -> int:
    """The greatest version of the followed table that this job finished; -1 before the first.

    Raises:
        FollowerAheadError: this job has followed another table: Gold was made anew. Its versions
            begin again, so that whatever was written of the old table would seem newer.
    """
    mine = _marked(lake, table_id)
    if not mine:
        of_others = [v for other in _followed(lake) for v in _marked(lake, other)]
        if of_others:
            newest = newest_gold_version(lake)
            raise FollowerAheadError(GOLD_TRANSACTIONS.name, max(of_others), newest)
    return max(mine, default=NOTHING_YET)


def move_position(lake: Lakehouse, table_id: str, version: int) -> None:
    """Remember that this job finished everything up to `version`."""
    folder, files = _folder(lake, table_id)
    files.create(_marker(folder, version), True).close()
    for older in _marked(lake, table_id):
        if older < version:
            files.delete(_marker(folder, older), False)


def _marked(lake: Lakehouse, table_id: str) -> list[int]:
    names = _names_in(*_folder(lake, table_id))
    return [int(name.removeprefix(_PREFIX)) for name in names if name.startswith(_PREFIX)]


def _followed(lake: Lakehouse) -> list[str]:
    return _names_in(*_folder(lake))


def _names_in(folder: Any, files: Any) -> list[str]:
    if not files.exists(folder):
        return []
    return [status.getPath().getName() for status in files.listStatus(folder)]


def _folder(lake: Lakehouse, *table_id: str) -> tuple[Any, Any]:
    return hadoop_path(lake.spark, "/".join((lake.config.lake.checkpoints, lake.job, *table_id)))


def _marker(folder: Any, version: int) -> Any:
    return folder.suffix(f"/{_PREFIX}{version:020d}")
