"""Abnormal fraud scores: the last minutes against the same hour of earlier days.

Pure: figures in, findings out. What is usual at an hour is a median over days, so that a few bad
days change nothing. How high today lies is seen in the hour before, within bounds: days differ by
more than five minutes of a quiet night can tell. The share of suspicious scores is then judged
twice: what is looked for (twice the share) has to explain the count far better than the usual share
does, and the count has to be one that an ordinary month hardly has. The first saves false alarms
where scores are many, the second where they are few. Decision 0033 has the theory and the figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from math import log, sqrt
from statistics import median
from typing import Literal

from lakehouse.alerts.rules import ScoreRule
from lakehouse.alerts.tails import at_least_of, log_likelihood

_SCALE = 1.4826  # median absolute deviation to standard deviation, of a normal distribution
_LEAST_RELATIVE_SPREAD = 0.08
_LEVEL_SPREADS = 3.0  # so far from usual a whole day may lie; what is further is not the day
_ONE_BIN = 0.01  # scores are counted by hundredths
_HALF, _HOUR = timedelta(minutes=30), timedelta(hours=1)

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

    `spread` is the standard deviation of the figure from day to day, for the share with sampling
    taken out; `noise` that of one score: a figure of n scores wavers by `noise / sqrt(n)` besides.
    """

    value: float
    spread: float
    noise: float


@dataclass(frozen=True)
class Baseline:
    """What is usual at one instant."""

    share: Usual
    mean: Usual
    quantile: Usual


@dataclass(frozen=True)
class Course:
    """One figure over the hours of a usual day (UTC), and how far days lie off, relative to it."""

    by_hour: Mapping[int, float]
    spread: float


@dataclass(frozen=True)
class UsualDay:
    """What is usual over a day, from the hours of `days` earlier ones; `size` scores in an hour."""

    share: Course
    mean: Course
    quantile: Course
    size: float
    days: int

    def at(self, instant: datetime) -> Baseline | None:
        """At an instant, between the middles of two hours; None where neither hour is known."""
        first = (instant - _HALF).replace(minute=0, second=0, microsecond=0)
        part = (instant - _HALF - first) / _HOUR
        around = [
            (hour.astimezone(UTC).hour, weight)
            for hour, weight in ((first, 1 - part), (first + _HOUR, part))
            if hour.astimezone(UTC).hour in self.share.by_hour
        ]
        whole = sum(weight for _, weight in around)
        if not whole:
            return None

        def between(course: Course) -> float:
            return sum(course.by_hour[hour] * weight for hour, weight in around) / whole

        share = between(self.share)
        noise = sqrt(share * (1 - share))
        seen = (self.share.spread * share) ** 2 - noise**2 / self.size
        spread = max(sqrt(max(0.0, seen)), _LEAST_RELATIVE_SPREAD * share)
        return Baseline(
            Usual(share, spread, noise),
            self._level(between(self.mean), self.mean),
            self._level(between(self.quantile), self.quantile),
        )

    def _level(self, value: float, course: Course) -> Usual:
        spread = course.spread * value
        # all of it is taken for sampling: a short window wavers the more, and nothing is missed
        return Usual(value, spread, max(spread, _ONE_BIN / sqrt(12)) * sqrt(self.size))


@dataclass(frozen=True)
class Abnormal:
    """One figure that is not as usual."""

    figure: Figure
    value: float
    usual: float


def usual_day(rule: ScoreRule, hours: Iterable[Scores], day: date) -> UsualDay | None:
    """What is usual on a UTC day, from hours before it; None with fewer than `min_days` days.

    Days of the same kind (weekday or weekend) count alone as soon as there are `min_days` of them.
    """
    earliest = day - timedelta(days=rule.history_days)
    usable = [h for h in hours if h.count and earliest <= h.at.date() < day]
    days = {h.at.date() for h in usable}
    alike = {each for each in days if _is_weekend(rule, each) == _is_weekend(rule, day)}
    chosen = alike if len(alike) >= rule.min_days else days
    by_hour: dict[int, list[Scores]] = defaultdict(list)
    for hour in usable:
        if hour.at.date() in chosen:
            by_hour[hour.at.astimezone(UTC).hour].append(hour)
    known = {hour: found for hour, found in by_hour.items() if len(found) >= rule.min_days}
    if not known:
        return None
    return UsualDay(
        _course(known, lambda h: h.share),
        _course(known, lambda h: h.mean),
        _course(known, lambda h: h.high),
        median(h.count for found in known.values() for h in found),
        len(chosen),
    )


