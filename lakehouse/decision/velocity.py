"""Velocity: how many transactions a user has made within a window of event time."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.decision.policies import CENTURY_SECONDS, VELOCITY_LIMIT, PolicyBook, is_in_force
from lakehouse.records.codes import TransactionStatus
from lakehouse.records.silver import Evaluation
from lakehouse.schema import spark_schema


def with_velocity(payments: DataFrame, earlier: DataFrame, policies: PolicyBook) -> DataFrame:
    """Add `velocity`, the count of each velocity policy in force; `_policies` is there already.

    Counted are the distinct transactions of the same user that have an event (a row of `earlier`)
    with a status other than DECLINED, strictly before the payment by (timestamp, transaction_id)
    and at most `window_seconds` before it (the boundary is inside), and this payment's own
    transaction, whatever its status. `earlier` may hold the payments themselves and several events
    of one transaction: only the set of transactions matters.
    """
    if policies.longest_window_seconds == 0:
        nothing = F.array().cast(spark_schema(Evaluation)["velocity"].dataType)
        return payments.withColumn("velocity", nothing)
    # A window touches two buckets of its own width at most: each event stands in its bucket and
    # in the next, so that a payment meets all candidates under one key, and few others.
    width = F.lit(policies.longest_window_seconds)
    seconds = F.unix_seconds("timestamp")
    bucket = seconds - F.pmod(seconds, width)
    candidates = (
        earlier.where(F.col("transaction_status") != str(TransactionStatus.DECLINED))
        .select(
            F.col("user_id").alias("_user"),
            F.explode(F.array(bucket, bucket + width)).alias("_bucket"),
            F.struct(
                F.unix_micros("timestamp").alias("micros"), F.col("transaction_id").alias("id")
            ).alias("_event"),
        )
        .groupBy("_user", "_bucket")
        .agg(F.collect_set("_event").alias("_events"))
    )
    is_candidate = (F.col("user_id") == F.col("_user")) & (bucket == F.col("_bucket"))
    return (
        payments.join(candidates, is_candidate, "left")
        .withColumn("velocity", _velocity())
        .drop("_user", "_bucket", "_events")
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
    oldest = this - F.least(window_seconds, F.lit(CENTURY_SECONDS)) * F.lit(1_000_000)
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
