"""The daily drops as frames: delivered rows with their place, and the batch log as it stands.

The *log* is one row per transaction of the daily transaction logs: the facts of `FACTS`.
"""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.config import MoneySettings
from lakehouse.decision import CONCLUSIONS, with_base_amount
from lakehouse.identity import drop_coordinates
from lakehouse.quality import is_accepted
from lakehouse.records.silver import Evaluation, NormalisedMoney
from lakehouse.schema import spark_schema
from lakehouse.tables import SILVER_BATCH_TRANSACTIONS
from silver.contract import with_drop_fields
from silver.revisions import differs

SPENT = ("raw", "header", "fields", "format", "file_sha256", "redactions")
"""What a row is parsed from, and nothing asks for afterwards."""

_PLACE = ("path", "file_revision", "row_number")
LOG_ORDER = ("delivery_date", "sequence", "timestamp", *_PLACE)
MONEY_ORDER = ("delivery_date", "timestamp", *_PLACE)
SCORE_ORDER = ("delivery_date", "inference_time", *_PLACE)
"""Which of several rows of one identity stands: the greatest, column after column."""

MONEY = tuple(spark_schema(NormalisedMoney).fieldNames())
_DERIVED = {
    *MONEY,
    *spark_schema(Evaluation).fieldNames(),
    *("fraud_score", "fraud_reason_code", "policy_flag", "settlement_status"),
    *("updated_at", "revision", "withdrawn"),
}
FACTS = [name for name in SILVER_BATCH_TRANSACTIONS.columns if name not in _DERIVED]
"""What a row of the log says by itself; everything else is computed from it."""


def same_rows(these: DataFrame, those: DataFrame) -> bool:
    """Whether two frames have equal rows, in whatever order: their counts and sums of row hashes.

    Runs one query.
    """
    columns = sorted(these.columns)
    # decimal: a sum of hashes does not overflow
    row_hash = F.xxhash64(*columns).cast("decimal(20,0)")
    signed = these.select(F.lit(1).alias("sign"), row_hash.alias("hash")).unionAll(
        those.select(F.lit(-1), -row_hash)
    )
    sums = [F.coalesce(F.sum(name), F.lit(0)) == 0 for name in ("sign", "hash")]
    found = signed.agg(*sums).first()
    return found is not None and all(found)


def delivered(rows: DataFrame) -> DataFrame:
    """Rows of bronze.drops_* with their fields by name, coordinates, and what quarantine needs."""
    return rows.transform(with_drop_fields).withColumns(
        {
            "coordinates": drop_coordinates(),
            "payload": F.col("raw").cast("binary"),
            "quarantine_date": F.col("delivery_date"),
        }
    )


def lightened(rows: DataFrame) -> DataFrame:
    """Parsed rows without the text that they came from, which only quarantine needs: kept rows are
    small.
    """
    refused = F.when(~is_accepted(), F.col("payload"))
    return rows.withColumn("payload", refused).drop(*SPENT)


def latest_plausible(max_clock_ahead_hours: int) -> Column:
    """The newest event time that a row can have: the end of its delivery day, and the allowance.

    By the day of delivery, not by today: a drop that is loaded again is judged as the first time.
    """
    hours = 24 + max_clock_ahead_hours
    return F.col("delivery_date").cast("timestamp") + F.expr(f"INTERVAL '{hours}' HOUR")


def neighbours(log: DataFrame, changed: DataFrame, window: timedelta) -> DataFrame:
    """Identities of the log whose velocity windows can hold a payment of `changed`.

    `changed` has user_id and timestamp of every payment that is new, other or gone, as it is and
    as it was.
    """
    spans = changed.groupBy("user_id").agg(
        F.min("timestamp").alias("_first"), F.max("timestamp").alias("_last")
    )
    behind = F.unix_micros("timestamp") - F.unix_micros("_last")
    is_near = (F.col("timestamp") >= F.col("_first")) & (
        behind <= window // timedelta(microseconds=1)
    )
    return log.join(spans, "user_id").where(is_near).select("identity")


def restated(log: DataFrame, rates: DataFrame, money: MoneySettings) -> DataFrame:
    """Identities of the log whose base amount, rate or rate's status is other with these rates."""
    then = F.struct(*MONEY)
    return (
        log.select("identity", "timestamp", "amount", "currency", then.alias("_then"))
        .transform(with_base_amount, rates, money)
        .where(~F.struct(*MONEY).eqNullSafe(F.col("_then")))
        .select("identity")
    )


def with_updated_at(decided: DataFrame) -> DataFrame:
    """Add `updated_at`: the newest event time that went into a row, of payment and score."""
    # null is not greatest: an unscored row is as new as its payment
    return decided.withColumn("updated_at", F.greatest("timestamp", "inference_time"))


def with_recorded_policies(payments: DataFrame, known: DataFrame) -> DataFrame:
    """Add `policies`: the evidence of the versions by which each payment was decided before.

    Null for one that was not, or at another time: the versions in force at its time apply to it.
    `known` holds the greatest revisions.
    """
    before = known.select("identity", "timestamp", "policies").alias("before")
    is_same = F.col("before.timestamp") == F.col("now.timestamp")
    return (
        payments.alias("now")
        .join(before, "identity", "left")
        .select("now.*", F.when(is_same, F.col("before.policies")).alias("policies"))
    )


def inputs_differ() -> Column:
    """Whether what a log row was computed from is not what it would be computed from now.

    The delivered content, the rate, the score, and what the user paid before. Not the policies
    and the rules of decision: a backdated policy restates nothing by itself, and so a row comes
    out the same whatever else made the job look at it. Read over the `wanted` and the `known`
    row of `next_revisions`.
    """
    return differs("content_hash", *MONEY, "score_id", "fraud_score", "explanations", "velocity")


def decision_differs() -> Column:
    """Whether policies and rules of now would decide a log row otherwise, or by other versions."""
    return inputs_differ() | differs(*CONCLUSIONS)
