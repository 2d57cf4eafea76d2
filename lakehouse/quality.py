"""Row rules: which rows may not go on, all the reasons why, and their quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.tables import SILVER_QUARANTINE_LIVE


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
    found = [
        F.when(
            rule.broken,
            F.struct(F.lit(rule.id).alias("rule_id"), F.lit(rule.message).alias("reason")),
        )
        for rule in rules
    ]
    return F.array_compact(F.array(*found))


def with_violations(rows: DataFrame, rules: Sequence[RowRule]) -> DataFrame:
    """Add `violations`; rows that have the column already get the new ones behind the old."""
    found = violations_of(rules)
    if "violations" in rows.columns:
        found = F.concat("violations", found)
    return rows.withColumn("violations", found)


def is_accepted() -> Column:
    """Whether a row of a frame with `violations` may go on."""
    return F.size("violations") == 0


def quarantined(rows: DataFrame, source_table: str | None = None) -> DataFrame:
    """One row per refused row of `rows`, with every rule it broke, as `Quarantined` says.

    `rows` has `violations`, `coordinates`, `payload` (binary) and `quarantine_date`; `identity`
    and `transaction_id` where they are known; and `source_table`, unless one is named for all.
    """
    known = {
        name: F.col(name) if name in rows.columns else F.lit(None).cast("string")
        for name in ("identity", "transaction_id")
    }
    return (
        rows.where(~is_accepted())
        .withColumns(known)
        .withColumns(
            {
                "source_table": F.lit(source_table) if source_table else F.col("source_table"),
                "rule_ids": F.col("violations.rule_id"),
                "reasons": F.col("violations.reason"),
            }
        )
        .select(*SILVER_QUARANTINE_LIVE.columns)
    )


def resolved(corrections: DataFrame, payments: DataFrame, scores: DataFrame) -> DataFrame:
    """`coordinates` of quarantined records whose correction Silver has taken, each once.

    A correction is taken when a row of `payments` or `scores` has its identity and content: the
    correction's own, or an equal one. (The view silver.resolved says the same in SQL.)
    """
    content = ("identity", "content_hash")
    taken = payments.select(*content).unionByName(scores.select(*content))
    return corrections.join(taken, [*content], "left_semi").select("coordinates").distinct()
