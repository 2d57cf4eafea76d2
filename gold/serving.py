"""What the serving store is told of a Gold row; pure functions of frames and the clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.config import Config
from lakehouse.records.codes import TransactionStatus
from lakehouse.tables import GOLD_TRANSACTIONS, WAITING_DAY

ATTRIBUTES = (
    "transaction_status", "settlement_status", "amount", "currency", "amount_base",
    "base_currency", "fraud_score", "fraud_reason_code", "score_source", "model_version",
    "policy_flag", "recommended_action", "settled_amount", "refunded_amount",
    "chargeback_amount", "country", "region", "user_id", "merchant_id", "timestamp", "as_of",
    "finality",
)  # fmt: skip
"""Attributes of the group `gold`; amounts are minor units, instants UTC."""


class Finality(StrEnum):
    """Whether an outcome may be relied on for ever."""

    FINAL = "FINAL"
    PROVISIONAL = "PROVISIONAL"


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
    older than the store keeps.
    """
    kept = timedelta(days=config.dynamodb.retention_days)
    is_payment = F.col("event_date") != F.lit(WAITING_DAY)
    is_kept = F.col("timestamp") > F.lit(now - kept)
    return (
        gold.where(is_payment & is_kept)
        .withColumns(
            {
                "recommended_action": F.col("decision.recommended_action"),
                "as_of": F.col("updated_at"),
                "finality": finality(now, timedelta(days=config.gold.dispute_horizon_days)),
                "expires_at": F.unix_seconds("timestamp") + int(kept.total_seconds()),
            }
        )
        .select("transaction_id", "version", "expires_at", *ATTRIBUTES)
    )


def finality(now: datetime, dispute_horizon: timedelta) -> Column:
    """FINAL where nothing ordinary can still change the outcome, else PROVISIONAL.

    That is a declined payment, or one whose money moved, with the dispute horizon behind both
    its own time and its last money event.
    """
    is_declined = F.col("transaction_status") == TransactionStatus.DECLINED.value
    has_settled = F.col("settlement_status").isNotNull()
    last = F.greatest("timestamp", "last_money_at")  # greatest passes over nulls
    is_beyond_dispute = last < F.lit(now - dispute_horizon)
    return F.when(is_declined | (has_settled & is_beyond_dispute), Finality.FINAL.value).otherwise(
        Finality.PROVISIONAL.value
    )
