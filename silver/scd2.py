"""Slowly changing tables, rebuilt from everything delivered: policies (SCD type 2) and FX rates."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.tables import SILVER_FX_RATES, SILVER_POLICIES
from silver.revisions import RECORDING_ORDER, chosen


def policy_versions(delivered: DataFrame) -> DataFrame:
    """Rows of silver.policies: from when until when each version of each policy is in force.

    Per policy, versions are numbered in the order of recording; a delivery that repeats what
    stands is no version. Of two versions with one `effective_date` the later recorded stands,
    and the other's number is not used again: decisions refer to it. Intervals of a policy
    follow each other without gap or overlap, whatever order they were delivered in.
    """
    key = ("policy_id", "effective_date")
    of_policy = Window.partitionBy("policy_id")
    as_recorded = of_policy.orderBy(*RECORDING_ORDER)
    versions = _without_repeats(delivered, key, ("policy_name", "policy_data")).withColumn(
        "version", F.row_number().over(as_recorded)
    )
    return (
        chosen(versions, key, ("version",))
        .withColumns(
            {
                "effective_to": F.lead("effective_date").over(of_policy.orderBy("effective_date")),
                "recorded_at": F.col("delivery_date").cast("timestamp"),
            }
        )
        .select(*SILVER_POLICIES.columns)
    )


def standing_rates(delivered: DataFrame) -> DataFrame:
    """Rows of silver.fx_rates: per day, base and currency the rate that was recorded last."""
    key = ("rate_date", "base", "currency")
    rates = _without_repeats(delivered, key, ("rate",))
    return chosen(rates, key, RECORDING_ORDER).select(*SILVER_FX_RATES.columns)


def _without_repeats(
    delivered: DataFrame, key: tuple[str, ...], content: tuple[str, ...]
) -> DataFrame:
    """Rows that say something else than the row of the same key recorded before them."""
    said = F.struct(*content)
    before = F.lag(said).over(Window.partitionBy(*key).orderBy(*RECORDING_ORDER))
    return (
        delivered.withColumn("_repeats", before.eqNullSafe(said))
        .where(~F.col("_repeats"))
        .drop("_repeats")
    )
