"""What a decision must have been made from, by what was known when it was made; pure.

A *side* is one decided payment. What was known then is put together from recorded times
(`known_from`, `known_until`: no earlier and no later than when it was decided, null where nothing
tells), so that it can be decided again from that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.decision.evaluation import CONCLUSIONS
from lakehouse.decision.regions import Regions, region_of

COUNTED = ("user_id", "transaction_id", "timestamp", "transaction_status", "currency", "amount")
"""What velocity counts by."""

SCORE = (
    "score_id",
    "score_source",
    "model_version",
    "inference_time",
    "fraud_score",
    "explanations",
)
DECIDED = (*SCORE, "velocity", *CONCLUSIONS)
"""All that a decision says: what it used, and what it concluded."""


@dataclass(frozen=True)
class Known:
    """What one path knows: of every side its own user's payments, and its own scores.

    `payments` (COUNTED) have the `user_id` that `sides` have, and so count for these sides alone.
    """

    sides: DataFrame
    payments: DataFrame
    scores: DataFrame


def known_by_then(
    sides: DataFrame,
    payments: DataFrame,
    scores: DataFrame,
    window: int,
    *,
    in_doubt: bool = False,
) -> Known:
    """What live knew when it decided each of its sides; one side is one transaction.

    Payments decided before it or with it (`decided_at`), and the scores that were committed before
    it was: at `committed_at`, of which null says no more than at `committed_by` or earlier. Where
    nothing tells when the side was committed, those of before it was decided are known. A
    micro-batch looks for scores of at most `window` days around its own days. The score that the
    side used is among what it knew unless it came later. So are others that nothing proves to have
    come later, where those `in_doubt` are asked for.
    """
    moments = sides.select(
        F.col("user_id").alias("_user"), F.col("known_from").alias("_then")
    ).distinct()
    is_known = (F.col("user_id") == F.col("_user")) & (F.col("decided_at") <= F.col("_then"))
    seen = payments.join(moments, is_known).withColumn(
        "user_id", _as_of(F.col("user_id"), F.col("_then"))
    )
    decision = sides.select(
        F.col("transaction_id").alias("_of"),
        F.col("score_id").alias("_used"),
        F.array("event_date", F.to_date("known_from")).alias("_days"),
        F.col("known_until").alias("_until"),
        F.coalesce("known_until", "known_from").alias("_surely_until"),
    )
    day = F.col("event_date")
    is_near = F.exists("_days", lambda own: F.abs(F.datediff(day, own)) <= window)
    may_have_been = F.coalesce(F.col("committed_at") <= F.col("_until"), F.lit(True))
    was_there = may_have_been if in_doubt else F.col("committed_by") <= F.col("_surely_until")
    is_used = F.coalesce(F.col("identity") == F.col("_used"), F.lit(False))
    is_of = F.col("transaction_id") == F.col("_of")
    return Known(
        sides.withColumn("user_id", _as_of(F.col("user_id"), F.col("known_from"))),
        seen.select(*COUNTED),
        scores.join(decision, is_of)
        .where((is_used & may_have_been) | (is_near & was_there))
        .drop("_of", "_used", "_days", "_until", "_surely_until"),
    )


def is_derived(regions: Iterable[Regions]) -> Column:
    """Whether a side's region is its country's, by one of these files of regions."""
    ways = [region_of(F.col("country"), known).eqNullSafe(F.col("region")) for known in regions]
    return reduce(lambda found, way: found | way, ways, F.lit(False))


def _as_of(user: Column, moment: Column) -> Column:
    """A user as known at a moment: what was known at another is of somebody else."""
    return F.concat_ws("@", F.unix_micros(moment).cast("string"), user)
