"""Abnormal fraud scores: the last minutes against the same hour of earlier days.

Pure: figures in, findings out. What is usual comes from medians over days, so that a few bad days
change nothing; how far figures spread from day to day is pooled over all hours, so that it is known
after a week. A count of scores above the threshold is judged by its exact tail: a quiet night has
few, and few are no percentage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from statistics import median
from typing import Literal

from lakehouse.alerts.rules import ScoreRule
from lakehouse.alerts.tails import at_least, at_most

_SCALE = 1.4826  # median absolute deviation to standard deviation, of a normal distribution
_LEAST_RELATIVE_SPREAD = 0.06
_ONE_BIN = 0.01  # scores are counted by hundredths
_HALF = timedelta(minutes=30)

Figure = Literal["share", "mean", "quantile"]


@dataclass(frozen=True)
class Scores:
    """Scores whose event time lies in one span that begins at `at` (UTC).

    `total` is their sum, `above` how many are at or above the threshold, `high` their upper
    quantile; `high` of no scores is 0.
    """

    at: datetime
    count: int
    total: float
    above: float
    high: float

    @property
    def mean(self) -> float:
        """Their mean; 0 of none."""
        return self.total / self.count if self.count else 0.0

    @property
    def share(self) -> float:
        """The share at or above the threshold; 0 of none."""
        return self.above / self.count if self.count else 0.0


@dataclass(frozen=True)
class Usual:
    """What is usual of one figure at some instant.

    `spread` is the standard deviation of the figure from day to day, sampling taken out; `noise`
    that of one score: a figure of n scores wavers by `noise / sqrt(n)` besides.
    """

    value: float
    spread: float
    noise: float


@dataclass(frozen=True)
class Baseline:
    """What is usual at one instant, by how many days."""

    share: Usual
    mean: Usual
    quantile: Usual
    days: int


@dataclass(frozen=True)
class Abnormal:
    """One figure that is not as usual; `odds` is how unlikely that is on an ordinary day."""

    figure: Figure
    value: float
    usual: float
    odds: float


def baseline_at(rule: ScoreRule, hours: Sequence[Scores], now: datetime) -> Baseline | None:
    """What is usual at `now`, from hours of earlier days; None with fewer than `min_days` of them.

    Between the middles of two hours it is interpolated. Days of the same kind (weekday or weekend)
    count alone as soon as there are `min_days` of them.
    """
    earliest, today = now - timedelta(days=rule.history_days), now.date()
    usable = [h for h in hours if h.count and earliest <= h.at and h.at.date() < today]
    days = {h.at.date() for h in usable}
    alike = {day for day in days if _is_weekend(rule, day) == _is_weekend(rule, today)}
    chosen = alike if len(alike) >= rule.min_days else days
    if len(chosen) < rule.min_days:
        return None
    by_hour: Mapping[int, list[Scores]] = _grouped(h for h in usable if h.at.date() in chosen)
    # the hours whose middles lie around now, and how near the later one is
    first = (now - _HALF).replace(minute=0, second=0, microsecond=0)
    weight = (now - _HALF - first) / timedelta(hours=1)
    around = [
        (by_hour[each.hour], part)
        for each, part in ((first, 1 - weight), (first + timedelta(hours=1), weight))
        if len(by_hour.get(each.hour, ())) >= rule.min_days
    ]
    if not around:
        return None
    return Baseline(
        _usual(lambda h: h.share, around, by_hour, _share_noise),
        _usual(lambda h: h.mean, around, by_hour, None),
        _usual(lambda h: h.high, around, by_hour, None),
        len(chosen),
    )


def findings(rule: ScoreRule, window: Scores, usual: Baseline) -> list[Abnormal]:
    """Figures of the window that are not as usual, the most unlikely first.

    A window of fewer than `min_scores` says nothing of the mean and the quantile; its count above
    the threshold is judged all the same.
    """
    found = [_share(rule, window, usual.share)]
    if window.count >= rule.min_scores:
        found.append(_level(rule, "mean", window.mean, window.count, usual.mean))
        found.append(_level(rule, "quantile", window.high, window.count, usual.quantile))
    return sorted((each for each in found if each), key=lambda each: each.odds)


def _share(rule: ScoreRule, window: Scores, usual: Usual) -> Abnormal | None:
    expected = window.count * usual.value
    spread, count = window.count * usual.spread, round(window.above)
    if window.share >= usual.value * rule.least_factor:
        odds = at_least(count, expected, spread)
    elif window.share <= usual.value / rule.least_factor:
        odds = at_most(count, expected, spread)
    else:
        return None
    if odds >= rule.odds:
        return None
    return Abnormal("share", window.share, usual.value, odds)


def _level(
    rule: ScoreRule, figure: Figure, value: float, count: int, usual: Usual
) -> Abnormal | None:
    off = abs(value - usual.value)
    wavers = sqrt(usual.spread**2 + usual.noise**2 / count)
    least = rule.least_mean_step if figure == "mean" else rule.least_quantile_step
    if off < least or off < rule.deviations * wavers:
        return None
    # Chebyshev's bound: holds whatever the distribution
    return Abnormal(figure, value, usual.value, (wavers / off) ** 2)


def _usual(
    figure: Callable[[Scores], float],
    around: Sequence[tuple[Sequence[Scores], float]],
    by_hour: Mapping[int, Sequence[Scores]],
    noise_of: Callable[[float], float] | None,
) -> Usual:
    whole = sum(part for _, part in around)
    value = sum(median(map(figure, hours)) * part for hours, part in around) / whole
    off, sizes = [], []
    for hours in by_hour.values():
        if len(hours) < 2:
            continue
        middle = median(map(figure, hours))
        off += [abs(figure(h) - middle) / (middle or 1.0) for h in hours]
        sizes += [h.count for h in hours]
    # relative to the hour: a quiet night and a noon tell of one spread
    seen = _SCALE * median(off) * value if off else 0.0
    size = median(sizes) if sizes else 1.0
    if noise_of is None:
        # all of it is taken for sampling: a short window wavers the more, and nothing is missed
        noise = max(seen, _ONE_BIN / sqrt(12)) * sqrt(size)
        return Usual(value, seen, noise)
    noise = noise_of(value)
    spread = sqrt(max(0.0, seen**2 - noise**2 / size))
    return Usual(value, max(spread, _LEAST_RELATIVE_SPREAD * value), noise)


def _share_noise(share: float) -> float:
    return sqrt(share * (1 - share))


def _grouped(hours: Iterable[Scores]) -> dict[int, list[Scores]]:
    groups: dict[int, list[Scores]] = defaultdict(list)
    for hour in hours:
        groups[hour.at.astimezone(UTC).hour].append(hour)
    return dict(groups)


def _is_weekend(rule: ScoreRule, day: date) -> bool:
    return day.isoweekday() in rule.weekend
