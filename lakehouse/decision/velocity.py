"""Velocity: how many transactions a user has made within a window of event time."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.decision.policies import VELOCITY_LIMIT, is_in_force, listed
from lakehouse.records.codes import TransactionStatus

_CENTURY = 3_155_760_000  # seconds: a longer window sees no more, and its microseconds overflow


def longest_window_seconds(policies: DataFrame) -> int:
    """How far back any velocity policy looks, 0 without one: what `earlier` must reach back.

    Runs a query; call it when policies changed, not for each micro-batch.
    """
    longest = listed(policies).select(F.coalesce(_longest_window(), F.lit(0)).alias("seconds"))
    row = longest.first()
    return int(row["seconds"]) if row else 0


def with_velocity(payments: DataFrame, earlier: DataFrame, all_policies: DataFrame) -> DataFrame:
    """Add `_policies` and `velocity`, the count of each velocity policy in force.

    `all_policies` is the one row of `policies.listed`.

    Counted are the distinct transactions of the same user that have an event (a row of `earlier`)
    with a status other than DECLINED, strictly before the payment by (timestamp, transaction_id)
    and at most `window_seconds` before it (the boundary is inside), and this payment's own
    transaction, whatever its status. `earlier` may hold the payments themselves and several events
    of one transaction: only the set of transactions matters.
    """
    width = F.broadcast(all_policies.select(_longest_window().alias("_width")))
    # A window touches two buckets of its own width at most: each event stands in its bucket and
    # in the next, so that a payment meets all candidates under one key, and few others.
    seconds = F.unix_seconds("timestamp")
    bucket = seconds - F.pmod(seconds, F.col("_width"))
    candidates = (
        earlier.where(F.col("transaction_status") != str(TransactionStatus.DECLINED))
        .crossJoin(width)
        .select(
            F.col("user_id").alias("_user"),
            F.explode(F.array(bucket, bucket + F.col("_width"))).alias("_bucket"),
            F.struct(
                F.unix_micros("timestamp").alias("micros"), F.col("transaction_id").alias("id")
            ).alias("_event"),
        )
        .where(F.col("_bucket").isNotNull())
        .groupBy("_user", "_bucket")
        .agg(F.collect_set("_event").alias("_events"))
    )
    is_candidate = (F.col("user_id") == F.col("_user")) & (F.col("_own_bucket") == F.col("_bucket"))
    return (
        payments.crossJoin(width)
        .withColumn("_own_bucket", bucket)
        .join(candidates, is_candidate, "left")
        .crossJoin(F.broadcast(all_policies))
        .withColumn("velocity", _velocity())
        .drop("_width", "_own_bucket", "_user", "_bucket", "_events")
    )


def _velocity() -> Column:
    counted = F.filter("_policies", lambda policy: _counts(policy) & is_in_force(policy))
    return F.transform(
        counted,
        lambda policy: F.struct(
            policy["policy_id"].alias("policy_id"),
            policy["window_seconds"].alias("window_seconds"),
            _count(policy["window_seconds"]).cast("bigint").alias("count"),
        ),
    )


def _count(window_seconds: Column) -> Column:
    this = F.unix_micros("timestamp")
    oldest = this - F.least(window_seconds, F.lit(_CENTURY)) * F.lit(1_000_000)
    this_id = F.col("transaction_id")

    def is_counted(event: Column) -> Column:
        is_earlier = (event["micros"] < this) | (
            (event["micros"] == this) & (event["id"] < this_id)
        )
        return is_earlier & (event["micros"] >= oldest) & (event["id"] != this_id)

    others = F.array_distinct(F.filter("_events", is_counted)["id"])
    # no candidates at all: only this one
    return F.coalesce(F.array_size(others), F.lit(0)) + F.lit(1)


def _counts(policy: Column) -> Column:
    """Whether it is a velocity policy that can be read."""
    is_complete = policy["max_count"].isNotNull() & (policy["window_seconds"] > 0)
    return (policy["rule"] == VELOCITY_LIMIT) & is_complete


def _longest_window() -> Column:
    """Of all velocity policies in `_policies`, in force or not; null without one."""
    longest = F.array_max(F.filter("_policies", _counts)["window_seconds"])
    # `least` would make a century of null
    return F.when(longest > _CENTURY, F.lit(_CENTURY)).otherwise(longest)
