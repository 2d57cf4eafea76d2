"""How live and batch differ on a payment, and why; pure functions of frames.

A *side* is what one path says of a payment: the facts, the evidence (score, policy versions, rules,
velocity) and the conclusions of its decision, under one set of names. Both paths share one
decision function, so a difference has a cause where each side follows from what its path knew
(`silver/proofs.py`), and that was something else. What does not follow, no cause explains.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.decision import CONCLUSIONS
from lakehouse.records.codes import ParityCause
from silver.live import FIRST_DECIDED

LIVE, BATCH = "live", "batch"
_COUNTED_BY = ("user_id", "timestamp", "amount", "currency")
_OTHER_FACTS = ("user_id", "timestamp", "currency", "country", "merchant_id")
_SCORE = ("fraud_score", "model_version", "inference_time", "explanations")
_BY_RULES = ("fraud_reason_code", "recommended_action")
COMPARED = ("amount", *_OTHER_FACTS, "region", *_SCORE, "velocity", *CONCLUSIONS)
"""What must be equal. Not the status: it decides nothing about its own payment."""

_SIDE = (
    "transaction_id", "transaction_status", "score_id", "score_source", "rules_version",
    "event_date", *COMPARED,
)  # fmt: skip

VERDICT = ("event_id", "batch_revision", "differences", "causes", "unexplained")
"""What is recorded again when it is other than before."""


def stated(events: DataFrame, log: DataFrame) -> DataFrame:
    """What each path says, one row per transaction and `path`: the columns of a side.

    `events` are rows of silver.live_transactions, `log` rows of silver.batch_transactions that
    stand. Of several events, the first decided is compared: it is what the gateway was told.
    """
    first_decided = Window.partitionBy("transaction_id").orderBy(*FIRST_DECIDED)
    told = events.withColumn("_place", F.row_number().over(first_decided)).where("_place = 1")
    live = told.select(F.lit(LIVE).alias("path"), *_SIDE, "event_id", "decided_at")
    batch = log.select(F.lit(BATCH).alias("path"), *_SIDE, "revision")
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


def explained(pairs: DataFrame, worth: DataFrame, by_rules: DataFrame) -> DataFrame:
    """Add `causes` and `unexplained` to pairs that both paths know.

    `worth` has one row per side: path, transaction_id and

    - `unproven`: columns that do not follow from what its path knew
    - `books`, `matching`: see `proofs.proving_books`
    - `completed`: its velocity, as it would be counted of what its path knows now

    `by_rules` are the transactions that `proofs.other_by_rules` finds.
    """
    of_path = {
        path: worth.where(F.col("path") == path).select(
            "transaction_id",
            F.struct("unproven", "books", "matching", "completed").alias(f"{path}_worth"),
        )
        for path in (LIVE, BATCH)
    }
    is_by_rules = by_rules.distinct().withColumn("_is_by_rules", F.lit(True))
    return (
        pairs.join(of_path[LIVE], "transaction_id", "left")
        .join(of_path[BATCH], "transaction_id", "left")
        .join(is_by_rules, "transaction_id", "left")
        .withColumn("causes", _causes())
        .withColumn("unexplained", _unexplained())
        .drop("live_worth", "batch_worth", "_is_by_rules")
    )


def of_one_path(pairs: DataFrame) -> DataFrame:
    """Add `causes` and `unexplained` to pairs that one path alone knows."""
    cause = F.when(F.col(LIVE).isNull(), str(ParityCause.MISSING_LIVE)).otherwise(
        str(ParityCause.MISSING_BATCH)
    )
    return pairs.withColumns({"causes": F.array(cause), "unexplained": _none()})


def as_differences(
    judged: DataFrame, compared_at: datetime, versions: Mapping[str, int]
) -> DataFrame:
    """Rows of silver.parity but for revision and withdrawn, of pairs with their causes.

    `versions` are the Delta versions of the tables that were read.
    """
    return judged.select(
        F.col("transaction_id").alias("identity"),
        "transaction_id",
        F.col("live.event_id").alias("event_id"),
        F.col("batch.revision").alias("batch_revision"),
        "differences",
        "causes",
        "unexplained",
        day().alias("event_date"),
        F.lit(compared_at).alias("compared_at"),
        versions_read(versions).alias("read_versions"),
    )


def day() -> Column:
    """The UTC day of a pair: of the log's row, else of the event."""
    return F.coalesce("batch.event_date", "live.event_date")


