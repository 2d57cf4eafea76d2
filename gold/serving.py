"""What the serving store is told of a Gold row; pure functions of frames and the clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.config import Config, GoldSettings
from lakehouse.fold.rules import ExceptionRule
from lakehouse.hot import (
    hot_at_most_until,
    is_disputed,
    is_hot,
    is_of_payment,
    newest_event,
    paid_at,
    remembered_until,
)
from lakehouse.records.codes import Finality, Source, TransactionStatus
from lakehouse.serving_item import OUTLIVED
from lakehouse.tables import GOLD_TRANSACTIONS

ATTRIBUTES = (
    "transaction_status", "settlement_status", "amount", "currency", "amount_base",
    "base_currency", "fraud_score", "fraud_reason_code", "score_source", "model_version",
    "policy_flag", "recommended_action", "settled_amount", "refunded_amount",
    "chargeback_amount", "country", "region", "user_id", "merchant_id", "timestamp", "withdrawn",
    "as_of", "event_as_of", "finality", "final_from", "cooled",
)  # fmt: skip
"""Attributes of the group `gold`; amounts are minor units, instants UTC.

`as_of` is the newest event time behind the group, `event_as_of` that of the payment events alone.
`withdrawn` is true, or absent: nothing says any more that there was a payment. `final_from` is the
instant from which the outcome is FINAL if nothing else happens: a reader has a clock, and the
store is written only when something does. An item that cooled down has `cooled` alone.
"""

_CONTESTED = (ExceptionRule.STATUS_CONFLICT, ExceptionRule.MONEY_ON_DECLINED)


def latest_rows(changes: DataFrame, config: Config) -> DataFrame:
    """Gold rows as the newest version in a change feed left them, with that `version`.

    `lasts_until` is until when an item of an earlier version may lie in the store, which is no
    shorter than the live group keeps it; null where there was no such version, or it was never hot.
    """
    row = F.struct(*GOLD_TRANSACTIONS.columns, F.col("_commit_version").alias("version"))
    is_there = F.col("_change_type").isin("insert", "update_postimage")
    # every version but the newest is in the feed as what the next one replaced
    lasts_until = F.when(~is_there, _gold_lasts_until(config))
    return (
        changes.withColumn("lasts_until", lasts_until)
        .groupBy("transaction_id")
        .agg(
            F.max_by(F.when(is_there, row), F.when(is_there, F.col("_commit_version"))).alias(
                "latest"
            ),
            F.max("lasts_until").alias("lasts_until"),
        )
        .where(F.col("latest").isNotNull())
        .select("latest.*", "lasts_until")
        .withColumn("lasts_until", _lasts_until(F.col("lasts_until"), config))
    )


def rows_as_of(gold: DataFrame, version: int, config: Config) -> DataFrame:
    """The same of all of Gold at one version, whatever was before: any row may have left an item.

    For who does not know how far it has come, where no change feed tells all.
    """
    return gold.withColumns(
        {
            "version": F.lit(version).cast("long"),
            "lasts_until": _lasts_until(_gold_lasts_until(config), config),
        }
    )


def items_of(gold: DataFrame, config: Config, now: datetime) -> DataFrame:
    """Items of the serving store, from Gold rows with their `version`, as the clock stands.

    One row per transaction: `transaction_id`, `version`, `expires_at` (epoch seconds) and
    ATTRIBUTES. A payment that is not hot is no item, and contributions that still wait for their
    transaction are none. A payment that was withdrawn is one that says so.
    """
    return contents_of(gold.where(is_hot(config.dynamodb.hot, now)), config, now)


def contents_of(gold: DataFrame, config: Config, now: datetime) -> DataFrame:
    """The same of any Gold rows, hot or not."""
    return _with_contents(gold, config, now).select(
        "transaction_id", "version", "expires_at", *ATTRIBUTES
    )


def tombstones_of(rows: DataFrame, config: Config, now: datetime) -> DataFrame:
    """What is left of items that are hot no more: their version, and `cooled`; columns of items.

    `rows` have `transaction_id` and `version`. It stays longer than a replay can reach back, and
    so an older version never comes back in its place.
    """
    nothing = {name: F.lit(None) for name in ATTRIBUTES} | {"cooled": F.lit(True)}
    return rows.select(
        "transaction_id",
        "version",
        _forgotten_at(config, now).alias("expires_at"),
        *[value.alias(name) for name, value in nothing.items()],
    )


def pushed_items(rows: DataFrame, config: Config, now: datetime) -> DataFrame:
    """What a push writes for changed rows: items, and tombstones of those that cooled down.

    `rows` have `lasts_until`: what cannot have left an item that still lies there leaves none.
    The column OUTLIVED says which items the live group keeps for as long, or longer.
    """
    hot, may_lie_there = F.col("is_hot"), F.col("lasts_until") > F.lit(now)
    # in one pass: a union of the two would read the change feed twice
    told = rows.withColumn("is_hot", is_hot(config.dynamodb.hot, now)).where(hot | may_lie_there)
    expires_at = F.when(hot, F.col("expires_at")).otherwise(_forgotten_at(config, now))
    attributes = [F.when(hot, F.col(name)).alias(name) for name in ATTRIBUTES if name != "cooled"]
    is_outlived = F.coalesce(_live_expires_at(config) >= expires_at, F.lit(False))
    return _with_contents(told, config, now).select(
        "transaction_id",
        "version",
        expires_at.alias("expires_at"),
        *attributes,
        F.when(~hot, True).alias("cooled"),
        is_outlived.alias(OUTLIVED),
    )


def _gold_lasts_until(config: Config) -> Column:
    """Until when Gold's own group keeps an item at most; null: a row was never hot.

    An expiry never moves nearer: it is that of the version that was to be hot for longest.
    """
    reach = F.lit(timedelta(days=config.audit.horizon_days))
    return hot_at_most_until(config.dynamodb.hot) + reach


def _lasts_until(of_gold: Column, config: Config) -> Column:
    """Until when an item may lie there that Gold's own group keeps so long; null where that is."""
    # an item goes as a whole: the expiry of one group keeps what the other one says
    of_live = F.timestamp_seconds(_live_expires_at(config))
    return F.when(of_gold.isNotNull(), F.greatest(of_gold, of_live))  # greatest passes over nulls


