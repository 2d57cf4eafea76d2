"""How live and batch differ on a payment, and what proves why; pure functions of frames.

A *side* is what one path says of a payment: the facts, the evidence (score, policy versions,
velocity) and the conclusions of its decision, under one set of names. Both paths share one
decision function, so a difference has a cause where it is in what went in, and each side follows
from what it recorded. What does not follow, no cause explains.
"""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.decision import CONCLUSIONS, DecisionRules, PolicyBook, evaluate, recount
from lakehouse.frames import Keep
from lakehouse.records.codes import ParityCause

LIVE, BATCH = "live", "batch"
_COUNTED_BY = ("user_id", "timestamp", "amount", "currency")
_OTHER_FACTS = ("user_id", "timestamp", "currency", "country", "region", "merchant_id")
_SCORE = ("fraud_score", "model_version", "inference_time", "explanations")
COMPARED = ("amount", *_OTHER_FACTS, *_SCORE, "velocity", *CONCLUSIONS)
"""What must be equal. Not the status: it decides nothing about its own payment."""

_SIDE = (
    "transaction_id", "transaction_status", "score_id", "score_source", "event_date", *COMPARED,
)  # fmt: skip
COUNTED = ("user_id", "transaction_id", "timestamp", "transaction_status", "currency", "amount")
"""What velocity counts by."""

VERDICT = ("event_id", "batch_revision", "differences", "causes", "unexplained")
"""What is recorded again when it is other than before."""


def stated(events: DataFrame, log: DataFrame) -> DataFrame:
    """What each path says, one row per transaction and `path`: the columns of a side.

    `events` are rows of silver.live_transactions, `log` rows of silver.batch_transactions that
    stand. Of several events, the first decided is compared: it is what the gateway was told. Of
    several decided at once it is the earliest, which the log's time is of.
    """
    first_decided = Window.partitionBy("transaction_id").orderBy(
        "decided_at", "timestamp", "event_id"
    )
    told = events.withColumn("_place", F.row_number().over(first_decided)).where("_place = 1")
    live = told.select(F.lit(LIVE).alias("path"), *_SIDE, "event_id")
    batch = log.select(F.lit(BATCH).alias("path"), *_SIDE, F.col("revision"))
    return live.unionByName(batch, allowMissingColumns=True)


def paired(sides: DataFrame) -> DataFrame:
    """One row per transaction: `live` and `batch`, each a struct or null, and what differs."""
    live, batch = (
        sides.where(F.col("path") == path).select(
            "transaction_id", F.struct(*_SIDE, "event_id", "revision").alias(path)
        )
        for path in (LIVE, BATCH)
    )
    found = [F.when(~_of(LIVE, c).eqNullSafe(_of(BATCH, c)), F.lit(c)) for c in COMPARED]
    return live.join(batch, "transaction_id", "full_outer").withColumn(
        "differences", F.when(is_missing(), _none()).otherwise(F.array_compact(F.array(*found)))
    )


def is_missing() -> Column:
    """Whether one path alone knows the transaction of a pair."""
    return F.col(LIVE).isNull() | F.col(BATCH).isNull()


def examined(
    sides: DataFrame,
    *,
    earlier: DataFrame,
    scores: DataFrame,
    policies: PolicyBook,
    rules: DecisionRules,
    keep: Keep,
) -> DataFrame:
    """What each side of a pair is worth: one row per row of `sides` (see `stated`).

    `earlier` are the payments that each path knows now, of the users and windows of `sides`, and
    `scores` the scores that each path has had, every revision; both with their `path`. The result:

    - `unsound`: conclusions that do not follow from the side's own evidence
    - `is_scored_as_recorded`: its score stands in its table, and says what the side says
    - `recounted`: its velocity, as it would be counted now
    - `is_policy_changed`: other policy versions are in force at its time now than it recorded
    """
    recorded = sides.withColumn("recorded", F.struct(*CONCLUSIONS))
    again = evaluate(recorded, policies=policies, rules=rules, recorded_policies=True)
    unsound = [F.when(~F.col(c).eqNullSafe(F.col(f"recorded.{c}")), F.lit(c)) for c in CONCLUSIONS]
    # each step begins at rows: on top of each other, their expressions would be one, and explode
    concluded = keep(
        again.withColumn("unsound", F.array_compact(F.array(*unsound))).withColumn(
            "policies", F.col("recorded.policies")
        )
    )
    # the payments of a user on one path are none of the same user's on the other
    counted = keep(
        recount(
            concluded.withColumn("user_id", _on_path()),
            earlier=earlier.withColumn("user_id", _on_path()),
            policies=policies,
        ).withColumn("recounted", F.col("velocity"))
    )
    in_force = keep(evaluate(counted, policies=policies, rules=rules))
    known = scores.groupBy("path", F.col("identity").alias("score_id")).agg(
        F.collect_set(F.struct(*_SCORE)).alias("_known")
    )
    is_known = F.exists("_known", lambda score: score.eqNullSafe(F.struct(*_SCORE)))
    is_unscored = F.col("score_id").isNull() & F.col("fraud_score").isNull()
    return in_force.join(known, ["path", "score_id"], "left").select(
        "path",
        "transaction_id",
        "unsound",
        (is_unscored | F.coalesce(is_known, F.lit(False))).alias("is_scored_as_recorded"),
        "recounted",
        (~_versions(F.col("policies")).eqNullSafe(_versions(F.col("recorded.policies")))).alias(
            "is_policy_changed"
        ),
    )


