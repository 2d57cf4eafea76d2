"""Frames that several queries read: computed once, and kept as rows instead of as a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Self, cast

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, MapType, StringType

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


AT_HAND = 5_000
"""Rows that the driver holds beside all else, and that Spark plans with in milliseconds."""
_LIGHT_BYTES = 8_192
_TOO_HEAVY = "a row is too heavy to be at hand"


def fetched(rows: DataFrame) -> DataFrame | None:
    """The same rows at hand: a part of every plan that reads them. None, if they are not few.

    Spark then knows when it plans how many there are: a join with none vanishes, one with few moves
    nothing, and what only filters or renames them needs no job. Nor are they few where one weighs
    more than `_LIGHT_BYTES`: a delivered record may have megabytes.
    """
    session = cast("Any", rows.sparkSession)
    light: Any = _refusing_heavy(rows)
    try:
        found = light._jdf.limit(AT_HAND + 1).collectAsList()
    except (Py4JJavaError, PySparkException) as fault:
        if _TOO_HEAVY not in str(fault):
            raise  # who stops a stream stops its queries, too
        return None
    if found.size() > AT_HAND:
        return None
    # within the JVM: as Python's rows each value would be copied twice
    at_hand = session._jsparkSession.createDataFrame(found, cast("Any", rows)._jdf.schema())
    return DataFrame(at_hand, rows.sparkSession)


def _refusing_heavy(rows: DataFrame) -> DataFrame:
    """The same rows; the query ends before one of them that is too heavy is sent to the driver.

    Not by a filter: Spark would push it below what computes the rows, with all of that once more
    in its condition, and simplify both for seconds.
    """
    first, *others = rows.schema
    refused = F.raise_error(F.lit(_TOO_HEAVY)).cast(first.dataType)
    told = F.when(_is_light(rows), F.col(f"`{first.name}`")).otherwise(refused)
    return rows.select(told.alias(first.name), *[F.col(f"`{column.name}`") for column in others])


def _is_light(rows: DataFrame) -> Column:
    """Whether texts, bytes and maps of a row are short together; all else is so by its kind."""
    lengths = [F.lit(0)]
    for column in rows.schema:
        value = F.col(f"`{column.name}`")
        if isinstance(column.dataType, MapType):
            value = F.to_json(value)
        elif not isinstance(column.dataType, StringType | BinaryType):
            continue
        lengths.append(F.coalesce(F.octet_length(value), F.lit(0)))
    return reduce(add, lengths) <= F.lit(_LIGHT_BYTES)


def fetching(keep: Keep) -> Keep:
    """A `keep` that has few rows at hand, or lets `keep` have more; either way computed now.

    So two queries that read them at once read the same rows, though an API gave them.
    """

    def kept(rows: DataFrame) -> DataFrame:
        found = fetched(rows)
        if found is None:
            found = keep(rows)
            found.count()
        return found

    return kept


@dataclass(frozen=True)
class Way:
    """How rows go from query to query: kept by the executors, or few of them at hand."""

    keep: Keep
    are_few: bool

    @classmethod
    def of(cls, rows: DataFrame, keep: Keep) -> tuple[Self, DataFrame]:
        """The way for these rows and what follows from them, and the rows, kept."""
        few = fetched(rows)
        if few is None:
            return cls(keep, are_few=False), keep(rows)
        return cls(fetching(keep), are_few=True), few

    def early(self, rows: DataFrame) -> DataFrame:
        """Few rows are computed now; more stay a plan, for the one query that reads them."""
        return self.keep(rows) if self.are_few else rows

    def gathered(self, rows: DataFrame) -> DataFrame:
        """Few rows in one partition: grouping or joining them moves nothing; written, one file."""
        return rows.coalesce(1) if self.are_few else rows

    def counted(self, rows: DataFrame) -> Counter[tuple[Any, ...]]:
        """How often each row occurs. Few are counted here: to group them would be a job."""
        if self.are_few:
            return Counter(map(tuple, rows.collect()))
        groups = rows.groupBy(*rows.columns).agg(F.count(F.lit(1))).collect()
        return Counter({tuple(group)[:-1]: group[-1] for group in groups})

    def least(self, values: DataFrame) -> Any:
        """The least of one column; None of none. Of few it is found here, as `counted` does."""
        if self.are_few:
            return min((value for (value,) in values.collect() if value is not None), default=None)
        return values.agg(F.min(values.columns[0])).collect()[0][0]


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
