"""Velocity: how many payments a user has made within a window of event time, and of how much."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.decision.policies import CENTURY_SECONDS, VELOCITY_LIMIT, PolicyBook
from lakehouse.records.codes import TransactionStatus
from lakehouse.records.silver import Evaluation
from lakehouse.schema import spark_schema

_SUM = "decimal(25,2)"


def with_velocity(
    payments: DataFrame,
    earlier: DataFrame,
    policies: PolicyBook,
    applies: Callable[[Column], Column],
) -> DataFrame:
    """Add `velocity`, what each velocity policy that applies counts; `_policies` is there already.

    Counted are the distinct transactions of the same user that have an event (a row of `earlier`)
    with a status other than DECLINED, strictly before the payment by (timestamp, transaction_id)
    and at most `window_seconds` before it (the boundary is inside), and this payment's own
    transaction, whatever its status. `earlier` may hold the payments themselves and several events
    of one transaction: only the set of transactions matters.

    Where the policy limits a sum in the payment's currency, `amount` is the sum over the counted
    transactions of that currency: the payment's own amount, and of each other transaction its
    greatest amount within the window (what may still be captured of it). Null elsewhere.
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
                F.unix_micros("timestamp").alias("micros"),
                F.col("transaction_id").alias("id"),
                "currency",
                "amount",
            ).alias("_event"),
        )
        .groupBy("_user", "_bucket")
        .agg(F.collect_set("_event").alias("_events"))
    )
    is_candidate = (F.col("user_id") == F.col("_user")) & (bucket == F.col("_bucket"))
    return (
        payments.join(candidates, is_candidate, "left")
        .withColumn("velocity", _velocity(applies))
        .drop("_user", "_bucket", "_events")
    )


@cache  # to build it takes longer than to use it, and a column belongs to no session
def _velocity(applies: Callable[[Column], Column]) -> Column:
    counted = F.filter("_policies", lambda policy: _counts(policy) & applies(policy))

    def evidence(policy: Column) -> Column:
        # a lambda's argument is evaluated once, a repeated column is not
        found = F.transform(
            F.array(_others(policy["window_seconds"])),
            lambda others: F.struct(
                policy["policy_id"].alias("policy_id"),
                policy["window_seconds"].alias("window_seconds"),
                _count(others).cast("bigint").alias("count"),
                F.when(_limits_sum(policy), _sum(others)).alias("amount"),
            ),
        )
        return F.get(found, F.lit(0))

    return F.transform(counted, evidence)


def _others(window_seconds: Column) -> Column:
    """Events of other transactions that count within the window; none where there is no event."""
    this = F.unix_micros("timestamp")
    oldest = this - F.least(window_seconds, F.lit(CENTURY_SECONDS)) * F.lit(1_000_000)
    this_id = F.col("transaction_id")

    def is_counted(event: Column) -> Column:
        is_earlier = (event["micros"] < this) | (
            (event["micros"] == this) & (event["id"] < this_id)
        )
        return is_earlier & (event["micros"] >= oldest) & (event["id"] != this_id)

    return F.coalesce(F.filter("_events", is_counted), F.array())


def _count(others: Column) -> Column:
    return F.array_size(F.array_distinct(others["id"])) + F.lit(1)


def _sum(others: Column) -> Column:
    in_currency = F.filter(others, lambda event: event["currency"] == F.col("currency"))
    amounts = F.transform(in_currency, lambda event: F.struct(event["id"], event["amount"]))

    def sum_of(sorted_amounts: Column) -> Column:
        def is_greatest(amount: Column, place: Column) -> Column:
            # of one transaction the last
            following = F.get(sorted_amounts, place + 1)
            return F.coalesce(following["id"] != amount["id"], F.lit(True))

        return F.aggregate(
            F.filter(sorted_amounts, is_greatest),
            F.col("amount").cast(_SUM),
            lambda total, amount: (total + amount["amount"]).cast(_SUM),
        )

    return F.get(F.transform(F.array(F.array_sort(amounts)), sum_of), F.lit(0))


def _limits_sum(policy: Column) -> Column:
    """Whether it limits a sum in the payment's currency."""
    return policy["max_amount"].isNotNull() & (policy["currency"] == F.col("currency"))


def _counts(policy: Column) -> Column:
    """Whether it is a velocity policy that can be read."""
    limits_count = policy["max_count"].isNotNull()
    limits_sum = policy["max_amount"].isNotNull() & policy["currency"].isNotNull()
    is_complete = (limits_count | limits_sum) & (policy["window_seconds"] > 0)
    return (policy["rule"] == VELOCITY_LIMIT) & is_complete
