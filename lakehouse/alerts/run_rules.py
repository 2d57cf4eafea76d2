"""Which rules over runs are broken now: pure functions, with the clock as argument."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from lakehouse.alerts.evaluating import Breach, Figures, Judged, breach_of, judged, told
from lakehouse.alerts.rules import AbsenceRule, AlertRules, FailureRule, LateRule, SilenceRule
from lakehouse.metrics.points import Metric, minute_of
from lakehouse.runs import JobRun, last_ended_of_each_job, newest_of_each_job

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_FRESH = 5 * _MINUTE  # a run says every few seconds that it is alive
_RECENT = 9 * _DAY  # of a run that is not known: when it said so last
_UNDER_WAY = 15 * _MINUTE  # so long after a run its figures may come into sight


def judged_by_runs(
    rules: AlertRules,
    figures: Figures,
    runs: Iterable[JobRun],
    now: datetime,
    is_scheduled: bool = True,
    broken: Collection[str] = (),
) -> Judged:
    """Rules over runs at `now` (UTC); figures tell only what a record of a run cannot.

    `broken` are the ids of rules over figures that are broken now: a run that failed by what one
    of them tells is no second alert. Where nothing starts the jobs by itself (`is_scheduled` is
    false), a job that was not started and a run that was killed are nobody's fault.
    """
    known = list(runs)
    newest, ended = newest_of_each_job(known), last_ended_of_each_job(known)
    claimed = frozenset(error for rule in rules.failures for error in rule.errors)

    def is_told(run: JobRun) -> bool:
        return run.error in claimed or _is_told_by_figures(run, rules, broken, now)

    found = judged(
        [(rule, _failed(rule, newest, ended, is_told, figures, now)) for rule in rules.failures]
    )
    gone = judged([(rule, _silent(rule, newest, figures, now)) for rule in rules.silent])
    if is_scheduled:
        found = found.and_then(gone).and_then(judged(
            [(rule, _not_started(rule, newest, figures, now)) for rule in rules.not_started]
        ))  # fmt: skip
    # a run that is gone is not slow
    silent = {each.subject for each in gone.breaches}
    under_way = {job: run for job, run in newest.items() if job not in silent}
    return found.and_then(judged([(rule, _late(rule, under_way, now)) for rule in rules.late]))


def unjudged_by_runs(rules: AlertRules, fault: Exception) -> Judged:
    """Where runs cannot be read: each rule over them stays as it was."""
    over_runs = (*rules.failures, *rules.silent, *rules.not_started, *rules.late)
    return Judged([], frozenset(rule.id for rule in over_runs), [fault])


def _failed(
    rule: FailureRule,
    newest: Mapping[str, JobRun],
    ended: Mapping[str, JobRun],
    is_told: Callable[[JobRun], bool],
    figures: Figures,
    now: datetime,
) -> Iterator[Breach]:
    """By the last run that ended: that the next one has begun does not say that it goes well.

    A rule that names no faults leaves out runs of which another one tells (`is_told`).
    """
    begun_again = {job for job, run in newest.items() if run.outcome == "running"}
    # first those that nobody need be asked of: figures may not answer
    for job, run in sorted(ended.items(), key=lambda each: (each[0] in begun_again, each[0])):
        if run.outcome != "failed" or (rule.jobs and job not in rule.jobs):
            continue
        error = run.error or "an unknown fault"
        is_named = error in rule.errors if rule.errors else not is_told(run)
        if is_named and not (job in begun_again and _goes_well(run, figures, now)):
            yield breach_of(rule, job, f"run {run.run_id} ended with {error}")


def _is_told_by_figures(
    run: JobRun, rules: AlertRules, broken: Collection[str], now: datetime
) -> bool:
    """Whether a rule over a figure speaks for the fault of a run: it is broken, or soon will be.

    A figure that never came is no reason to tell nobody.
    """
    speaking = {rule.id for rule in rules.thresholds if run.error in rule.errors}
    is_fresh = run.ended_at is not None and now - run.ended_at < _UNDER_WAY
    return bool(speaking) and (is_fresh or not speaking.isdisjoint(broken))


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
                f"{told(rule.after_minutes)} min"  # fmt: skip
            yield breach_of(rule, job, detail)
    # a stream goes on for weeks: then the record of its start is older than those that are read
    for job in sorted(set(figures.subjects(Metric.ALIVE)) - newest.keys()):
        if _is_alive(job, figures, now, minute_of(since)) or not _died(job, figures, now):
            continue
        detail = f"a run of long ago did not end, and has been silent for more than " \
            f"{told(rule.after_minutes)} min"  # fmt: skip
        yield breach_of(rule, job, detail)


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
            detail = f"its last run ended {told((now - run.ended_at) / _HOUR)} h ago, " \
                f"the limit is {told(hours)} h"  # fmt: skip
            yield breach_of(rule, job, detail)
    # behind what records say alone: figures may not answer
    for job in rule.hours:
        # a stream may have begun before the days whose records are read
        if job not in newest and not _is_alive(job, figures, now, minute_of(now) - _FRESH):
            yield breach_of(rule, job, "no run of it is known")


def _late(rule: LateRule, under_way: Mapping[str, JobRun], now: datetime) -> Iterator[Breach]:
    for job, minutes in rule.minutes.items():
        run = under_way.get(job)
        if run is None or run.outcome != "running":
            continue
        if now - run.started_at > timedelta(minutes=minutes):
            detail = f"run {run.run_id} has been going for " \
                f"{told((now - run.started_at) / _MINUTE)} min, " \
                f"the limit is {told(minutes)} min"  # fmt: skip
            yield breach_of(rule, job, detail)