def _with_contents(gold: DataFrame, config: Config, now: datetime) -> DataFrame:
    return gold.withColumn("paid_at", paid_at()).withColumns(
        {
            "recommended_action": F.col("decision.recommended_action"),
            "withdrawn": F.when(F.col("timestamp").isNull(), True),
            "as_of": F.coalesce("updated_at", "paid_at"),
            "event_as_of": newest_event(lambda c: is_of_payment(c) & ~c["withdrawn"]),
            "finality": finality(now, config.gold),
            "final_from": final_from(config.gold),
            "expires_at": F.unix_seconds(remembered_until(config, now)),
            "cooled": F.lit(None).cast("boolean"),
        }
    )


def _live_expires_at(config: Config) -> Column:
    """When the live group lets go of an item, in epoch seconds; null where no live event came."""
    last = newest_event(lambda c: c["source"] == str(Source.LIVE_EVENT))
    kept = timedelta(days=config.dynamodb.retention_days)
    return F.unix_seconds(last) + F.lit(int(kept.total_seconds()))


def _forgotten_at(config: Config, now: datetime) -> Column:
    """When a tombstone that is written now may go, in epoch seconds."""
    reach = timedelta(days=config.audit.horizon_days)
    return F.lit(int((now + reach).timestamp())).cast("long")


def finality(now: datetime, settings: GoldSettings) -> Column:
    """FINAL where nothing ordinary can still change the outcome, else PROVISIONAL."""
    is_final = F.coalesce(final_from(settings) <= F.lit(now), F.lit(False))
    return F.when(is_final, Finality.FINAL.value).otherwise(Finality.PROVISIONAL.value)


def final_from(settings: GoldSettings) -> Column:
    """When an outcome becomes final, if nothing else happens.

    Of a payment whose money moved, when the dispute horizon lies behind it and its last money
    event. Of a declined one, when the days lie behind its last event in which consolidation looks
    for others of it: until then it may be tried again and be authorised. Null where no passing of
    time makes the outcome final: no money moved, a dispute is open, or its own records contradict
    each other.
    """
    has_settled = F.col("settlement_status").isNotNull()
    is_declined = F.col("transaction_status") == TransactionStatus.DECLINED.value
    last_money = F.greatest("timestamp", "last_money_at")  # greatest passes over nulls
    last_event = F.greatest("timestamp", newest_event(is_of_payment))
    dispute = F.lit(timedelta(days=settings.dispute_horizon_days))
    retry = F.lit(timedelta(days=settings.locate_window_days))
    settles = ~_is_contested() & ~is_disputed()
    return F.when(settles & has_settled, last_money + dispute).when(
        settles & is_declined, last_event + retry
    )


def _is_contested() -> Column:
    return F.arrays_overlap("exceptions", F.array(*[F.lit(str(rule)) for rule in _CONTESTED]))
