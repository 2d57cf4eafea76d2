"""Which rules are broken now: pure functions over figures and runs, with the clock as argument."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
from lakehouse.runs import JobRun, last_ended_of_each_job, newest_of_each_job

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_FRESH = 5 * _MINUTE  # a run says every few seconds that it is alive
_RECENT = 9 * _DAY  # of a run that is not known: when it said so last
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
    return _judged([
        *((rule, _over_threshold(rule, figures, now)) for rule in rules.thresholds),
        *((rule, _spikes(rule, figures, now)) for rule in rules.spikes),
        *((rule, _abnormal_scores(rule, figures, now)) for rule in rules.scores),
    ])  # fmt: skip


def judged_by_runs(
    rules: AlertRules,
    figures: Figures,
    runs: Iterable[JobRun],
    now: datetime,
    is_scheduled: bool = True,
) -> Judged:
    """Rules over runs at `now` (UTC); figures tell only what a record of a run cannot.

    Where nothing starts the jobs by itself (`is_scheduled` is false), a job that was not started
    and a run that was killed are nobody's fault.
    """
    known = list(runs)
    newest, ended = newest_of_each_job(known), last_ended_of_each_job(known)
    claimed = frozenset(error for rule in rules.failures for error in rule.errors)
    found = _judged(
        [(rule, _failed(rule, newest, ended, claimed, figures, now)) for rule in rules.failures]
    )
    gone = _judged([(rule, _silent(rule, newest, figures, now)) for rule in rules.silent])
    if is_scheduled:
        found = found.and_then(gone).and_then(_judged(
            [(rule, _not_started(rule, newest, figures, now)) for rule in rules.not_started]
        ))  # fmt: skip
    # a run that is gone is not slow
    silent = {each.subject for each in gone.breaches}
    under_way = {job: run for job, run in newest.items() if job not in silent}
    return found.and_then(_judged([(rule, _late(rule, under_way, now)) for rule in rules.late]))


def unjudged_by_runs(rules: AlertRules, fault: Exception) -> Judged:
    """Where runs cannot be read: each rule over them stays as it was."""
    over_runs = (*rules.failures, *rules.silent, *rules.not_started, *rules.late)
    return Judged([], frozenset(rule.id for rule in over_runs), [fault])


def _judged(looks: Iterable[tuple[Rule, Iterator[Breach]]]) -> Judged:
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
    rule: FailureRule,
    newest: Mapping[str, JobRun],
    ended: Mapping[str, JobRun],
    claimed: frozenset[str],
    figures: Figures,
    now: datetime,
) -> Iterator[Breach]:
    """By the last run that ended: that the next one has begun does not say that it goes well."""
    begun_again = {job for job, run in newest.items() if run.outcome == "running"}
    # first those that nobody need be asked of: figures may not answer
    for job, run in sorted(ended.items(), key=lambda each: (each[0] in begun_again, each[0])):
        if run.outcome != "failed" or (rule.jobs and job not in rule.jobs):
            continue
        error = run.error or "an unknown fault"
        is_named = error in rule.errors if rule.errors else error not in claimed
        if is_named and not (job in begun_again and _goes_well(run, figures, now)):
            yield _breach(rule, job, f"run {run.run_id} ended with {error}")


def _goes_well(failed: JobRun, figures: Figures, now: datetime) -> bool:
    """Whether its job, a stream, has finished a micro-batch since a run of it failed."""
    # the minute of the fault itself has what was finished before
    since = minute_of(failed.ended_at or failed.started_at) + _MINUTE
    return bool(figures.stats(Metric.BATCH_SECONDS, failed.job, since, now + _MINUTE, _HOUR))


def _silent(
    rule: SilenceRule, newest: Mapping[str, JobRun], figures: Figures, now: datetime
) -> Iterator[Breach]:
    since = now - timedelta(minutes=rule.after_minutes)
    for job, run in sorted(newest.items()):
        if run.outcome != "running" or run.started_at > since:
            continue
        if not _is_alive(job, figures, now, minute_of(since)):
            detail = f"run {run.run_id} did not end, and has been silent for more than " \
                f"{_told(rule.after_minutes)} min"  # fmt: skip
            yield _breach(rule, job, detail)
    # a stream goes on for weeks: then the record of its start is older than those that are read
    for job in sorted(set(figures.subjects(Metric.ALIVE)) - newest.keys()):
        if _is_alive(job, figures, now, minute_of(since)) or not _died(job, figures, now):
            continue
        detail = f"a run of long ago did not end, and has been silent for more than " \
            f"{_told(rule.after_minutes)} min"  # fmt: skip
        yield _breach(rule, job, detail)


def _is_alive(job: str, figures: Figures, now: datetime, since: datetime) -> bool:
    return bool(figures.stats(Metric.ALIVE, job, since, now + _MINUTE, _MINUTE))


def _died(job: str, figures: Figures, now: datetime) -> bool:
    """Whether it was alive in the last days, and no run has said since how long it took."""
    span = (job, minute_of(now) - _RECENT, now + _MINUTE, _HOUR)
    alive, ended = figures.stats(Metric.ALIVE, *span), figures.stats(Metric.RUN_SECONDS, *span)
    return bool(alive) and not any(each.at >= alive[-1].at for each in ended)


def _not_started(
    rule: AbsenceRule, newest: Mapping[str, JobRun], figures: Figures, now: datetime
) -> Iterator[Breach]:
    for job, hours in rule.hours.items():
        run = newest.get(job)
        if run and run.ended_at is not None and now - run.ended_at > timedelta(hours=hours):
            detail = f"its last run ended {_told((now - run.ended_at) / _HOUR)} h ago, " \
                f"the limit is {_told(hours)} h"  # fmt: skip
            yield _breach(rule, job, detail)
    # behind what records say alone: figures may not answer
    for job in rule.hours:
        # a stream may have begun before the days whose records are read
        if job not in newest and not _is_alive(job, figures, now, minute_of(now) - _FRESH):
            yield _breach(rule, job, "no run of it is known")


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
