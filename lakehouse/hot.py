"""How long the store serves a Gold row, and remembers that it did; pure.

By one rule: for the job that tells the store, and for who asks what it should have been told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.config import Config, HotSettings
from lakehouse.records.codes import SettlementStatus, Source


def paid_at() -> Column:
    """When a payment was made; null while nothing tells of it.

    Of a withdrawn payment Gold knows no time, but its contributions still do.
    """
    return F.coalesce("timestamp", newest_event(is_of_payment))


def hot_until(hot: HotSettings) -> Column:
    """The instant at which a payment cools down, if nothing else happens; null: it never was hot.

    By its age; later with a high score; later while a dispute is open.
    """
    made = paid_at()
    is_suspicious = F.col("fraud_score") >= F.lit(hot.score_from)
    until = [
        made + F.lit(timedelta(days=hot.days)),
        F.when(is_suspicious, made + F.lit(timedelta(days=hot.scored_days))),
        F.when(is_disputed(), F.col("last_money_at") + F.lit(timedelta(days=hot.disputed_days))),
    ]
    return F.when(made.isNotNull(), F.greatest(*until))  # greatest passes over nulls


def hot_at_most_until(hot: HotSettings) -> Column:
    """An instant at which no version of a payment is hot any more; null: none ever was.

    A row does not know that a dispute was open before, that a score was higher, or a time later:
    all of it is taken to have been so. What it knows are its contributions, withdrawn ones too.
    """
    newest_money = newest_event(lambda c: c["source"] == str(Source.MONEY_EVENT))
    # greatest passes over nulls
    made = F.greatest("timestamp", newest_event(is_of_payment))
    money = F.greatest("last_money_at", newest_money)
    # a row of the log that was withdrawn may know no time, but its day
    by_payment = timedelta(days=max(hot.days, hot.scored_days) + 1)
    until = F.greatest(made + F.lit(by_payment), money + F.lit(timedelta(days=hot.disputed_days)))
    return F.when(made.isNotNull(), until)


def is_disputed() -> Column:
    """Whether a dispute is open: of one of them, chargebacks exceed their reversals."""
    return F.col("settlement_status").eqNullSafe(str(SettlementStatus.CHARGEBACK))


def is_hot(hot: HotSettings, now: datetime) -> Column:
    """Whether a payment is served, as the clock stands."""
    return F.coalesce(hot_until(hot) > F.lit(now), F.lit(False))


def remembered_until(config: Config, now: datetime) -> Column:
    """When an item that is written now may go.

    Not before it is cold, and never while a replay can reach back to a version before it: as far
    as Gold's change feed goes.
    """
    reach = F.lit(timedelta(days=config.audit.horizon_days))
    return F.greatest(hot_until(config.dynamodb.hot), F.lit(now)) + reach


def is_of_payment(contribution: Column) -> Column:
    """Whether a contribution tells of the payment itself."""
    return contribution["source"].isin(str(Source.BATCH_LOG), str(Source.LIVE_EVENT))


def newest_event(such: Callable[[Column], Column]) -> Column:
    """The newest event time of such contributions."""
    return F.array_max(F.filter("contributions", such)["event_time"])
