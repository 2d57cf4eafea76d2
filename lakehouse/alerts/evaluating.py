"""Which rules are broken now: pure functions over figures and runs, with the clock as argument."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from statistics import median
from typing import Protocol

from lakehouse.alerts.rules import (
    AbsenceRule,
    AlertRules,
    FailureRule,
    LateRule,
    Rule,
    ScoreRule,
    Severity,
    SilenceRule,
    SpikeRule,
    ThresholdRule,
)
from lakehouse.alerts.scores import Scores, Seen, UsualDay, findings, usual_day, usual_over
from lakehouse.alerts.tails import at_least
from lakehouse.metrics.points import Metric, Stat, minute_of
from lakehouse.runs import JobRun, newest_of_each_job

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


def breaches(
    rules: AlertRules,
    figures: Figures,
    runs: Iterable[JobRun],
    now: datetime,
    is_scheduled: bool = True,
) -> list[Breach]:
    """All that is broken at `now` (UTC), in the order of the rules.

    Where nothing starts the jobs by itself (`is_scheduled` is false), a job that was not started
    and a run that was killed are nobody's fault.
    """
    newest = newest_of_each_job(runs)
    claimed = frozenset(error for rule in rules.failures for error in rule.errors)
    found: list[Breach] = []
    for threshold in rules.thresholds:
        found += _over_threshold(threshold, figures, now)
    for spike in rules.spikes:
        found += _spikes(spike, figures, now)
    for scores in rules.scores:
        found += _abnormal_scores(scores, figures, now)
    for failure in rules.failures:
        found += _failed(failure, newest, claimed)
    gone = [each for rule in rules.silent for each in _silent(rule, newest, figures, now)]
    if is_scheduled:
        found += gone
        for absence in rules.not_started:
            found += _not_started(absence, newest, now)
    # a run that is gone is not slow
    under_way = {
        job: run for job, run in newest.items() if job not in {each.subject for each in gone}
    }
    for late in rules.late:
        found += _late(late, under_way, now)
    return found


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
            detail = f"{what} is {_told(value)} ({rule.figure} over {rule.over_minutes} min), " \
                f"the limit is {_told(rule.above)}"  # fmt: skip
            yield _breach(rule, subject, detail)


def _spikes(rule: SpikeRule, figures: Figures, now: datetime) -> Iterator[Breach]:
    until = minute_of(now) + _MINUTE
    since = until - rule.over_minutes * _MINUTE
    first = since - rule.history_days * _DAY
    for subject in figures.subjects(rule.share_of):
        span = (subject, since, until, until - since)
        count, base = _total(figures, rule.metric, *span), _total(figures, rule.share_of, *span)
        history = (subject, first, since, _DAY)
        bases = {stat.at: stat.total for stat in figures.stats(rule.share_of, *history)}
        counts = {stat.at: stat.total for stat in figures.stats(rule.metric, *history)}
        shares = [counts.get(at, 0.0) / whole for at, whole in bases.items() if whole]
        if len(shares) < rule.min_days or not base:
            continue
        middle = median(shares)
        spread = _SCALE * median(abs(share - middle) for share in shares)
        usual = max(middle, rule.floor)
        is_more = count / base >= rule.least_factor * usual
        if is_more and at_least(round(count), base * usual, base * spread) < rule.odds:
            detail = f"{rule.metric}/{rule.share_of} is {_told(count / base)} over " \
                f"{rule.over_minutes} min, usual is {_told(usual)}"  # fmt: skip
            yield _breach(rule, subject, detail)


def _abnormal_scores(rule: ScoreRule, figures: Figures, now: datetime) -> Iterator[Breach]:
    until = minute_of(now)  # the minute that has just begun says little
    since = until - rule.window_minutes * _MINUTE
    for subject in figures.subjects(Metric.FRAUD_SCORE):
        window = _seen(rule, figures, subject, since, until)
        recent = _seen(rule, figures, subject, since - rule.level_minutes * _MINUTE, since)
        found = findings(rule, window, recent) if window else []
        if window and found:
            told = "; ".join(
                f"{each.figure} is {_told(each.value)}, usual is {_told(each.usual)}"
                for each in found
            )
            detail = f"of {window.scores.count} scores in {rule.window_minutes} min: {told}"
            yield _breach(rule, subject, detail)


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


def _failed(
    rule: FailureRule, newest: Mapping[str, JobRun], claimed: frozenset[str]
) -> Iterator[Breach]:
    for job, run in sorted(newest.items()):
        if run.outcome != "failed" or (rule.jobs and job not in rule.jobs):
            continue
        error = run.error or "an unknown fault"
        is_named = error in rule.errors if rule.errors else error not in claimed
        if is_named:
            yield _breach(rule, job, f"run {run.run_id} ended with {error}")


def _silent(
    rule: SilenceRule, newest: Mapping[str, JobRun], figures: Figures, now: datetime
) -> Iterator[Breach]:
    since = now - timedelta(minutes=rule.after_minutes)
    for job, run in sorted(newest.items()):
        if run.outcome != "running" or run.started_at > since:
            continue
        alive = figures.stats(Metric.ALIVE, job, minute_of(since), now + _MINUTE, _MINUTE)
        if not alive:
            detail = f"run {run.run_id} did not end, and has been silent for more than " \
                f"{_told(rule.after_minutes)} min"  # fmt: skip
            yield _breach(rule, job, detail)


def _not_started(
    rule: AbsenceRule, newest: Mapping[str, JobRun], now: datetime
) -> Iterator[Breach]:
    for job, hours in rule.hours.items():
        run = newest.get(job)
        if run is None:
            yield _breach(rule, job, "no run of it is known")
        elif run.ended_at is not None and now - run.ended_at > timedelta(hours=hours):
            detail = f"its last run ended {_told((now - run.ended_at) / _HOUR)} h ago, " \
                f"the limit is {_told(hours)} h"  # fmt: skip
            yield _breach(rule, job, detail)


def _late(rule: LateRule, under_way: Mapping[str, JobRun], now: datetime) -> Iterator[Breach]:
    for job, minutes in rule.minutes.items():
        run = under_way.get(job)
        if run is None or run.outcome != "running":
            continue
        if now - run.started_at > timedelta(minutes=minutes):
            detail = f"run {run.run_id} has been going for " \
                f"{_told((now - run.started_at) / _MINUTE)} min, " \
                f"the limit is {_told(minutes)} min"  # fmt: skip
            yield _breach(rule, job, detail)


def _total(
    figures: Figures, metric: Metric, subject: str, since: datetime, until: datetime,
    each: timedelta,
) -> float:  # fmt: skip
    return sum(stat.total for stat in figures.stats(metric, subject, since, until, each))


def _breach(rule: Rule, subject: str, detail: str) -> Breach:
    return Breach(rule.id, rule.severity, rule.message, subject, detail)


def _told(value: float) -> str:
    return f"{value:.4g}"
