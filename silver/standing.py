"""Rows of a Silver table as they stand, without reading those that a run cannot concern.

A table has `identity`, `revision` and `event_date`, its partition. Identities say nothing of their
day: to find the days of some, one narrow column of all rows is read, and then whole rows of these
days alone.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import broadcast_if_few, nothing_if_empty


def days_of(revisions: DataFrame, keys: DataFrame) -> frozenset[date]:
    """Days of all revisions that have one of these keys, a column of both. Runs a query."""
    (key,) = keys.columns
    found = revisions.select(key, "event_date").join(broadcast_if_few(keys), key, "left_semi")
    return frozenset(row["event_date"] for row in found.select("event_date").distinct().collect())


def standing_of(revisions: DataFrame, keys: DataFrame) -> DataFrame:
    """The greatest revisions, withdrawn or not, of all rows that have one of these keys.

    The key is the identity, or what an identity always has the same.
    """
    days = days_of(revisions, keys)
    if not days:
        return revisions.limit(0)
    (key,) = keys.columns
    own = standing_on(revisions, F.col("event_date").isin(sorted(days)))
    return own.join(broadcast_if_few(keys), key, "left_semi")


def standing_on(revisions: DataFrame, is_asked: Column) -> DataFrame:
    """The greatest revisions, withdrawn or not, that lie on days of which `is_asked` is true.

    A row that a correction moved to another day stands on that one alone.
    """
    # files that begin everything at revision 0 say so in the log, and are not opened
    later = revisions.where(F.col("revision") > 0).select("identity", "revision")
    greatest = nothing_if_empty(later).groupBy("identity").agg(F.max("revision").alias("_greatest"))
    is_standing = F.col("revision") == F.coalesce("_greatest", F.lit(0))
    return (
        revisions.where(is_asked)
        .join(broadcast_if_few(greatest), "identity", "left")
        .where(is_standing)
        .select(*revisions.columns)
    )
