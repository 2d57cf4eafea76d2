"""What a figure is: a metric of a subject in one minute, as values and how often each came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

HIGH = 0.95
"""The upper quantile that is told of every metric."""


class Metric(StrEnum):
    """Every metric; its unit stands in `UNITS`, what a subject is beside each."""

    RECORDS_IN = "RecordsIn"  # job
    ROWS_OUT = "RowsOut"  # table
    RECORDS_PER_SECOND = "RecordsPerSecond"  # job: of a micro-batch, over its duration
    ROWS_PER_SECOND = "RowsPerSecond"  # table: written, over the time between two commits
    BATCH_SECONDS = "BatchSeconds"  # job
    RUN_SECONDS = "RunSeconds"  # job
    ALIVE = "Alive"  # job: a run of it is under way
    RUNS_FAILED = "RunsFailed"  # job
    CONSUMER_LAG = "ConsumerLag"  # job/partition: end offset at the broker minus processed
    VERSIONS_BEHIND = "VersionsBehind"  # job that goes on and on: Delta versions not read
    FRESHNESS_SECONDS = "FreshnessSeconds"  # table: from the event until it can be looked up
    LATE_EVENTS = "LateEvents"  # table: decided more than a day behind their event, not in it
    DELIVERED = "Delivered"  # table that records go to
    DUPLICATES = "Duplicates"  # the same
    QUARANTINED = "Quarantined"  # the same
    DECIDED = "Decided"  # table: payments that got a decision
    UNSCORED = "Unscored"  # table: of those, without a score
    FRAUD_SCORE = "FraudScore"  # table, by the minute of the event
    SUSPICIOUS_SCORES = "SuspiciousScores"  # table: of those, from suspicious_from on
    ITEMS_WRITTEN = "ItemsWritten"  # job
    ITEMS_THROTTLED = "ItemsThrottled"  # job: requests that DynamoDB asked to send again
    ITEMS_REFUSED = "ItemsRefused"  # job: an equal or newer version stood already
    ITEMS_OVERSIZED = "ItemsOversized"  # job: at the price of two
    DRIFTED_ITEMS = "DriftedItems"  # job: items that differ from Gold
    BATCHES_HELD = "BatchesHeld"  # kind of delivered batch: that are held behind a build
    BATCHES_RELEASED = "BatchesReleased"  # kind of delivered batch: verdicts
    BATCHES_UNUSUAL = "BatchesUnusual"  # the same
    UNEXPLAINED_ROWS = "UnexplainedRows"  # all steps of the flow: missing, doubled, altered
    PATH_DIFFERENCES = "PathDifferences"  # cause: payments of which live and batch differ anew
    FILES = "Files"  # table: that its commits added
    BYTES = "Bytes"  # table: the same
    WAITING_MONEY = "WaitingMoney"  # age: money events whose payment is not known
    DROPPED_POINTS = "DroppedPoints"  # job: figures lost because nobody took them
    ALERTS_CHECKED = "AlertsChecked"  # `alerts`: checks in which every rule was judged


UNITS: Mapping[Metric, str] = {
    Metric.RECORDS_PER_SECOND: "Count/Second",
    Metric.ROWS_PER_SECOND: "Count/Second",
    Metric.BATCH_SECONDS: "Seconds",
    Metric.RUN_SECONDS: "Seconds",
    Metric.FRESHNESS_SECONDS: "Seconds",
    Metric.FRAUD_SCORE: "None",
    Metric.BYTES: "Bytes",
}
"""In CloudWatch's words; what is not named is a Count."""


@dataclass(frozen=True)
class Point:
    """Values of one metric of one subject in the minute that begins at `at` (UTC).

    A subject is a job, a table, a partition or an age, as the metric says: never anything of a
    payment. `values` says how often each value came: of a counter, one value.
    """

    metric: Metric
    subject: str
    at: datetime
    values: Mapping[float, int]


@dataclass(frozen=True)
class Stat:
    """What the values of one span of time come to; `at` is its begin (UTC)."""

    at: datetime
    count: int
    total: float
    high: float  # upper quantile
    most: float

    @classmethod
    def of(cls, at: datetime, values: Mapping[float, int]) -> Stat:
        """Over values that came at least once."""
        count = sum(values.values())
        return cls(
            at,
            count,
            sum(value * times for value, times in values.items()),
            quantile(values, HIGH),
            max(values, default=0.0),
        )

    @property
    def mean(self) -> float:
        """Their mean; 0 of none."""
        return self.total / self.count if self.count else 0.0


def quantile(values: Mapping[float, int], part: float) -> float:
    """The least value below or at which that part of all lies; 0 of none."""
    wanted, seen = part * sum(values.values()), 0
    for value in sorted(values):
        seen += values[value]
        if seen >= wanted:
            return value
    return 0.0


def point(metric: Metric, subject: str, at: datetime, value: float) -> Point:
    """One value, in its minute."""
    return Point(metric, subject, minute_of(at), {float(value): 1})


def minute_of(at: datetime) -> datetime:
    """The begin of its minute."""
    return at.replace(second=0, microsecond=0)


def merged(one: Mapping[float, int], other: Mapping[float, int]) -> dict[float, int]:
    """Values of both."""
    return dict(Counter(one) + Counter(other))
