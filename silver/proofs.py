"""Whether a side of a pair says what its path must have said, by what it knew; pure.

A *side* is one row of `parity.stated`, with what its path knew (`decision.knowledge`): it is
decided again from that, by the one decision function.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.decision import (
    DECIDED,
    DecisionRules,
    Known,
    PolicyBook,
    decide,
    evaluate,
)
from lakehouse.frames import Keep

BY_RULES = ("fraud_reason_code", "recommended_action")
"""What conf/decision.yaml decides; flags follow from policies."""


def unproven(
    known: Known, policies: PolicyBook, rules: Mapping[str, DecisionRules], keep: Keep
) -> DataFrame:
    """Decide the sides again from what is known, by the policy versions and rules they name.

    One row per side: transaction_id and `unproven`, the columns that come out otherwise; for one
    whose version of the rules `rules` lacks, that is `rules_version`.
    """
    recorded = keep(known.sides.withColumn("recorded", F.struct(*DECIDED)))
    other = [
        F.when(~F.col(column).eqNullSafe(F.col(f"recorded.{column}")), F.lit(column))
        for column in DECIDED
    ]
    versions = rules.keys() & _versions_in(recorded)
    again = [
        decide(
            recorded.where(F.col("rules_version") == version),
            earlier=known.payments,
            scores=known.scores,
            policies=policies,
            rules=rules[version],
            recorded_policies=True,
        ).select("transaction_id", F.array_compact(F.array(*other)).alias("unproven"))
        for version in sorted(versions)
    ]
    is_told = F.coalesce(F.col("rules_version").isin(sorted(rules)), F.lit(False))
    by_unknown = recorded.where(~is_told).select(
        "transaction_id", F.array(F.lit("rules_version")).alias("unproven")
    )
    return reduce(DataFrame.unionByName, again, by_unknown)


def proving_books(sides: DataFrame, published: DataFrame) -> DataFrame:
    """Which books of policies (see `policy_books`) say what the sides recorded.

    One row per side: transaction_id; `matching`, the books in which exactly its versions are in
    force at its time, at most one of each policy; and `books`, those of them that stood while the
    side was decided: without one, its policies are not what was known.
    """
    moments = sides.select(
        "transaction_id", "timestamp", "known_from", "known_until",
        _versions(F.col("policies")).alias("_recorded"),
    )  # fmt: skip
    in_force = _versions(F.filter("listed", _is_in_force))
    ids = in_force["policy_id"]
    matches = in_force.eqNullSafe(F.col("_recorded")) & (
        F.size(ids) == F.size(F.array_distinct(ids))
    )
    stood = F.coalesce(F.col("since") <= F.col("known_until"), F.lit(True)) & F.coalesce(
        F.col("until") > F.col("known_from"), F.lit(True)
    )
    return (
        moments.crossJoin(F.broadcast(published))
        .groupBy("transaction_id")
        .agg(
            F.collect_set(F.when(matches, F.col("book"))).alias("matching"),
            F.collect_set(F.when(matches & stood, F.col("book"))).alias("books"),
        )
    )


def other_by_rules(
    pairs: DataFrame, policies: PolicyBook, rules: Mapping[str, DecisionRules]
) -> DataFrame:
    """The transactions that live would have decided otherwise by the rules that batch names.

    From the same evidence, so that nothing else can be the reason. `pairs` are of `parity.paired`.
    """
    is_other = F.col("live.rules_version") != F.col("batch.rules_version")
    by_others = pairs.where(is_other).select(
        "live.*", F.col("batch.rules_version").alias("_by"), F.struct(
            *[F.col(f"live.{column}") for column in BY_RULES]
        ).alias("_recorded")
    )  # fmt: skip
    versions = rules.keys() & {row[0] for row in by_others.select("_by").distinct().collect()}
    changed = [
        evaluate(
            by_others.where(F.col("_by") == version),
            policies=policies,
            rules=rules[version],
            recorded_policies=True,
        )
        .where(~F.struct(*BY_RULES).eqNullSafe(F.col("_recorded")))
        .select("transaction_id")
        for version in sorted(versions)
    ]
    return reduce(DataFrame.union, changed, pairs.limit(0).select("transaction_id"))


def _is_in_force(policy: Column) -> Column:
    has_begun = policy["effective_date"] <= F.col("timestamp")
    has_ended = policy["effective_to"] <= F.col("timestamp")
    return has_begun & F.coalesce(~has_ended, F.lit(True))


def _versions(policies: Column) -> Column:
    return F.array_sort(
        F.transform(
            policies,
            lambda policy: F.struct(
                policy["policy_id"].alias("policy_id"), policy["version"].alias("version")
            ),
        )
    )


def _versions_in(sides: DataFrame) -> set[str | None]:
    return {row["rules_version"] for row in sides.select("rules_version").distinct().collect()}