def versions_read(versions: Mapping[str, int]) -> Column:
    """Delta versions by table, as silver.parity has them."""
    places = [F.lit(place) for entry in sorted(versions.items()) for place in entry]
    return F.create_map(*places).cast("map<string,int>")


def _causes() -> Column:
    """Each cause that is proven, in the order declared."""
    is_other_score = _differs(*_SCORE) & _follows(*_SCORE)
    is_unscored = {path: _of(path, "score_id").isNull() for path in (LIVE, BATCH)}
    is_other_version = ~_versions_of(LIVE).eqNullSafe(_versions_of(BATCH))
    is_other_book = ~F.arrays_overlap("live_worth.matching", "batch_worth.matching")
    is_other_region = _differs("region") & _follows("region") & ~_differs("country")
    is_other_count = _differs("velocity") & _follows("velocity")
    is_completed = ~F.col("live_worth.completed").eqNullSafe(_of(LIVE, "velocity"))
    are_others_other = ~_comparable(LIVE).eqNullSafe(_comparable(BATCH))
    is_by_rules = F.coalesce("_is_by_rules", F.lit(False)) & _follows(*_BY_RULES)
    proofs = {
        ParityCause.LATE_SCORE: is_other_score & is_unscored[LIVE],
        ParityCause.OTHER_SCORE: is_other_score & ~is_unscored[LIVE] & ~is_unscored[BATCH],
        ParityCause.LIVE_SCORE_ONLY: is_other_score & ~is_unscored[LIVE] & is_unscored[BATCH],
        ParityCause.POLICY_CHANGED: is_other_version & is_other_book & _follows("policies"),
        ParityCause.RULES_CHANGED: (is_by_rules & _differs(*_BY_RULES)) | is_other_region,
        ParityCause.VELOCITY_COMPLETED: is_other_count & is_completed,
        # a payment whose own user, time or amount is other is counted otherwise by itself
        ParityCause.VELOCITY_OF_OTHERS: is_other_count & are_others_other & ~_differs(*_COUNTED_BY),
        ParityCause.AMOUNT_CORRECTED: _differs("amount"),
        ParityCause.FACTS_CORRECTED: _differs(*_OTHER_FACTS),
    }
    return F.array_compact(
        F.array(*[F.when(proofs[c], str(c)) for c in ParityCause if c in proofs])
    )


def _unexplained() -> Column:
    """Columns of either side that do not follow from what its path knew; all that differ where
    nothing is proven.

    Also where both sides have them equal: where the evidence differs, that hides a difference.
    """
    unproven = F.array_union(_unproven(LIVE), _unproven(BATCH))
    return F.when(F.size("causes") > 0, unproven).otherwise(F.array_union("differences", unproven))


def _unproven(path: str) -> Column:
    """What does not follow; of a side that nothing was found out about, all that is compared."""
    everything = F.array(*[F.lit(column) for column in COMPARED])
    return F.coalesce(f"{path}_worth.unproven", everything)


def _follows(*columns: str) -> Column:
    """Whether both sides have these columns as they must, by what their paths knew."""
    names = F.array(*[F.lit(column) for column in (*columns, "rules_version")])
    return ~F.arrays_overlap(_unproven(LIVE), names) & ~F.arrays_overlap(_unproven(BATCH), names)


def _comparable(path: str) -> Column:
    """What a path counts by now by the policy versions that both sides recorded."""
    shared = F.array_intersect(_versions_of(LIVE), _versions_of(BATCH))
    policy_ids = F.transform(shared, lambda version: version["policy_id"])
    return F.filter(
        f"{path}_worth.completed",
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


def _none() -> Column:
    return F.array().cast("array<string>")
