"""History rows: what changed in gold.transactions, by version; pure functions of frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.fold.precedence import Precedence
from lakehouse.tables import GOLD_TRANSACTION_HISTORY, GOLD_TRANSACTIONS

FieldGroups = Mapping[str, Sequence[str]]

_BEFORE = ("update_preimage", "delete")
_AFTER = ("insert", "update_postimage")
_SIDES = ("before", "after")


def field_groups(precedence: Precedence) -> FieldGroups:
    """Columns of each field group of conf/precedence.yaml."""
    return {name: getattr(precedence, name).fields for name in type(precedence).model_fields}


def history_rows(groups: FieldGroups) -> Callable[[DataFrame], DataFrame]:
    """Turn Gold's change feed into rows of gold.transaction_history.

    One row per changed transaction and Gold version: the row as that version left it, and the
    field groups in which it differs from the version before (of a new one: all with a value).
    """

    def rows(changes: DataFrame) -> DataFrame:
        row = F.struct(*GOLD_TRANSACTIONS.columns)
        version_of_row = changes.groupBy(
            "transaction_id",
            F.col("_commit_version").alias("gold_version"),
            F.col("_commit_timestamp").alias("known_from"),
        ).agg(_image(row, _BEFORE).alias("before"), _image(row, _AFTER).alias("after"))
        return (
            version_of_row.where("after IS NOT NULL")
            .select(
                "gold_version",
                "known_from",
                F.to_date("known_from").alias("known_date"),
                changed_groups(groups).alias("changed_groups"),
                "after.*",
            )
            .transform(without_payer)
            .select(*GOLD_TRANSACTION_HISTORY.columns)
        )

    return rows


def counts_of(changes: DataFrame) -> dict[int, int]:
    """How many rows of history each version of Gold's change feed makes; without rows: absent."""
    after = changes.where(F.col("_change_type").isin(*_AFTER))
    counted = after.groupBy("_commit_version").agg(F.count_distinct("transaction_id").alias("rows"))
    return {row["_commit_version"]: row["rows"] for row in counted.collect()}


def changed_groups(groups: FieldGroups) -> Column:
    """Names of the groups, sorted, in which the structs `before` and `after` differ."""
    named = [F.when(_differ(groups[group]), F.lit(group)) for group in sorted(groups)]
    return F.array_compact(F.array(*named))


def without_payer(gold: DataFrame) -> DataFrame:
    """The same rows with no user id, neither in a column nor inside `contributions`."""
    anonymous = F.transform("contributions", lambda each: each.dropFields("user_id"))
    return gold.withColumn("contributions", anonymous).drop("user_id")


def _image(row: Column, kinds: Sequence[str]) -> Column:
    # a row that moves to another partition may be a delete and an insert; a healed double is two
    # rows before and one after, and any of the two tells what changed
    return F.first(F.when(F.col("_change_type").isin(*kinds), row), ignorenulls=True)


def _differ(columns: Sequence[str]) -> Column:
    before, after = (F.struct(*[f"{side}.{name}" for name in columns]) for side in _SIDES)
    return ~before.eqNullSafe(after)
