"""What the serving store is told of a Gold row; pure functions of frames and the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.config import Config
from lakehouse.fold.rules import ExceptionRule
from lakehouse.records.codes import Finality, Source, TransactionStatus
from lakehouse.tables import GOLD_TRANSACTIONS

ATTRIBUTES = (
    "transaction_status", "settlement_status", "amount", "currency", "amount_base",
    "base_currency", "fraud_score", "fraud_reason_code", "score_source", "model_version",
    "policy_flag", "recommended_action", "settled_amount", "refunded_amount",
    "chargeback_amount", "country", "region", "user_id", "merchant_id", "timestamp", "withdrawn",
    "as_of", "event_as_of", "finality", "final_from",
)  # fmt: skip
"""Attributes of the group `gold`; amounts are minor units, instants UTC.

`as_of` is the newest event time behind the group, `event_as_of` that of the payment events alone.
`withdrawn` is true, or absent: nothing says any more that there was a payment. `final_from` is the
instant from which the outcome is FINAL if nothing else happens: a reader has a clock, and the
store is written only when something does.
"""

_CONTESTED = (ExceptionRule.STATUS_CONFLICT, ExceptionRule.MONEY_ON_DECLINED)


def latest_rows(changes: DataFrame) -> DataFrame:
    """Gold rows as the newest version in a change feed left them, with that `version`."""
    row = F.struct(*GOLD_TRANSACTIONS.columns, F.col("_commit_version").alias("version"))
    return (
        changes.where(F.col("_change_type").isin("insert", "update_postimage"))
        .groupBy("transaction_id")
        .agg(F.max_by(row, "_commit_version").alias("latest"))
        .select("latest.*")
    )


def items_of(gold: DataFrame, config: Config, now: datetime) -> DataFrame:
    """Items of the serving store, from Gold rows with their `version`, as the clock stands.

    One row per transaction: `transaction_id`, `version`, `expires_at` (epoch seconds) and
    ATTRIBUTES. Contributions that still wait for their transaction are no item, nor is a payment
    older than the store keeps; a payment that was withdrawn is one that says so.
    """
    kept = timedelta(days=config.dynamodb.retention_days)
    horizon = timedelta(days=config.gold.dispute_horizon_days)
    # of a withdrawn payment Gold knows no time, but its contributions still do
    paid_at = F.coalesce("timestamp", _newest(_is_of_payment))
    items = gold.withColumn("paid_at", paid_at).where(F.col("paid_at") > F.lit(now - kept))
    return items.withColumns(
        {
            "recommended_action": F.col("decision.recommended_action"),
            "withdrawn": F.when(F.col("timestamp").isNull(), True),
            "as_of": F.coalesce("updated_at", "paid_at"),
            "event_as_of": _newest(lambda c: _is_of_payment(c) & ~c["withdrawn"]),
            "finality": finality(now, horizon),
            "final_from": final_from(horizon),
            "expires_at": F.unix_seconds("paid_at") + int(kept.total_seconds()),
        }
    ).select("transaction_id", "version", "expires_at", *ATTRIBUTES)


def finality(now: datetime, dispute_horizon: timedelta) -> Column:
    """FINAL where nothing ordinary can still change the outcome, else PROVISIONAL.

    That is a declined payment, or one whose money moved, with the dispute horizon behind it.
    """
    is_declined = F.col("transaction_status") == TransactionStatus.DECLINED.value
    is_beyond_dispute = final_from(dispute_horizon) <= F.lit(now)
    is_final = (is_declined & ~_is_contested()) | is_beyond_dispute
    return F.when(is_final, Finality.FINAL.value).otherwise(Finality.PROVISIONAL.value)


def final_from(dispute_horizon: timedelta) -> Column:
    """When the dispute horizon lies behind a payment whose money moved, and its last money event.

    Null where no passing of time makes the outcome final: no money moved, or its own records
    contradict each other.
    """
    has_settled = F.col("settlement_status").isNotNull()
    last = F.greatest("timestamp", "last_money_at")  # greatest passes over nulls
    return F.when(has_settled & ~_is_contested(), last + F.lit(dispute_horizon))


def _is_contested() -> Column:
    return F.arrays_overlap("exceptions", F.array(*[F.lit(str(rule)) for rule in _CONTESTED]))


def _is_of_payment(contribution: Column) -> Column:
    return contribution["source"].isin(str(Source.BATCH_LOG), str(Source.LIVE_EVENT))


def _newest(such: Callable[[Column], Column]) -> Column:
    return F.array_max(F.filter("contributions", such)["event_time"])
