"""What Silver knows already of what a micro-batch names: committed rows, and policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from itertools import chain
from typing import Self

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.config import GoldSettings
from lakehouse.context import Lakehouse
from lakehouse.decision import PolicyBook
from lakehouse.dynamodb import Met
from lakehouse.frames import Way
from lakehouse.meanwhile import Start
from lakehouse.tables import (
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_POLICIES,
    Table,
)
from silver.live import Span, joined, near, within

_OF_SCORE = (
    "identity", "transaction_id", "score_source", "model_version", "inference_time",
    "fraud_score", "explanations",
)  # fmt: skip
"""What a decision asks of a score."""


class Policies:
    """What silver.policies says, read again only where it has a newer version."""

    def __init__(self, lake: Lakehouse) -> None:
        self._lake = lake
        self._read: tuple[int, PolicyBook] | None = None

    def now(self) -> PolicyBook:
        """The policies as they are published now."""
        version = self._lake.version(SILVER_POLICIES)
        if self._read is None or self._read[0] != version:
            book = PolicyBook.of(self._lake.read(SILVER_POLICIES, version))
            self._read = version, book
        return self._read[1]


@dataclass(frozen=True)
class Days:
    """The days of a micro-batch, and those around them and `now`, where it looks for what belongs
    to it.
    """

    own: frozenset[date]
    now: date  # API scores are of the day they were asked for, whatever the day of the payment
    window: int
    farther: Sequence[Span] = ()  # where an item of the Live Index begins before them, or ends

    def spans(self) -> list[Span]:
        """All of them, in their order."""
        around = timedelta(days=self.window)
        spans = [(day - around, day + around) for day in self.own | {self.now}]
        return joined([*spans, *self.farther])

    def covered(self) -> Column:
        """Whether a row is of one of them, or around."""
        return within("event_date", self.spans())

    def are_own(self) -> Column:
        """Whether a row is of one of them."""
        return near("event_date", self.own, 0)


@dataclass(frozen=True)
class Known:
    """Committed rows of the transactions that a micro-batch names, around its days.

    Read once, before the micro-batch adds to them, and not again: it is their only writer. `same`
    has (identity, content_hash) of what has the identity of a delivery, and its day.
    """

    payments: DataFrame
    scores: DataFrame
    same: DataFrame

    @classmethod
    def of(cls, lake: Lakehouse, way: Way, start: Start, deliveries: DataFrame, days: Days) -> Self:
        """What Silver holds of the accepted deliveries."""
        named = deliveries.select("transaction_id")
        if way.are_few:
            paid = start(partial(_named_or_same, lake, way, deliveries, days))
            scores = _read_named(lake, way, named, days, SILVER_FRAUD_SCORES)
            # an event may be delivered again for another transaction; a score's identity names it
            found = paid()
            payments = found.where("_is_named").drop("_is_named", "_is_same")
            same = [found.where(F.col("_is_same") & days.are_own()), scores.where(days.are_own())]
        else:
            # of many, a plan each: both are asked for in one query over all of their days
            payments, scores = (
                _read_named(lake, way, named, days, table)
                for table in (SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES)
            )
            same = [
                lake.read(table).where(days.are_own())
                for table in (SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES)
            ]
        first, second = (rows.select("identity", "content_hash") for rows in same)
        return cls(payments, scores, first.unionByName(second))

    def gathered(self, way: Way) -> Self:
        """The same rows; few of them in one partition."""
        return replace(self, payments=way.gathered(self.payments), scores=way.gathered(self.scores))

    def all_scores(self) -> DataFrame:
        """These scores, and those that a committed decision used, whose rows may be of other days.

        As `decide` asks for them.
        """
        is_scored = F.col("score_id").isNotNull()
        used = self.payments.where(is_scored).withColumn("identity", F.col("score_id"))
        return self.scores.select(*_OF_SCORE).unionByName(used.select(*_OF_SCORE))

    def with_payments(self, payments: DataFrame) -> Self:
        """And these, which are committed now."""
        return replace(self, payments=self.payments.unionByName(payments))

    def with_scores(self, scores: DataFrame) -> Self:
        """And these, which are committed now."""
        return replace(self, scores=self.scores.unionByName(scores))


def is_torn(met: Met, gold: GoldSettings) -> bool:
    """Whether an item's days lie farther apart than all between can be read: a clock was wrong."""
    return met.last_day - met.first_day > timedelta(days=gold.dispute_horizon_days)


def days_of(met: Met, gold: GoldSettings) -> list[Span]:
    """The days to read for an item that reaches beyond those of a micro-batch.

    All between its first day and its last: as much as one payment's events lie apart. Of one that
    is torn, as much before its last day as of any other, and the days about its first one.
    """
    if not is_torn(met, gold):
        return [(met.first_day, met.last_day)]
    window, reach = (
        timedelta(days=n) for n in (gold.locate_window_days, gold.dispute_horizon_days)
    )
    return [(met.first_day, met.first_day + window), (met.last_day - reach, met.last_day)]


def read_again(lake: Lakehouse, way: Way, met: Sequence[Met], days: Days) -> Known:
    """What Silver holds of payments whose items reach beyond the days of a micro-batch."""
    spans = chain.from_iterable(days_of(each, lake.config.gold) for each in met)
    farther = replace(days, farther=joined(spans))
    ids = [(each.transaction_id,) for each in met]
    named = F.broadcast(lake.spark.createDataFrame(ids, "transaction_id string"))
    payments, scores = (
        _read_named(lake, way, named, farther, table)
        for table in (SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES)
    )
    return Known(payments, scores, same=payments.select("identity", "content_hash").limit(0))


def _read_named(lake: Lakehouse, way: Way, named: DataFrame, days: Days, table: Table) -> DataFrame:
    rows = lake.read(table).where(days.covered())
    return way.keep(rows.join(named, "transaction_id", "left_semi"))


def _named_or_same(lake: Lakehouse, way: Way, deliveries: DataFrame, days: Days) -> DataFrame:
    """Payments of the same transactions, and those of the same events, in one look at the table."""
    rows = lake.read(SILVER_LIVE_TRANSACTIONS).where(days.covered())
    for key, flag in (("transaction_id", "_is_named"), ("identity", "_is_same")):
        keys = way.gathered(deliveries.select(key)).distinct().withColumn(flag, F.lit(True))
        rows = rows.join(F.broadcast(keys), key, "left")
    found = {flag: F.coalesce(F.col(flag), F.lit(False)) for flag in ("_is_named", "_is_same")}
    return way.keep(rows.withColumns(found).where(F.col("_is_named") | F.col("_is_same")))
