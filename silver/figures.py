"""Figures of decided payments: how late they can be read, and what their scores are like.

Counted from rows that a micro-batch has at hand, in the query that counted the unscored ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.metrics.points import Metric, Point, minute_of
from lakehouse.records.codes import ScoreSource

Told = Mapping[tuple[Any, ...], int]
"""How many payments have one row of `told_of`."""

_MINUTE, _DAY = 60, 86_400
# what is later than this is told by the minute: a backlog must not become as many groups as rows
_BY_SECOND = 2 * _MINUTE


def told_of(decided: DataFrame, suspicious_from: Decimal, now: datetime) -> DataFrame:
    """Where each score came from, its hundredths, whether it is suspicious, and its event's second.

    Seconds since 1970 (UTC); of an event more than two minutes before `now`, of its minute.
    """
    second, score = F.unix_seconds("timestamp"), F.col("fraud_score")
    is_recent = second > F.lit(int(now.timestamp()) - _BY_SECOND)
    return decided.select(
        "score_source",
        F.round(score * 100).cast("int").alias("hundredths"),
        F.coalesce(score >= F.lit(suspicious_from), F.lit(False)).alias("is_suspicious"),
        F.when(is_recent, second).otherwise(second - F.pmod(second, F.lit(_MINUTE))).alias("at"),
    )


def unscored(told: Told) -> int:
    """How many were decided without a score."""
    return sum(count for (source, *_), count in told.items() if source == ScoreSource.NONE)


def points(told: Told, table: str, now: datetime) -> list[Point]:
    """Scores by the minute of their event; freshness, at `now`, of all that is of the last day."""
    ages: Counter[float] = Counter()
    late = 0
    scores: dict[datetime, Counter[float]] = defaultdict(Counter)
    suspicious: Counter[datetime] = Counter()
    for (_, hundredths, is_suspicious, second), count in told.items():
        age = max(0.0, round(now.timestamp() - second, 1))
        if age > _DAY:
            late += count
        else:
            ages[age] += count
        if hundredths is not None:
            minute = minute_of(datetime.fromtimestamp(second, UTC))
            scores[minute][hundredths / 100] += count
            suspicious[minute] += count if is_suspicious else 0
    found = [Point(Metric.FRAUD_SCORE, table, at, dict(values)) for at, values in scores.items()]
    found += [
        Point(Metric.SUSPICIOUS_SCORES, table, at, {float(count): 1})
        for at, count in suspicious.items()
    ]
    if ages:
        found.append(Point(Metric.FRESHNESS_SECONDS, table, minute_of(now), dict(ages)))
    if late:
        found.append(Point(Metric.LATE_EVENTS, table, minute_of(now), {float(late): 1}))
    return found
