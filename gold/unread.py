"""What a job has not come to yet: missing behind it, and no wonder.

A table is read version by version. What a record's table had when the job had read it last was
looked at; what came later waits for its next run.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.items import ITEM, Bucket
from lakehouse.checkpoint import Checkpoint
from lakehouse.context import Lakehouse
from lakehouse.delta import path_of, table_id
from lakehouse.records.codes import AccountDifference
from lakehouse.tables import Table


def as_read_by(lake: Lakehouse, job: str, table: Table, pinned: int) -> DataFrame | None:
    """Rows of a table that a job has read, at most those of version `pinned`.

    None where it has read them all, or where nobody knows: without a checkpoint nothing excuses
    what is missing.
    """
    positions = Checkpoint(lake.spark, lake.config, job).next_versions()
    following = positions.get(table_id(lake.spark, path_of(lake.config, table)))
    if following is None or following > pinned:
        return None
    if following == 0:
        return lake.read(table).limit(0)
    try:
        return lake.read(table, following - 1)
    except AnalysisException:
        # older than the table's time travel: the job has not run for days
        return None


def steps_with_missing(items: DataFrame) -> list[str]:
    """Steps behind which something is missing. Runs a query."""
    missing = items.where(F.col("kind") == str(AccountDifference.MISSING)).select("step").distinct()
    return sorted(row["step"] for row in missing.collect())


def with_unread(items: DataFrame, read: Mapping[str, DataFrame]) -> DataFrame:
    """The same items; what is MISSING of a step of `read`, and not among its keys, is UNREAD.

    `read` has the `key` of each record that the job behind the step has looked at.
    """
    if not read:
        return items
    keys = reduce(
        DataFrame.unionByName,
        [rows.select(F.lit(step).alias("step"), "key") for step, rows in read.items()],
    ).distinct()
    is_asked = (
        (F.col("kind") == str(AccountDifference.MISSING))
        & F.col("step").isin(sorted(read))
        & F.col("key").isNotNull()
    )
    is_unread = is_asked & ~F.coalesce("is_read", F.lit(False))
    marked = items.join(keys.withColumn("is_read", F.lit(True)), ["step", "key"], "left")
    return marked.withColumns(
        {
            "kind": F.when(is_unread, str(AccountDifference.UNREAD)).otherwise(F.col("kind")),
            "bucket": F.when(is_unread, str(Bucket.HELD)).otherwise(F.col("bucket")),
        }
    ).select(*ITEM)
