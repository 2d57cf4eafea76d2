"""Slowly changing tables, rebuilt from everything delivered: policies (SCD type 2) and FX rates."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from lakehouse.errors import PolicyIntervalsError
from lakehouse.tables import SILVER_FX_RATES, SILVER_POLICIES
from silver.revisions import RECORDING_ORDER, chosen

_CONTENT = ("policy_id", "effective_date", "policy_name", "policy_data")


def policy_versions(delivered: DataFrame, published: DataFrame) -> DataFrame:
    """Rows of silver.policies: from when until when each version of each policy is in force.

    A version is a content, and keeps the number that it has in `published` (silver.policies as it
    stands), for recorded decisions refer to it; new contents get the next numbers, in the order of
    recording. Of all contents with one `effective_date` the last recorded stands. Intervals of what
    stands follow each other without gap or overlap, whatever order they were delivered in; what
    does not stand, or is delivered no more, has an empty interval.
    """
    recorded = F.struct(*RECORDING_ORDER)
    contents = delivered.groupBy(*_CONTENT).agg(
        F.min(F.struct(*RECORDING_ORDER, "coordinates")).alias("first"),
        F.max(recorded).alias("last"),
    )
    known = published.select(
        *_CONTENT,
        F.col("version").alias("number"),
        F.struct("recorded_at", "coordinates").alias("before"),
    )
    numbered = contents.join(known, [*_CONTENT], "full_outer").withColumn("version", _number())
    last_of_date = F.max("last").over(Window.partitionBy("policy_id", "effective_date"))
    standing = numbered.withColumn(
        "stands", F.coalesce(F.col("last") == last_of_date, F.lit(False))
    )
    return standing.withColumns(
        {
            "effective_to": F.when(F.col("stands"), _next_start()).otherwise(
                F.col("effective_date")
            ),
            "recorded_at": F.coalesce(
                F.col("first.delivery_date").cast("timestamp"), "before.recorded_at"
            ),
            "coordinates": F.coalesce("first.coordinates", "before.coordinates"),
        }
    ).select(*SILVER_POLICIES.columns)


def check_intervals(versions: DataFrame) -> None:
    """See that at no instant behind its first start a policy has none, or two, versions in force.

    `versions` are rows of silver.policies; those with an empty interval stand for nothing, and a
    policy all of whose versions do was taken back. Runs one query.

    Raises:
        PolicyIntervalsError: versions of a policy overlap, or leave a gap between them.
    """
    follows = Window.partitionBy("policy_id").orderBy("effective_date", "version")
    is_empty = F.col("effective_date").eqNullSafe(F.col("effective_to"))
    broken = (
        versions.where(~is_empty)
        .withColumn("next_start", F.lead("effective_date").over(follows))
        # the last one is in force until further notice: both are null
        .where(~F.col("effective_to").eqNullSafe(F.col("next_start")))
        .select("policy_id")
        .distinct()
    )
    found = [row["policy_id"] for row in broken.orderBy("policy_id").collect()]
    if found:
        raise PolicyIntervalsError(found)


def standing_rates(delivered: DataFrame) -> DataFrame:
    """Rows of silver.fx_rates: per day, base and currency the rate that was recorded last.

    A delivery that repeats what stands changes nothing, its coordinates neither.
    """
    key = ("rate_date", "base", "currency")
    before = F.lag("rate").over(Window.partitionBy(*key).orderBy(*RECORDING_ORDER))
    rates = delivered.withColumn("repeats", before.eqNullSafe(F.col("rate"))).where(
        ~F.col("repeats")
    )
    return chosen(rates, key, RECORDING_ORDER).select(*SILVER_FX_RATES.columns)


def _of_policy() -> WindowSpec:
    return Window.partitionBy("policy_id")


def _number() -> Column:
    """The published number, else the next of the policy."""
    greatest = F.coalesce(F.max("number").over(_of_policy()), F.lit(0))
    new_first = _of_policy().orderBy(F.col("number").isNotNull(), "first")
    return F.coalesce("number", greatest + F.row_number().over(new_first))


def _next_start() -> Column:
    """When the next standing version of the policy begins; null for the last."""
    later = (
        _of_policy()
        .orderBy(F.unix_micros("effective_date"))
        .rangeBetween(1, Window.unboundedFollowing)
    )
    return F.min(F.when(F.col("stands"), F.col("effective_date"))).over(later)