def levelled(usual: Baseline, before: Baseline, recent: Scores | None) -> Baseline:
    """With the share as high as this day is, by what was seen in the time before the window.

    `before` is what was usual in the middle of that time. The share's prior is a gamma distribution
    around the usual one with the spread of days; what is left of the spread is its posterior. The
    level stays within three spreads: a long attack does not become usual by lasting.
    """
    if recent is None or not usual.share.value or not before.share.value:
        return usual
    share, relative = usual.share, usual.share.spread / usual.share.value
    weight = 1 / relative**2
    seen = (weight + recent.above) / (weight + recent.count * before.share.value)
    bound = _LEVEL_SPREADS * relative
    value = share.value * min(max(seen, 1 - bound), 1 + bound)
    spread = value / sqrt(weight + recent.above)
    return replace(usual, share=Usual(value, spread, share.noise))


def findings(rule: ScoreRule, window: Scores, usual: Baseline) -> list[Abnormal]:
    """Figures of the window that are not as usual: the share first, then mean and quantile.

    A window of fewer than `min_scores` says nothing of the mean and the quantile; its share is
    judged all the same, by how likely its count is.
    """
    found = [_share(rule, window, usual.share)]
    if window.count >= rule.min_scores:
        mean, quantile = usual.mean, usual.quantile
        found += [
            _off(rule, "mean", window.mean, window.count, mean, rule.least_mean_step),
            _off(rule, "quantile", window.high, window.count, quantile, rule.least_quantile_step),
        ]
    return [each for each in found if each]


def _share(rule: ScoreRule, window: Scores, usual: Usual) -> Abnormal | None:
    share = min(max(usual.value, rule.least_share), 1 - rule.least_share)
    relative = usual.spread / usual.value if usual.value else _LEAST_RELATIVE_SPREAD
    of, count, has_risen = window.count, round(window.above), window.share >= share
    # a third and more cannot double and leave something: half of the others is as much
    other = min(share * rule.rises_to, (1 + share) / 2) if has_risen else share * rule.falls_to
    evidence = log_likelihood(count, of, other, relative) - log_likelihood(
        count, of, share, relative
    )
    if evidence < log(rule.times_likelier):
        return None
    if has_risen:
        odds = at_least_of(count, of, share, relative)
    else:
        # few suspicious ones are many of the others
        odds = at_least_of(of - count, of, 1 - share, relative * share / (1 - share))
    return Abnormal("share", window.share, usual.value) if odds < rule.odds else None


def _off(
    rule: ScoreRule, figure: Figure, value: float, count: int, usual: Usual, least: float
) -> Abnormal | None:
    off = abs(value - usual.value)
    wavers = sqrt(usual.spread**2 + usual.noise**2 / count)
    if off < least or off < rule.deviations * wavers:
        return None
    return Abnormal(figure, value, usual.value)


def _course(by_hour: Mapping[int, Sequence[Scores]], figure: Callable[[Scores], float]) -> Course:
    middles = {hour: median(map(figure, found)) for hour, found in by_hour.items()}
    # relative to the hour: a quiet night and a noon tell of one spread
    off = [
        abs(figure(h) - middles[hour]) / (middles[hour] or 1.0)
        for hour, found in by_hour.items()
        for h in found
    ]
    return Course(middles, _SCALE * median(off))


def _is_weekend(rule: ScoreRule, day: date) -> bool:
    return day.isoweekday() in rule.weekend
