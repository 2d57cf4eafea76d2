"""Velocity: how many payments a user has made within a window of event time, and of how much."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.decision.policies import CENTURY_SECONDS, VELOCITY_LIMIT, PolicyBook
from lakehouse.records.codes import TransactionStatus
from lakehouse.records.silver import Evaluation
from lakehouse.schema import spark_schema

_SUM = "decimal(25,2)"
_MICROS_PER_SECOND = 1_000_000


def with_velocity(
    payments: DataFrame,
    earlier: DataFrame,
    policies: PolicyBook,
    applies: Callable[[Column], Column],
) -> DataFrame:
    """Add `velocity`, what each velocity policy that applies counts.

    Counted are the distinct transactions of the same user that have an event (a row of `payments`
    or of `earlier`) with a status other than DECLINED, strictly before the payment by (timestamp,
    transaction_id) and at most `window_seconds` before it (the boundary is inside), and this
    payment's own transaction, whatever its status. `earlier` may hold payments again, and several
    events of one transaction: only the set of transactions matters.

    Where the policy limits a sum in the payment's currency, `amount` is the sum over the counted
    transactions of that currency: the payment's own amount, and of each other transaction its
    greatest amount within the window (what may still be captured of it). Null elsewhere.
    """
    if policies.longest_window_seconds == 0:
        nothing = F.array().cast(spark_schema(Evaluation)["velocity"].dataType)
        return payments.withColumn("velocity", nothing)
    asking = payments.withColumns(
        {"_micros": F.unix_micros("timestamp"), "_event": _event(), "_asks": F.lit(True)}
    )
    answering = earlier.select(
        "user_id",
        F.unix_micros("timestamp").alias("_micros"),
        _event().alias("_event"),
        F.lit(False).alias("_asks"),
    ).where(F.col("_event").isNotNull())
    # one sort of each user's payments; a join would move and match every one of them twice
    longest = policies.longest_window_seconds * _MICROS_PER_SECOND
    before = Window.partitionBy("user_id").orderBy("_micros").rangeBetween(-longest, 0)
    return (
        asking.unionByName(answering, allowMissingColumns=True)
        .withColumn("_events", F.collect_list("_event").over(before))
        .where("_asks")
        .withColumn("velocity", _velocity(policies, applies))
        .drop("_micros", "_event", "_asks", "_events")
    )


def _event() -> Column:
    """What a payment is to later ones of its user; null if it was declined."""
    event = F.struct(
        F.unix_micros("timestamp").alias("micros"),
        F.col("transaction_id").alias("id"),
        "currency",
        "amount",
    )
    return F.when(F.col("transaction_status") != str(TransactionStatus.DECLINED), event)


@lru_cache(maxsize=8)  # to build it takes longer than to use it; a column belongs to no session
def _velocity(policies: PolicyBook, applies: Callable[[Column], Column]) -> Column:
    def is_counted(policy: Column) -> Column:
        return _counts(policy) & applies(policy)

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

    return policies.of_those_that(is_counted, evidence)


def _others(window_seconds: Column) -> Column:
    """Events of other transactions that count within the window; none where there is no event."""
    this = F.unix_micros("timestamp")
    oldest = this - F.least(window_seconds, F.lit(CENTURY_SECONDS)) * F.lit(_MICROS_PER_SECOND)
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
