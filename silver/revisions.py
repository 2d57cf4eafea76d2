"""Revisions: which delivered row stands for an identity, and what is appended when it changes.

Silver has one row per identity and revision. Nothing is rewritten: a row whose inputs changed,
or that vanished from a corrected drop, is appended under the next revision of its identity. One
that a correction gives to another transaction takes two: withdrawn from the old, then new.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.tables import Table

RECORDING_ORDER = ("delivery_date", "path", "file_revision", "row_number")
"""When a delivered row was recorded, as its sender declares it; never when it arrived here."""


def chosen(rows: DataFrame, key: tuple[str, ...], order: tuple[str, ...]) -> DataFrame:
    """One row per key: the greatest by `order`, column after column; a null is least."""
    strongest_first = Window.partitionBy(*key).orderBy(
        *[F.col(column).desc_nulls_last() for column in order]
    )
    return (
        rows.withColumn("_rank", F.row_number().over(strongest_first))
        .where("_rank = 1")
        .drop("_rank")
    )


def latest(revisions: DataFrame) -> DataFrame:
    """Each identity's greatest revision, withdrawn or not."""
    return chosen(revisions, ("identity",), ("revision",))


def differs(*columns: str) -> Column:
    """Whether any of these columns is not the same in the `wanted` row and the `known` one."""
    return F.exists(
        F.array(*[~_wanted(column).eqNullSafe(_known(column)) for column in columns]),
        lambda differs_here: differs_here,
    )


def first_revisions(wanted: DataFrame) -> DataFrame:
    """The same as `next_revisions` where nothing is known: every identity begins."""
    return wanted.withColumns({"revision": F.lit(0), "withdrawn": F.lit(False)})


def next_revisions(
    wanted: DataFrame, known: DataFrame, changed: Column, table: Table, owner: str | None = None
) -> DataFrame:
    """Rows of `table` to append so that the identities of both frames stand as `wanted`.

    `wanted` has one row per identity and all columns but revision and withdrawn; `known` holds
    the greatest revisions. An identity that only `wanted` has begins at revision 0; one that
    only `known` has is withdrawn, with its facts as last known; one that both have is appended
    where it was withdrawn, or where `changed` holds (see `differs`). What is equal adds nothing.

    `owner` is the column of the one that counts a row, where a correction can change it. Such a
    row is withdrawn from the old owner first, and comes to the new one a revision later.
    """
    pairs = wanted.alias("wanted").join(
        known.alias("known"), _wanted("identity") == _known("identity"), "full_outer"
    )
    is_new = _known("identity").isNull()
    is_gone = _wanted("identity").isNull()
    to_append = is_new | F.when(is_gone, ~_known("withdrawn")).otherwise(
        _known("withdrawn") | changed
    )
    rows = pairs.where(to_append).withColumn("_is_withdrawal", is_gone)
    revision = F.coalesce(_known("revision") + 1, F.lit(0))
    if owner is not None:
        # whoever has lost it reads no row of another, so it must be told
        has_moved = ~is_new & ~is_gone & ~_known("withdrawn") & differs(owner)
        both = F.array(F.lit(True), F.lit(False))
        steps = F.when(has_moved, both).otherwise(F.array(is_gone))
        rows = pairs.where(to_append).withColumn("_is_withdrawal", F.explode(steps))
        revision += F.when(has_moved & ~F.col("_is_withdrawal"), 1).otherwise(0)
    is_withdrawal = F.col("_is_withdrawal")
    facts = {
        column: F.when(is_withdrawal, _known(column)).otherwise(_wanted(column)).alias(column)
        for column in table.columns
        if column not in ("revision", "withdrawn")
    }
    columns = facts | {
        "revision": revision.alias("revision"),
        "withdrawn": is_withdrawal.alias("withdrawn"),
    }
    return rows.select(*[columns[name] for name in table.columns])


def _wanted(column: str) -> Column:
    return F.col(f"wanted.{column}")


def _known(column: str) -> Column:
    return F.col(f"known.{column}")
