"""Items of the account: the one form in which each step says what it saw; pure.

An item is one record, or one difference. It has a `bucket` where the step knows what became of the
record, and a `kind` where something is to be told of it.
"""

from __future__ import annotations

from enum import StrEnum

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.records.codes import AccountDifference


class Bucket(StrEnum):
    """What became of a delivered record."""

    ACCEPTED = "accepted"
    DUPLICATES = "duplicates"
    QUARANTINED = "quarantined"
    HELD = "held"


ITEM = (
    "step", "day", "currency", "event_type",  # the line it belongs to
    "name",  # its transaction, else its coordinates, else its file
    "key",  # what a step finds it by
    "at",  # event time
    "bucket", "rows", "amount",  # delivered records, and their smallest units of `currency`
    "kind", "cases", "gap",  # a difference: records concerned, and smallest units it is about
)  # fmt: skip


def items(
    rows: DataFrame,
    *,
    bucket: Column | Bucket | None = None,
    delivered: Column | int = 1,
    kind: Column | AccountDifference | None = None,
    cases: Column | int = 1,
    gap: Column | None = None,
) -> DataFrame:
    """Items of frames that have the columns of a line, and `name, key, at, amount`."""
    kind_of = _text(kind)
    is_told = kind_of.isNotNull()
    return rows.select(
        "step",
        F.to_date("at").alias("day") if "day" not in rows.columns else F.col("day"),
        "currency",
        "event_type",
        "name",
        "key",
        "at",
        _text(bucket).alias("bucket"),
        _number(delivered).cast("long").alias("rows"),
        F.col("amount").cast("decimal(25,2)").alias("amount"),
        kind_of.alias("kind"),
        F.when(is_told, _number(cases)).cast("long").alias("cases"),
        F.when(is_told, F.col("amount") if gap is None else gap).cast("decimal(25,2)").alias("gap"),
    ).select(*ITEM)


def _text(value: Column | StrEnum | None) -> Column:
    if isinstance(value, Column):
        return value.cast("string")
    return F.lit(None if value is None else str(value)).cast("string")


def _number(value: Column | int) -> Column:
    return value if isinstance(value, Column) else F.lit(value)
