"""From rows of Silver to contributions: (transaction_id, contribution), one per row.

Each function takes a change feed with Delta's `_commit_version`, which becomes the contribution's
`version`. Fields that a source has not are null.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse.fold.rules import contribution_type
from lakehouse.records.codes import Source

_PROVENANCE = ("identity", "revision", "withdrawn", "coordinates")
_FACTS = (
    "amount", "currency", "country", "region", "merchant_id", "payment_token", "user_id",
    "transaction_status", "sequence", "policy_flag",
)  # fmt: skip
_NORMALISED = ("amount_base", "base_currency", "fx_rate", "fx_rate_date", "fx_status")
_SCORED = ("fraud_score", "fraud_reason_code", "model_version")
_MONEY = ("amount", "currency", "event_type", "dispute_id")


def live_contributions(rows: DataFrame) -> DataFrame:
    """Events of `silver.live_transactions`, each with the decision that was taken on it."""
    decided = contribution_type()["decision"].dataType
    assert isinstance(decided, StructType)
    decision = F.struct(*decided.fieldNames())
    return _contributions(rows, Source.LIVE_EVENT, _FACTS, **_payment(), decision=decision)


def batch_contributions(rows: DataFrame) -> DataFrame:
    """Revisions of rows of the daily log, from `silver.batch_transactions`."""
    return _contributions(rows, Source.BATCH_LOG, (*_FACTS, *_NORMALISED), **_payment())


def money_contributions(rows: DataFrame) -> DataFrame:
    """Settlements, refunds, chargebacks and reversals, from `silver.money_events`."""
    known: dict[str, Column] = {
        "event_time": F.col("timestamp"),
        "payment_date": F.col("transaction_date"),
    }
    return _contributions(rows, Source.MONEY_EVENT, _MONEY, **known)


def score_contributions(rows: DataFrame) -> DataFrame:
    """Model outputs of `silver.fraud_scores` (API and topic) or `silver.offline_scores`."""
    source = F.concat("score_source", F.lit("_SCORE"))
    return _contributions(rows, source, _SCORED, event_time=F.col("inference_time"))


def _payment() -> Mapping[str, Column]:
    # a withdrawn row may carry no timestamp, but always its day
    event_time = F.coalesce("timestamp", F.col("event_date").cast("timestamp"))
    return {"event_time": event_time, "payment_date": F.col("event_date")}


def _contributions(
    rows: DataFrame, source: Source | Column, same_name: tuple[str, ...], **known: Column
) -> DataFrame:
    columns = {name: F.col(name) for name in (*_PROVENANCE, *same_name)} | known
    columns["source"] = F.lit(str(source)) if isinstance(source, Source) else source
    columns["version"] = F.col("_commit_version")
    nothing, kind = F.lit(None), contribution_type()
    fields = [columns.get(name, nothing).alias(name) for name in kind.fieldNames()]
    # one cast for all fields: each would be several calls into the JVM
    contribution = F.struct(*fields).cast(kind.simpleString())
    return rows.select("transaction_id", contribution.alias("contribution"))
