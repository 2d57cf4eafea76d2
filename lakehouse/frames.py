"""Frames that several queries read: computed once, and kept as rows instead of as a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from pyspark.sql import DataFrame

Keep = Callable[[DataFrame], DataFrame]


@contextmanager
def keeping() -> Iterator[Keep]:
    """Give `keep`: what it returns is computed at first use, and freed when the block ends.

    A cache would keep the plan too, and Spark would analyse, compare and optimise it again in
    every query above it. Here a plan begins at the kept rows. They cannot be computed a second
    time: a lost executor fails the block, whose work must be one that can be started again.
    """
    with ExitStack() as kept:

        def keep(rows: DataFrame) -> DataFrame:
            found = rows.localCheckpoint(eager=False)
            kept.callback(_free, found)
            return found

        yield keep


def _free(rows: DataFrame) -> None:
    frame: Any = rows
    # the frame of a checkpoint is one leaf over its rows; a frame has no door to free them
    frame._jdf.queryExecution().analyzed().rdd().unpersist(False)
