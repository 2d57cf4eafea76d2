"""What Silver knows already of what a micro-batch names: committed rows, and policies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Self

from pyspark.sql import Column, DataFrame

from lakehouse.context import Lakehouse
from lakehouse.decision import PolicyBook
from lakehouse.frames import Way
from lakehouse.tables import (
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_POLICIES,
    Table,
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
class Known:
    """Committed rows of the transactions that a micro-batch names, around its days.

    Read once, before the micro-batch adds to them, and not again: it is their only writer.
    """

    payments: DataFrame
    scores: DataFrame

    @classmethod
    def of(cls, lake: Lakehouse, way: Way, deliveries: DataFrame, days: Days) -> Self:
        """What Silver holds of the deliveries' transactions."""
        named = deliveries.select("transaction_id")

        def read(table: Table) -> DataFrame:
            rows = lake.read(table).where(days.covered())
            return way.keep(rows.join(named, "transaction_id", "left_semi"))

        return cls(read(SILVER_LIVE_TRANSACTIONS), read(SILVER_FRAUD_SCORES))

    def gathered(self, way: Way) -> Self:
        """The same rows; few of them in one partition."""
        return replace(self, payments=way.gathered(self.payments), scores=way.gathered(self.scores))

    def with_payments(self, payments: DataFrame) -> Self:
        """And these, which are committed now."""
        return replace(self, payments=self.payments.unionByName(payments))

    def with_scores(self, scores: DataFrame) -> Self:
        """And these, which are committed now."""
        return replace(self, scores=self.scores.unionByName(scores))
