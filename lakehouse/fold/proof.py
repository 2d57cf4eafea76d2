"""Whether rows of Gold are what their contributions say; pure functions of frames."""

from __future__ import annotations

from enum import StrEnum

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.fold.spark import Derivation, standing
from lakehouse.tables import GOLD_TRANSACTIONS

_PLACE = frozenset(GOLD_TRANSACTIONS.partitioned_by)
_SET = frozenset({"contributions"})
_DERIVED = frozenset(GOLD_TRANSACTIONS.columns) - _PLACE - _SET - {"transaction_id"}


class GoldFault(StrEnum):
    """How a transaction's rows are not what they should be."""

    DOUBLED = "DOUBLED"  # it has several rows
    NOT_A_SET = "NOT_A_SET"  # contributions out of order, repeated, or in an old revision
    NOT_DERIVED = "NOT_DERIVED"  # a column does not follow from the contributions
    COUNTS_WITHDRAWN = "COUNTS_WITHDRAWN"  # as if nothing had been withdrawn; also NOT_DERIVED
    MISPLACED = "MISPLACED"  # on another partition than the contributions say


def wrong_transactions(gold: DataFrame, derived: Derivation) -> DataFrame:
    """Transactions that are not one row as derived: `transaction_id`, `is_doubled`, `columns`.

    One row per transaction; `columns` are those that differ in one of its rows, sorted. Reads
    every row once, and moves no more of it than the id and the names of what differs.
    """
    # the aggregate is a barrier: a filter below it would derive each row a second time
    compared = _compared(gold, derived).groupBy("transaction_id")
    found = compared.agg(
        (F.count(F.lit(1)) > 1).alias("is_doubled"),
        F.array_sort(F.array_distinct(F.flatten(F.collect_list("columns")))).alias("columns"),
    )
    return found.where(F.col("is_doubled") | (F.size("columns") > 0))


def counting_withdrawn(wrong_rows: DataFrame, derived: Derivation) -> DataFrame:
    """`transaction_id` of rows of Gold that are derived as if nothing had been withdrawn.

    `wrong_rows` differ from their derivation. Of several that were withdrawn, all must count.
    """
    none_withdrawn = F.transform("contributions", lambda c: c.withField("withdrawn", F.lit(False)))
    has_withdrawn = F.exists("contributions", lambda c: c["withdrawn"])
    rows = wrong_rows.where(has_withdrawn).withColumn("contributions", none_withdrawn)
    return (
        _compared(rows, derived)
        .groupBy("transaction_id")
        .agg(F.min(F.size("columns")).alias("differences"))
        .where("differences = 0")
        .select("transaction_id")
    )


def faults(wrong: DataFrame, withdrawn: DataFrame) -> DataFrame:
    """One row per transaction and `GoldFault`: `transaction_id`, `fault`, `columns`.

    `wrong` is of `wrong_transactions`, `withdrawn` of `counting_withdrawn`.
    """

    def of_columns(fault: GoldFault, names: frozenset[str]) -> Column:
        differing = F.filter("columns", lambda name: name.isin([*names]))
        return F.when(F.size(differing) > 0, _fault(fault, differing))

    found = F.array(
        F.when(F.col("is_doubled"), _fault(GoldFault.DOUBLED)),
        of_columns(GoldFault.NOT_A_SET, _SET),
        of_columns(GoldFault.NOT_DERIVED, _DERIVED),
        of_columns(GoldFault.MISPLACED, _PLACE),
    )
    counted = withdrawn.select("transaction_id", F.array(_fault(GoldFault.COUNTS_WITHDRAWN)))
    each = wrong.select("transaction_id", F.array_compact(found)).union(counted)
    return each.toDF("transaction_id", "found").select("transaction_id", F.inline("found"))


def _compared(gold: DataFrame, derived: Derivation) -> DataFrame:
    """`transaction_id` and `columns` of each row: names of those that its set does not give."""
    stored = gold.select(
        "transaction_id",
        standing(F.col("contributions")).alias("contributions"),
        F.struct(*GOLD_TRANSACTIONS.columns).alias("stored"),
    )
    differing = [
        F.when(~F.col(name).eqNullSafe(F.col(f"stored.{name}")), F.lit(name))
        for name in GOLD_TRANSACTIONS.columns
    ]
    rows = derived(stored, carrying=["stored"])
    return rows.select("transaction_id", F.array_compact(F.array(*differing)).alias("columns"))


def _fault(fault: GoldFault, columns: Column | None = None) -> Column:
    names = F.array().cast("array<string>") if columns is None else columns
    return F.struct(F.lit(str(fault)).alias("fault"), names.alias("columns"))
