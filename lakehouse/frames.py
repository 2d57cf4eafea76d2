"""Frames that several queries read: computed once, and kept as rows instead of as a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

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


FEW = 100_000
"""Keys that fit into the memory of every executor, beside all else."""


def is_few(keys: DataFrame) -> bool:
    """Whether there are at most `FEW` of them. Runs a query."""
    return keys.limit(FEW + 1).count() <= FEW


def broadcast_if_few(keys: DataFrame) -> DataFrame:
    """Let a join with these keys move none of the other rows, if there are few. Runs a query."""
    return F.broadcast(keys) if is_few(keys) else keys


def nothing_if_empty(rows: DataFrame) -> DataFrame:
    """The same rows; if there are none, Spark knows when it plans, and joins nothing with them.

    Runs a query.
    """
    return rows.limit(0) if rows.isEmpty() else rows
