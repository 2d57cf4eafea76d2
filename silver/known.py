"""What Silver knows already of what a micro-batch names: committed rows, and policies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Self

from pyspark.sql import Column, DataFrame

from lakehouse.context import Lakehouse
from lakehouse.decision import PolicyBook
from lakehouse.frames import Way, is_among
from lakehouse.tables import (
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_POLICIES,
)
from silver.live import near


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
    """The days around those of a micro-batch, in which it looks for what belongs to it."""

    own: frozenset[date]
    window: int

    def covered(self) -> Column:
        """Whether a row is of one of them."""
        return near("event_date", self.own, self.window, self.window)


@dataclass(frozen=True)
class Stored:
    """Rows of the two tables that the live path adds to, as they are when it is asked."""

    payments: DataFrame
    scores: DataFrame

    @classmethod
    def now(cls, lake: Lakehouse) -> Self:
        """All of them."""
        return cls(lake.read(SILVER_LIVE_TRANSACTIONS), lake.read(SILVER_FRAUD_SCORES))

    def concerning(self, way: Way, deliveries: DataFrame, days: Days) -> Self:
        """Those of the transaction or the identity of few deliveries: each table is read once."""
        is_named = is_among("transaction_id", deliveries) | is_among("identity", deliveries)

        def named(rows: DataFrame) -> DataFrame:
            return way.keep(rows.where(days.covered() & is_named))

        return replace(self, payments=named(self.payments), scores=named(self.scores))


@dataclass(frozen=True)
class Known:
    """Committed rows of the transactions that a micro-batch names, around its days.

    Read once, before the micro-batch adds to them, and not again: it is their only writer.
    """

    payments: DataFrame
    scores: DataFrame

    @classmethod
    def of(cls, way: Way, deliveries: DataFrame, days: Days, stored: Stored) -> Self:
        """What Silver holds of the deliveries' transactions."""
        named = deliveries.select("transaction_id")

        def of_named(rows: DataFrame) -> DataFrame:
            return way.keep(rows.where(days.covered()).join(named, "transaction_id", "left_semi"))

        return cls(of_named(stored.payments), of_named(stored.scores))

    def gathered(self, way: Way) -> Self:
        """The same rows; few of them in one partition."""
        return replace(self, payments=way.gathered(self.payments), scores=way.gathered(self.scores))

    def with_payments(self, payments: DataFrame) -> Self:
        """And these, which are committed now."""
        return replace(self, payments=self.payments.unionByName(payments))

    def with_scores(self, scores: DataFrame) -> Self:
        """And these, which are committed now."""
        return replace(self, scores=self.scores.unionByName(scores))
