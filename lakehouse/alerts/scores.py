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
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import log, sqrt
from statistics import fmean, median
from typing import Literal

from lakehouse.alerts.rules import ScoreRule
from lakehouse.alerts.tails import at_least_of, log_likelihood

_SCALE = 1.4826  # median absolute deviation to standard deviation, of a normal distribution
_LEAST_RELATIVE_SPREAD = 0.08
_OTHER_KIND_SPREAD = 0.1  # what Friday night says of Saturday, before a weekend was seen
_LEVEL_SPREADS = 3.0  # so far from usual a whole day may lie; what is further is not the day
_ONE_BIN = 0.01  # scores are counted by hundredths
_STEP = timedelta(minutes=10)
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
    taken out, of which the hour before takes away all but `remains`; `noise` is that of one score:
    a figure of n scores wavers by `noise / sqrt(n)` besides.
    """

    value: float
    spread: float
    noise: float
    remains: float = 0.0


@dataclass(frozen=True)
class Baseline:
    """What is usual at one instant."""

    share: Usual
    mean: Usual
    quantile: Usual


@dataclass(frozen=True)
class Seen:
    """Scores of one span, and what is usual over it."""

    scores: Scores
    usual: Baseline


@dataclass(frozen=True)
class Course:
    """One figure over the hours of a usual day (UTC), and how far days lie off, relative to it."""

    by_hour: Mapping[int, float]
    spread: float


@dataclass(frozen=True)
class UsualDay:
    """What is usual over a day; `size` scores in an hour.

    `is_alike` says that the earlier days are of its kind: weekdays, or weekends.
    """

    share: Course
    mean: Course
    quantile: Course
    size: float
    is_alike: bool

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
            Usual(share, spread, noise, 0.0 if self.is_alike else _OTHER_KIND_SPREAD * share),
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

    Days of the same kind (weekday or weekend) count alone from `min_days_alike` of them on.
    """
    earliest = day - timedelta(days=rule.history_days)
    usable = [h for h in hours if h.count and earliest <= h.at.date() < day]
    days = {h.at.date() for h in usable}
    alike = {each for each in days if _is_weekend(rule, each) == _is_weekend(rule, day)}
    is_alike = len(alike) >= rule.min_days_alike
    chosen = alike if is_alike else days
    by_hour: dict[int, list[Scores]] = defaultdict(list)
    for hour in usable:
        if hour.at.date() in chosen:
            by_hour[hour.at.astimezone(UTC).hour].append(hour)
    least = rule.min_days_alike if is_alike else rule.min_days
    known = {hour: found for hour, found in by_hour.items() if len(found) >= least}
    if len(days) < rule.min_days or not known:
        return None
    return UsualDay(
        _course(known, lambda h: h.share),
        _course(known, lambda h: h.mean),
        _course(known, lambda h: h.high),
        median(h.count for found in known.values() for h in found),
        is_alike,
    )


def usual_over(
    usual_on: Callable[[date], UsualDay | None], since: datetime, until: datetime
) -> Baseline | None:
    """What is usual over a span of time, midnight or not; None unless it is known of all of it."""
    steps = max(1, round((until - since) / _STEP))
    instants = [since + (until - since) * (number + 0.5) / steps for number in range(steps)]
    days = ((instant, usual_on(instant.date())) for instant in instants)
    known = [found for instant, day in days if day and (found := day.at(instant))]
    if len(known) < steps:
        return None
    return Baseline(
        _mean_of([each.share for each in known]),
        _mean_of([each.mean for each in known]),
        _mean_of([each.quantile for each in known]),
    )


def _mean_of(parts: Sequence[Usual]) -> Usual:
    return Usual(
        fmean(each.value for each in parts),
        fmean(each.spread for each in parts),
        fmean(each.noise for each in parts),
        fmean(each.remains for each in parts),
    )


def findings(rule: ScoreRule, window: Seen, recent: Seen | None) -> list[Abnormal]:
    """Figures that are not as usual: share, mean, quantile.

    A risen share and the mean are of the window. A fallen share and the quantile are of the
    `recent` time before it: they are no attack, and waver in a short one. Of fewer than
    `min_scores` mean and quantile say nothing; a share is judged by how likely its count is.
    """
    scores, usual = window.scores, window.usual
    level = _levelled(usual.share, recent) if recent else usual.share
    found = [
        _risen(rule, scores, level),
        _off(rule, "mean", scores.mean, scores.count, usual.mean, rule.least_mean_step),
    ]
    if recent:
        scores, usual = recent.scores, recent.usual
        found += [
            _fallen(rule, scores, usual.share),
            _off(
                rule, "quantile", scores.high, scores.count, usual.quantile,
                rule.least_quantile_step,
            ),
        ]  # fmt: skip
    return [each for each in found if each]


def _levelled(share: Usual, recent: Seen) -> Usual:
    """The usual share, as high as this day is.

    The prior is a gamma distribution around the usual share with the spread of days; what is left
    of the spread is its posterior. The level stays within three spreads: a long attack does not
    become usual by lasting.
    """
    if not share.value:
        return share
    relative = share.spread / share.value
    weight = 1 / relative**2
    expected = recent.scores.count * recent.usual.share.value
    level = (weight + recent.scores.above) / (weight + expected)
    bound = _LEVEL_SPREADS * relative
    value = share.value * min(max(level, 1 - bound), 1 + bound)
    spread = max(value / sqrt(weight + recent.scores.above), share.remains)
    return Usual(value, spread, share.noise)


def _risen(rule: ScoreRule, scores: Scores, usual: Usual) -> Abnormal | None:
    share = _at_least_some(rule, usual)
    # a third and more cannot double and leave something: half of the others is as much
    risen = min(share * rule.rises_to, (1 + share) / 2)
    return _share(rule, scores, usual, share, risen) if scores.share > share else None


def _fallen(rule: ScoreRule, scores: Scores, usual: Usual) -> Abnormal | None:
    share = _at_least_some(rule, usual)
    is_less = scores.share < share
    return _share(rule, scores, usual, share, share * rule.falls_to) if is_less else None


def _at_least_some(rule: ScoreRule, usual: Usual) -> float:
    return min(max(usual.value, rule.least_share), 1 - rule.least_share)


def _share(
    rule: ScoreRule, scores: Scores, usual: Usual, share: float, other: float
) -> Abnormal | None:
    relative = usual.spread / usual.value if usual.value else _LEAST_RELATIVE_SPREAD
    of, count = scores.count, round(scores.above)
    likelier = log_likelihood(count, of, other, relative) - log_likelihood(
        count, of, share, relative
    )
    if likelier < log(rule.times_likelier):
        return None
    if other > share:
        odds = at_least_of(count, of, share, relative)
    else:
        # few suspicious ones are many of the others
        odds = at_least_of(of - count, of, 1 - share, relative * share / (1 - share))
    return Abnormal("share", scores.share, usual.value) if odds < rule.odds else None


def _off(
    rule: ScoreRule, figure: Figure, value: float, count: int, usual: Usual, least: float
) -> Abnormal | None:
    off = abs(value - usual.value)
    wavers = sqrt(usual.spread**2 + usual.noise**2 / max(count, 1))
    if count < rule.min_scores or off < least or off < rule.deviations * wavers:
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
