"""Which rules over figures are broken now: pure functions, with the clock as argument."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from statistics import median
from typing import Protocol

from lakehouse.alerts.rules import (
    AlertRules,
    Rule,
    ScoreRule,
    Severity,
    SpikeRule,
    ThresholdRule,
)
from lakehouse.alerts.scores import Scores, Seen, UsualDay, findings, usual_day, usual_over
from lakehouse.alerts.tails import at_least
from lakehouse.metrics.points import Metric, Stat, minute_of

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_SCALE = 1.4826  # median absolute deviation to standard deviation


class Figures(Protocol):
    """Figures of the past; a store of points, or CloudWatch."""

    def subjects(self, metric: Metric) -> Sequence[str]:
        """Of which subjects it has values."""

    def stats(
        self, metric: Metric, subject: str, since: datetime, until: datetime, each: timedelta
    ) -> Sequence[Stat]:
        """Per span of `each` from `since` on, to `until` (exclusive); spans without values lack."""


@dataclass(frozen=True)
class Breach:
    """A rule that is broken of one subject, and by what figures."""

    rule: str
    severity: Severity
    message: str
    subject: str
    detail: str


@dataclass(frozen=True)
class Judged:
    """What is broken, in the order of the rules, and ids of rules that could not be judged whole.

    What such a rule found is among the breaches; that it found no more says nothing. `faults` are
    why, one for each of these rules.
    """

    breaches: Sequence[Breach]
    unjudged: Collection[str] = ()
    faults: Sequence[Exception] = ()

    def and_then(self, other: Judged) -> Judged:
        """With what other rules came to."""
        return Judged(
            [*self.breaches, *other.breaches],
            frozenset({*self.unjudged, *other.unjudged}),
            [*self.faults, *other.faults],
        )


def judged_by_figures(rules: AlertRules, figures: Figures, now: datetime) -> Judged:
    """Rules over figures alone, at `now` (UTC). One that gets no answer holds up no other."""
    return judged([
        *((rule, _over_threshold(rule, figures, now)) for rule in rules.thresholds),
        *((rule, _spikes(rule, figures, now)) for rule in rules.spikes),
        *((rule, _abnormal_scores(rule, figures, now)) for rule in rules.scores),
    ])  # fmt: skip


def judged(looks: Iterable[tuple[Rule, Iterator[Breach]]]) -> Judged:
    """What rules come to. One that meets a fault holds up no other."""
    found: list[Breach] = []
    faults: dict[str, Exception] = {}
    for rule, look in looks:
        try:
            # one by one: what was found before a fault stands
            for breach in look:
                found.append(breach)
        except Exception as fault:
            faults[rule.id] = fault
    return Judged(found, frozenset(faults), [*faults.values()])


def _over_threshold(rule: ThresholdRule, figures: Figures, now: datetime) -> Iterator[Breach]:
    since = minute_of(now) - rule.over_minutes * _MINUTE
    whole = rule.over_minutes * _MINUTE + _MINUTE  # with the minute that has just begun
    each = _MINUTE if rule.figure == "last" else whole
    for subject in figures.subjects(rule.metric):
        stats = figures.stats(rule.metric, subject, since, since + whole, each)
        if not stats:
            continue
        newest = stats[-1]
        value = {
            "sum": newest.total, "max": newest.most, "mean": newest.mean,
            "high": newest.high, "last": newest.most,
        }[rule.figure]  # fmt: skip
        if rule.share_of is not None:
            wholes = figures.stats(rule.share_of, subject, since, since + whole, whole)
            base = wholes[-1].total if wholes else 0.0
            if base < rule.at_least:
                continue
            value /= base
        elif newest.count < rule.at_least:
            continue
        if value > rule.above:
            what = f"{rule.metric}/{rule.share_of}" if rule.share_of else f"{rule.metric}"
            detail = f"{what} is {told(value)} ({rule.figure} over {rule.over_minutes} min), " \
                f"the limit is {told(rule.above)}"  # fmt: skip
            yield breach_of(rule, subject, detail)


def _spikes(rule: SpikeRule, figures: Figures, now: datetime) -> Iterator[Breach]:
    over, soon = rule.over_minutes * _MINUTE, minute_of(now) + _MINUTE
    for subject in figures.subjects(rule.share_of):
        # of what comes once a day, the last minutes in which it came
        look_back = (soon - max(_DAY, over), soon, _MINUTE)
        minutes = [s for s in figures.stats(rule.share_of, subject, *look_back) if s.total]
        if not minutes:
            continue
        until = minutes[-1].at + _MINUTE
        since = until - over
        base = sum(stat.total for stat in minutes if stat.at >= since)
        count = _total(figures, rule.metric, subject, since, until, over)
        if not count:
            continue
        history = (subject, since - rule.history_days * _DAY, since, _DAY)
        bases = {stat.at: stat.total for stat in figures.stats(rule.share_of, *history)}
        counts = {stat.at: stat.total for stat in figures.stats(rule.metric, *history)}
        shares = [counts.get(at, 0.0) / whole for at, whole in bases.items() if whole]
        if len(shares) < rule.min_days:
            continue
        middle = median(shares)
        spread = _SCALE * median(abs(share - middle) for share in shares)
        usual = max(middle, rule.floor)
        is_more = count / base >= rule.least_factor * usual
        if is_more and at_least(round(count), base * usual, base * spread) < rule.odds:
            detail = f"{rule.metric}/{rule.share_of} is {told(count / base)} over " \
                f"{rule.over_minutes} min, usual is {told(usual)}"  # fmt: skip
            yield breach_of(rule, subject, detail)


def _abnormal_scores(rule: ScoreRule, figures: Figures, now: datetime) -> Iterator[Breach]:
    until = minute_of(now)  # the minute that has just begun says little
    since = until - rule.window_minutes * _MINUTE
    for subject in figures.subjects(Metric.FRAUD_SCORE):
        window = _seen(rule, figures, subject, since, until)
        recent = _seen(rule, figures, subject, since - rule.level_minutes * _MINUTE, since)
        found = findings(rule, window, recent) if window else []
        if window and found:
            what = "; ".join(
                f"{each.figure} is {told(each.value)}, usual is {told(each.usual)}"
                for each in found
            )
            detail = f"of {window.scores.count} scores in {rule.window_minutes} min: {what}"
            yield breach_of(rule, subject, detail)


def _seen(
    rule: ScoreRule, figures: Figures, subject: str, since: datetime, until: datetime
) -> Seen | None:
    """Scores of a span; None without any, or where nothing is known to be usual."""
    (scores,) = scores_between(figures, subject, since, until, until - since) or (None,)
    if scores is None:
        return None

    @cache
    def usual_on(day: date) -> UsualDay | None:
        midnight = datetime.combine(day, time(), UTC)
        first = midnight - rule.history_days * _DAY
        return usual_day(rule, scores_between(figures, subject, first, midnight, _HOUR), day)

    usual = usual_over(usual_on, since, until)
    return Seen(scores, usual) if usual else None


def scores_between(
    figures: Figures, subject: str, since: datetime, until: datetime, each: timedelta
) -> list[Scores]:
    """Scores by event time."""
    above = {
        stat.at: stat.total
        for stat in figures.stats(Metric.SUSPICIOUS_SCORES, subject, since, until, each)
    }
    return [
        Scores(stat.at, stat.count, stat.total, above.get(stat.at, 0.0), stat.high)
        for stat in figures.stats(Metric.FRAUD_SCORE, subject, since, until, each)
    ]


def _total(
    figures: Figures, metric: Metric, subject: str, since: datetime, until: datetime,
    each: timedelta,
) -> float:  # fmt: skip
    return sum(stat.total for stat in figures.stats(metric, subject, since, until, each))


def breach_of(rule: Rule, subject: str, detail: str) -> Breach:
    """A breach of a rule, in its words."""
    return Breach(rule.id, rule.severity, rule.message, subject, detail)


def told(value: float) -> str:
    """A figure, as people read it."""
    return f"{value:.4g}"