def explained(pairs: DataFrame, worth: DataFrame) -> DataFrame:
    """Add `causes` and `unexplained` to pairs that both paths know; `worth` is of `examined`."""
    of_path = {
        path: worth.where(F.col("path") == path).select(
            "transaction_id",
            F.struct(
                "unsound", "is_scored_as_recorded", "recounted", "is_policy_changed"
            ).alias(f"{path}_worth"),
        )
        for path in (LIVE, BATCH)
    }  # fmt: skip
    return (
        pairs.join(of_path[LIVE], "transaction_id")
        .join(of_path[BATCH], "transaction_id")
        .withColumn("causes", _causes())
        .withColumn("unexplained", _unexplained())
        .drop("live_worth", "batch_worth")
    )


def of_one_path(pairs: DataFrame) -> DataFrame:
    """Add `causes` and `unexplained` to pairs that one path alone knows."""
    cause = F.when(F.col(LIVE).isNull(), str(ParityCause.MISSING_LIVE)).otherwise(
        str(ParityCause.MISSING_BATCH)
    )
    return pairs.withColumns({"causes": F.array(cause), "unexplained": _none()})


def as_differences(judged: DataFrame, compared_at: datetime) -> DataFrame:
    """Rows of silver.parity but for revision and withdrawn, of pairs with their causes."""
    return judged.select(
        F.col("transaction_id").alias("identity"),
        "transaction_id",
        F.col("live.event_id").alias("event_id"),
        F.col("batch.revision").alias("batch_revision"),
        "differences",
        "causes",
        "unexplained",
        F.coalesce("batch.event_date", "live.event_date").alias("event_date"),
        F.lit(compared_at).alias("compared_at"),
    )


def _causes() -> Column:
    """Each cause that is proven, in the order declared."""
    is_other_score = _differs(*_SCORE)
    is_unscored = {path: _of(path, "score_id").isNull() for path in (LIVE, BATCH)}
    is_changed = F.col("live_worth.is_policy_changed") | F.col("batch_worth.is_policy_changed")
    is_other_version = ~_versions_of(LIVE).eqNullSafe(_versions_of(BATCH))
    are_others_other = ~_comparable(LIVE).eqNullSafe(_comparable(BATCH))
    is_counted_otherwise = ~F.col("live_worth.recounted").eqNullSafe(_of(LIVE, "velocity"))
    proofs = {
        ParityCause.LATE_SCORE: is_other_score & is_unscored[LIVE],
        ParityCause.OTHER_SCORE: is_other_score & ~is_unscored[LIVE] & ~is_unscored[BATCH],
        ParityCause.LIVE_SCORE_ONLY: is_other_score & ~is_unscored[LIVE] & is_unscored[BATCH],
        ParityCause.POLICY_CHANGED: is_other_version & is_changed,
        ParityCause.VELOCITY_COMPLETED: _differs("velocity") & is_counted_otherwise & ~_shrank(),
        # a payment whose own user, time or amount is other is counted otherwise by itself
        ParityCause.VELOCITY_OF_OTHERS: _differs("velocity")
        & are_others_other
        & ~_differs(*_COUNTED_BY),
        ParityCause.AMOUNT_CORRECTED: _differs("amount"),
        ParityCause.FACTS_CORRECTED: _differs(*_OTHER_FACTS),
    }
    return F.array_compact(
        F.array(*[F.when(proofs[c], str(c)) for c in ParityCause if c in proofs])
    )


def _unexplained() -> Column:
    """Columns that differ although their side does not follow from what it recorded.

    With them conclusions that do not follow and are equal by chance: where the evidence differs,
    they hide a difference. Where nothing is proven, all that differ.
    """
    differences = F.col("differences")
    are_scored = F.col("live_worth.is_scored_as_recorded") & F.col(
        "batch_worth.is_scored_as_recorded"
    )
    # the log's payments are all there when a row of it is written; the topic's only grow
    is_stale = ~F.col("batch_worth.recounted").eqNullSafe(_of(BATCH, "velocity")) | _shrank()
    doubted = F.concat(
        F.when(are_scored, _none()).otherwise(F.array(*[F.lit(c) for c in _SCORE])),
        F.when(is_stale, F.array(F.lit("velocity"))).otherwise(_none()),
    )
    unsound = F.array_union("live_worth.unsound", "batch_worth.unsound")
    unproven = F.array_union(F.array_intersect(differences, doubted), unsound)
    return F.when(F.size("causes") > 0, unproven).otherwise(differences)


def _shrank() -> Column:
    """Whether live counts less now than it did: events never go away."""
    less = F.zip_with(
        "live_worth.recounted",
        "live.velocity",
        lambda now, then: (
            F.coalesce(now["policy_id"] != then["policy_id"], F.lit(True))
            | (now["count"] < then["count"])
            | F.coalesce(now["amount"] < then["amount"], F.lit(False))
        ),
    )
    return F.exists(less, lambda is_less: is_less)


def _comparable(path: str) -> Column:
    """What a path counts now by the policy versions that both sides recorded."""
    shared = F.array_intersect(_versions_of(LIVE), _versions_of(BATCH))
    policy_ids = F.transform(shared, lambda version: version["policy_id"])
    return F.filter(
        f"{path}_worth.recounted",
        lambda counted: F.array_contains(policy_ids, counted["policy_id"]),
    )


def _versions_of(path: str) -> Column:
    return _versions(_of(path, "policies"))


def _versions(policies: Column) -> Column:
    return F.transform(
        policies,
        lambda policy: F.struct(
            policy["policy_id"].alias("policy_id"), policy["version"].alias("version")
        ),
    )


def _of(path: str, column: str) -> Column:
    return F.col(f"{path}.{column}")


def _differs(*columns: str) -> Column:
    return F.arrays_overlap("differences", F.array(*[F.lit(column) for column in columns]))


def _on_path() -> Column:
    return F.concat_ws(":", "path", "user_id")


def _none() -> Column:
    return F.array().cast("array<string>")
