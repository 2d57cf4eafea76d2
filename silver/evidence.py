"""What each path knew of the payments on which they differ, gathered from the tables it wrote."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.decision import COUNTED, Known, PolicyBook, is_derived, known_by_then, recount
from lakehouse.frames import Keep
from lakehouse.pinned import Pinned
from lakehouse.records.codes import Verdict
from lakehouse.tables import (
    BRONZE_DROP_FILES,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_OFFLINE_SCORES,
    SILVER_POLICIES,
)
from silver.live import near
from silver.parity import BATCH, LIVE
from silver.policy_books import published_policies
from silver.proofs import proving_books, unproven
from silver.recorded_rules import RuleBook
from silver.standing import standing_of, standing_on

_SCORES = (
    "identity", "transaction_id", "event_date", "score_source", "model_version", "inference_time",
    "fraud_score", "explanations",
)  # fmt: skip


def worth_of(pinned: Pinned, sides: DataFrame, rules: RuleBook, keep: Keep) -> DataFrame:
    """What each side is worth, as `parity.explained` asks; one row per row of `sides`.

    Both paths have sides, for a pair has both.
    """
    policies = PolicyBook.of(pinned.read(SILVER_POLICIES))
    published = keep(published_policies(pinned))
    live, batch = (keep(sides.where(F.col("path") == path)) for path in (LIVE, BATCH))
    of_live = _of_live(pinned, live, policies, keep)
    of_batch = _of_batch(pinned, batch, policies, keep)
    worth = [
        _worth(known, policies, published, rules, keep).join(completed, "transaction_id")
        for known, completed in (of_live, of_batch)
    ]
    return worth[0].unionByName(worth[1])


def _worth(
    known: Known, policies: PolicyBook, published: DataFrame, rules: RuleBook, keep: Keep
) -> DataFrame:
    """Of each side: path, `unproven`, `books` and `matching`."""
    proof = keep(unproven(known, policies, rules.decision, keep))
    books = keep(proving_books(known.sides, published))
    sides = known.sides.select("path", "transaction_id", is_derived(rules.regions).alias("derived"))
    doubted = F.array_compact(
        F.array(
            F.when(F.size("books") == 0, "policies"), F.when(~F.col("derived"), "region")
        )
    )  # fmt: skip
    return (
        sides.join(proof, "transaction_id")
        .join(books, "transaction_id")
        .withColumn("unproven", F.array_union("unproven", doubted))
        .drop("derived")
    )


def _completed(
    sides: DataFrame, payments: DataFrame, policies: PolicyBook, keep: Keep
) -> DataFrame:
    """`completed`: the velocity of each side, of all these payments."""
    counted = recount(sides, earlier=payments.select(*COUNTED), policies=policies)
    return keep(counted.select("transaction_id", F.col("velocity").alias("completed")))


def _of_live(
    pinned: Pinned, sides: DataFrame, policies: PolicyBook, keep: Keep
) -> tuple[Known, DataFrame]:
    """What live knew by each decision; and its sides as counted by all events of now."""
    window = pinned.lake.config.gold.locate_window_days
    since = _first_decided(sides)
    days = _days_of(sides, "event_date")
    committed = (
        pinned.commits(SILVER_LIVE_TRANSACTIONS, since)
        .where(near("event_date", days, 0))
        .select("event_id", F.col("committed_at").alias("known_until"))
    )
    dated = keep(
        sides.withColumn("known_from", F.col("decided_at")).join(committed, "event_id", "left")
    )
    users = sides.select("user_id").distinct()
    look_back = timedelta(seconds=policies.longest_window_seconds).days + 1
    payments = keep(
        pinned.read(SILVER_LIVE_TRANSACTIONS)
        .where(near("event_date", days, look_back))
        .join(users, "user_id", "left_semi")
        .select(*COUNTED, "decided_at")
    )
    scores = _live_scores(pinned, sides, since, window)
    known = known_by_then(dated, payments, keep(scores), window)
    return known, _completed(sides, payments, policies, keep)


def _live_scores(pinned: Pinned, sides: DataFrame, since: datetime, window: int) -> DataFrame:
    """Scores of these transactions that live can have seen, with when they were committed."""
    around = _days_of(sides, "event_date") | _days_of(sides, "decided_at")
    is_near = near("event_date", around, window, window)
    is_used = near("event_date", _days_of(sides, "inference_time"), 0)
    committed = (
        pinned.commits(SILVER_FRAUD_SCORES, since)
        .where(is_near | is_used)
        .select("identity", "committed_at")
    )
    return (
        pinned.read(SILVER_FRAUD_SCORES)
        .where(is_near | is_used)
        .select(*_SCORES)
        .join(sides.select("transaction_id"), "transaction_id", "left_semi")
        .join(committed, "identity", "left")
        .withColumn(
            "committed_by",
            F.coalesce("committed_at", F.lit(pinned.commits_since(SILVER_FRAUD_SCORES, since))),
        )
    )


def _of_batch(
    pinned: Pinned, sides: DataFrame, policies: PolicyBook, keep: Keep
) -> tuple[Known, DataFrame]:
    """What the log and the offline model say now; and its sides as counted by that."""
    days = _days_of(sides, "event_date")
    look_back = timedelta(seconds=policies.longest_window_seconds).days + 1
    revisions = pinned.read(SILVER_BATCH_TRANSACTIONS)
    users = sides.select("user_id").distinct()
    payments = keep(
        standing_on(revisions, near("event_date", days, look_back))
        .where(~F.col("withdrawn"))
        .join(users, "user_id", "left_semi")
        .select(*COUNTED)
    )
    scores = standing_of(pinned.read(SILVER_OFFLINE_SCORES), sides.select("transaction_id"))
    dated = keep(
        sides.join(_first_loaded(pinned, sides, days), ["transaction_id", "timestamp"], "left")
        .withColumn("known_until", F.lit(None).cast("timestamp"))
    )  # fmt: skip
    standing = keep(scores.where(~F.col("withdrawn")).select(*_SCORES))
    return Known(dated, payments, standing), _completed(sides, payments, policies, keep)


def _first_loaded(pinned: Pinned, sides: DataFrame, days: frozenset[date]) -> DataFrame:
    """When the first file was loaded that had a transaction at its time: `known_from`.

    A row keeps the policies that it was first decided by as long as its time is the same.
    """
    loaded = (
        pinned.read(BRONZE_DROP_FILES)
        .where(F.col("verdict") == str(Verdict.LOADED))
        .groupBy(
            F.concat(F.lit("file:"), "path", F.lit("@"), F.substring("file_sha256", 1, 12)).alias(
                "_file"
            )
        )
        .agg(F.min("judged_at").alias("known_from"))
    )
    rows = (
        pinned.read(SILVER_BATCH_TRANSACTIONS)
        .where(near("event_date", days, 0))
        .join(sides.select("transaction_id"), "transaction_id", "left_semi")
        .withColumn("_file", F.regexp_replace("coordinates", "#[0-9]+$", ""))
        .join(F.broadcast(loaded), "_file", "left")
    )
    is_unknown = F.max(F.col("known_from").isNull())
    return rows.groupBy("transaction_id", "timestamp").agg(
        F.when(~is_unknown, F.min("known_from")).alias("known_from")
    )


def _first_decided(sides: DataFrame) -> datetime:
    found = sides.agg(F.min("decided_at").alias("moment")).first()
    assert found is not None  # an aggregate has one row
    moment: datetime = found["moment"]
    return moment.astimezone(UTC)


def _days_of(sides: DataFrame, column: str) -> frozenset[date]:
    days = sides.select(F.to_date(column).alias("day")).distinct().collect()
    return frozenset(row["day"] for row in days if row["day"] is not None)
