"""Row rules: which rows may not go on, all the reasons why, and their quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.tables import SILVER_QUARANTINE_LIVE, SILVER_WARNINGS_BATCH

VIOLATIONS = "array<struct<rule_id:string,reason:string>>"
"""What `violations` and `warnings` are."""


@dataclass(frozen=True)
class RowRule:
    """One rule of a row; a condition that is null counts as *not* broken.

    `message` is for people and is the same for every row: it never carries a value.
    """

    id: str
    message: str
    broken: Column


def violations_of(rules: Sequence[RowRule]) -> Column:
    """All broken rules of a row as `array<struct<rule_id, reason>>`, in the order declared."""
    nothing = F.array().cast(VIOLATIONS)
    # not by a lambda: around one, Spark compiles less
    found = [
        F.when(
            rule.broken,
            F.array(F.struct(F.lit(rule.id).alias("rule_id"), F.lit(rule.message).alias("reason"))),
        ).otherwise(nothing)
        for rule in rules
    ]
    broken = F.concat(nothing, *found)
    is_broken = [F.coalesce(rule.broken, F.lit(False)) for rule in rules]
    # nearly every row breaks none
    return F.when(reduce(or_, is_broken, F.lit(False)), broken).otherwise(nothing)


def with_violations(rows: DataFrame, rules: Sequence[RowRule]) -> DataFrame:
    """Add `violations`; rows that have the column already get the new ones behind the old."""
    found = violations_of(rules)
    if "violations" in rows.columns:
        found = F.concat("violations", found)
    return rows.withColumn("violations", found)


def with_row_rules(
    rows: DataFrame,
    refusing: Sequence[RowRule],
    warning: Sequence[RowRule],
    is_asked: Column | None = None,
) -> DataFrame:
    """Judge rows that have passed so far: `refusing` adds to `violations`, `warning` to `warnings`.

    A row that has `violations` already was not read to its end: it gets no further opinion. One
    that `is_asked` is not true of gets none either.
    """
    nothing = violations_of(())
    is_judged = is_accepted() if is_asked is None else is_accepted() & is_asked
    return rows.withColumns(
        {
            "violations": F.when(is_judged, violations_of(refusing)).otherwise(F.col("violations")),
            "warnings": F.when(is_judged, violations_of(warning)).otherwise(nothing),
        }
    )


def is_accepted() -> Column:
    """Whether a row of a frame with `violations` may go on."""
    return F.size("violations") == 0


def quarantined(rows: DataFrame, source_table: str | None = None) -> DataFrame:
    """One row per refused row of `rows`, with every rule it broke, as `Quarantined` says.

    `rows` has `violations`, `coordinates`, `payload` (binary) and `quarantine_date`; `identity`
    and `transaction_id` where they are known; and `source_table`, unless one is named for all.
    """
    return _told(rows.where(~is_accepted()), "violations", source_table).select(
        *SILVER_QUARANTINE_LIVE.columns
    )


def warned(rows: DataFrame, source_table: str) -> DataFrame:
    """One row per accepted row of `rows` with `warnings`, and every one of them, as `Warned` says.

    `rows` has `violations`, `warnings`, `coordinates` and `delivery_date`.
    """
    telling = rows.where(is_accepted() & (F.size("warnings") > 0))
    return _told(telling, "warnings", source_table).select(*SILVER_WARNINGS_BATCH.columns)


def _told(rows: DataFrame, why: str, source_table: str | None) -> DataFrame:
    known = {
        name: F.col(name) if name in rows.columns else F.lit(None).cast("string")
        for name in ("identity", "transaction_id")
    }
    return rows.withColumns(known).withColumns(
        {
            "source_table": F.lit(source_table) if source_table else F.col("source_table"),
            "rule_ids": F.col(f"{why}.rule_id"),
            "reasons": F.col(f"{why}.reason"),
        }
    )


def resolved(corrections: DataFrame, payments: DataFrame, scores: DataFrame) -> DataFrame:
    """`coordinates` of quarantined records whose correction Silver has taken, each once.

    A correction is taken when a row of `payments` or `scores` has its identity and content: the
    correction's own, or an equal one. (The view silver.resolved says the same in SQL.)
    """
    content = ("identity", "content_hash")
    taken = payments.select(*content).unionByName(scores.select(*content))
    return corrections.join(taken, [*content], "left_semi").select("coordinates").distinct()
