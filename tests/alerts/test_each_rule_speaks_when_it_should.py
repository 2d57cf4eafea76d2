"""Figures and runs in, alerts out: each rule of conf/alerts.yaml, broken and sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from pytest import param

from lakehouse.alerts.evaluating import judged_by_figures
from lakehouse.alerts.rules import AlertRules, load_alert_rules
from lakehouse.alerts.run_rules import judged_by_runs
from lakehouse.metrics.file_store import FileOfFigures
from lakehouse.metrics.points import Metric, Point, minute_of
from lakehouse.runs import JobRun
from tests.conftest import NOON, ROOT

DAY = 24 * 60  # minutes
TABLE, JOB = "bronze.transactions", "build_batch"
Told = tuple[Metric, str, float, Mapping[float, int]]


def a_figure(metric: Metric, value: float, ago: float = 1, of: str = TABLE) -> Told:
    """One value of a minute so many minutes ago."""
    return metric, of, ago, {value: 1}


def refused(count: float, of: float = 1000, ago: float = 1) -> list[Told]:
    """So many minutes ago, so many records delivered and so many of them refused."""
    return [a_figure(Metric.DELIVERED, of, ago), a_figure(Metric.QUARANTINED, count, ago)]


def figures_over_days(refused: float, days: int = 7) -> list[Told]:
    """A thousand records delivered on each of the last days, so many of them refused."""
    return [
        each
        for day in range(1, days + 1)
        for each in (
            a_figure(Metric.DELIVERED, 1000, day * DAY),
            a_figure(Metric.QUARANTINED, refused, day * DAY),
        )
    ]


def scores(suspicious: int, ago: float, of: int = 1000) -> list[Told]:
    """Scores of one minute: so many of 0.8, the others of 0.2."""
    return [
        (Metric.FRAUD_SCORE, TABLE, ago, {0.2: of - suspicious, 0.8: suspicious}),
        a_figure(Metric.SUSPICIOUS_SCORES, suspicious, ago),
    ]


def scores_over_days() -> list[Told]:
    """A tenth suspicious, in each hour from ten to one of the last days, and in the last hour."""
    return [
        each
        for ago in (30, *(day * DAY + hour * 60 - 30 for day in range(1, 7) for hour in range(3)))
        for each in scores(100, ago)
    ]


def a_run(job: str = JOB, ago: float = 30, ended: float | None = None, error: str = "") -> JobRun:
    """Began `ago` minutes before noon, and ended or failed so many minutes before; or runs on."""
    return JobRun(
        run_id="r1",
        job=job,
        started_at=NOON - timedelta(minutes=ago),
        ended_at=None if ended is None else NOON - timedelta(minutes=ended),
        outcome="running" if ended is None else "failed" if error else "finished",
        error=error or None,
    )


def an_end(error: str, job: str = JOB) -> JobRun:
    return a_run(job, ended=5, error=error)


@pytest.fixture
def rules() -> AlertRules:
    return load_alert_rules(ROOT / "conf" / "alerts.yaml")


@pytest.fixture
def figures(tmp_path: Path) -> FileOfFigures:
    return FileOfFigures(tmp_path / "metrics.sqlite", keep_days=8, keep_score_days=35)


def broken(
    rules: AlertRules, figures: FileOfFigures, told: Sequence[Told], *runs: JobRun,
    is_scheduled: bool = True,
) -> list[tuple[str, str]]:  # fmt: skip
    """Rule and subject of what is broken at noon; but for jobs that never ran."""
    figures.send(
        [
            Point(metric, of, minute_of(NOON - timedelta(minutes=ago)), values)
            for metric, of, ago, values in told
        ]
    )
    found = judged_by_figures(rules, figures, NOON)
    ids = {each.rule for each in found.breaches}
    found = found.and_then(judged_by_runs(rules, figures, runs, NOON, is_scheduled, ids))
    assert not found.faults
    return [
        (each.rule, each.subject) for each in found.breaches if "no run of it" not in each.detail
    ]


SLOW = {10.0: 18, 40.0: 2}  # seconds of twenty events: the upper quantile is 40
HARDLY_SLOW = {10.0: 19, 40.0: 1}
FIGURES = [
    param("freshness", [(Metric.FRESHNESS_SECONDS, TABLE, 3, SLOW)], [TABLE], id="late events"),
    param("freshness", [(Metric.FRESHNESS_SECONDS, TABLE, 3, HARDLY_SLOW)], [], id="one in twenty"),
    param("freshness", [(Metric.FRESHNESS_SECONDS, TABLE, 9, SLOW)], [], id="late events, earlier"),
    param("freshness", [(Metric.FRESHNESS_SECONDS, TABLE, 3, {40.0: 19})], [], id="of too few"),
    param("consumer_lag",
          [a_figure(Metric.CONSUMER_LAG, 60_001, of="ingest_transactions/0"),
           a_figure(Metric.CONSUMER_LAG, 60_000, of="ingest_transactions/1")],
          ["ingest_transactions/0"], id="one partition waits"),
    param("consumer_lag",
          [a_figure(Metric.CONSUMER_LAG, 90_000, 5), a_figure(Metric.CONSUMER_LAG, 10, 1)],
          [], id="it has caught up"),
    param("versions_behind", [a_figure(Metric.VERSIONS_BEHIND, 201, of=JOB)], [JOB], id="behind"),
    param("versions_behind", [a_figure(Metric.VERSIONS_BEHIND, 200, of=JOB)], [], id="nearly"),
    param("unscored_payments",
          [a_figure(Metric.DECIDED, 100), a_figure(Metric.UNSCORED, 6)], [TABLE], id="unscored"),
    param("unscored_payments",
          [a_figure(Metric.DECIDED, 100), a_figure(Metric.UNSCORED, 5)], [], id="some unscored"),
    param("unscored_payments",
          [a_figure(Metric.DECIDED, 99), a_figure(Metric.UNSCORED, 99)], [], id="of too few"),
    param("reconciliation_break",
          [a_figure(Metric.UNEXPLAINED_ROWS, 1, 2 * DAY - 60, of="all steps")],
          ["all steps"], id="yesterday's break stands"),
    param("reconciliation_break",
          [a_figure(Metric.UNEXPLAINED_ROWS, 3, DAY), a_figure(Metric.UNEXPLAINED_ROWS, 0, 60)],
          [], id="the break is mended"),
    param("dynamodb_drift", [a_figure(Metric.DRIFTED_ITEMS, 1, DAY, JOB)], [JOB], id="drift"),
    param("dynamodb_drift",
          [a_figure(Metric.DRIFTED_ITEMS, 9, DAY, JOB), a_figure(Metric.DRIFTED_ITEMS, 0, 30, JOB)],
          [], id="drift is mended"),
    param("dynamodb_drift", [a_figure(Metric.DRIFTED_ITEMS, 1, 7 * DAY + 60, JOB)],
          [JOB], id="drift of a week ago, and no look at all items since"),
    param("dynamodb_throttled",
          [a_figure(Metric.ITEMS_WRITTEN, 1000), a_figure(Metric.ITEMS_THROTTLED, 201)],
          [TABLE], id="throttled"),
    param("dynamodb_throttled",
          [a_figure(Metric.ITEMS_WRITTEN, 1000), a_figure(Metric.ITEMS_THROTTLED, 200)],
          [], id="hardly throttled"),
    param("dynamodb_throttled",
          [a_figure(Metric.ITEMS_WRITTEN, 900), a_figure(Metric.ITEMS_THROTTLED, 900)],
          [], id="too few writes"),
    param("batch_held", [a_figure(Metric.BATCHES_HELD, 1, 600, of="policies")], ["policies"],
          id="held"),
    param("batch_held",
          [a_figure(Metric.BATCHES_HELD, 1, 600), a_figure(Metric.BATCHES_HELD, 0, 60)],
          [], id="held, and released since"),
    param("quarantine_spike",
          [*figures_over_days(10), *refused(40)],
          [TABLE], id="four times as many refused"),
    param("quarantine_spike",
          [*figures_over_days(10), *refused(19)],
          [], id="not twice as many"),
    param("quarantine_spike",
          [*figures_over_days(10), *refused(2, of=10)],
          [], id="two of ten is chance"),
    param("quarantine_spike",
          [*figures_over_days(0), *refused(30)],
          [TABLE], id="where none is usual"),
    param("quarantine_spike",
          [*figures_over_days(0), *refused(3)],
          [], id="a few where none is usual"),
    param("quarantine_spike",
          [*figures_over_days(10, days=2),
           *refused(500)],
          [], id="too few days to compare with"),
    param("quarantine_spike",
          [*figures_over_days(10), *refused(40, ago=6 * 60)],
          [TABLE], id="what a build of the night refused"),
    param("quarantine_spike",
          [*figures_over_days(10), *refused(40, ago=6 * 60), *refused(10, ago=30)],
          [], id="the build after it is as ever"),
    param("quarantine_spike",
          [*figures_over_days(10), *refused(40, ago=DAY + 60)],
          [], id="nothing has come for a day"),
    param("abnormal_fraud_scores", [*scores_over_days(), *scores(200, 3)], [TABLE], id="doubled"),
    param("abnormal_fraud_scores", [*scores_over_days(), *scores(115, 3)], [], id="hardly more"),
    param("abnormal_fraud_scores", [*scores_over_days(), *scores(200, 9)], [], id="minutes ago"),
    param("abnormal_fraud_scores", scores(900, 3), [], id="no day to compare with"),
]  # fmt: skip

RUNS = [
    param("parity_break", [an_end("PathsDifferError", "compare_paths")], ["compare_paths"],
          id="live and batch differ"),
    param("parity_break", [an_end("Py4JJavaError", "compare_paths")], [], id="another fault of it"),
    param("chain_broken", [an_end("HistoryBrokenError")], [JOB], id="a broken chain"),
    param("chain_broken", [an_end("HeadContradictsError")], [JOB], id="another head"),
    param("chain_broken", [a_run(ended=5)], [], id="a chain that holds"),
    param("records_lost", [an_end("RecordsLostError", "ingest_transactions")],
          ["ingest_transactions"], id="records lost"),
    param("records_lost", [an_end("LeaseHeldError", "ingest_transactions")], [], id="none lost"),
    param("job_failed", [an_end("Py4JJavaError")], [JOB], id="a failure that no rule names"),
    param("job_failed", [an_end("PathsDifferError")], [], id="a failure that a rule names"),
    param("job_failed", [an_end("ValueError"), a_run(ago=2, ended=1)], [], id="it went well since"),
    param("job_failed", [an_end("ValueError"), a_run(ago=2)], [JOB], id="its next run only began"),
    param("job_failed", [an_end("ValueError", "alive_job"), a_run("alive_job", ago=4)], [],
          id="its next run finished a micro-batch"),
    param("job_silent", [a_run(ago=30)], [JOB], id="nothing for half an hour"),
    param("job_silent", [a_run(ago=3)], [], id="it has just begun"),
    param("job_silent", [a_run("alive_job", ago=30)], [], id="it says that it is alive"),
    param("job_not_started", [a_run(ago=27 * 60, ended=26 * 60 + 1)], [JOB], id="not since"),
    param("job_not_started", [a_run(ago=27 * 60, ended=26 * 60)], [], id="just in time"),
    param("job_not_started", [a_run(ago=50 * 60)], [], id="it still runs"),
    param("job_late", [a_run("consolidate", ago=121)], ["consolidate"], id="two hours"),
    param("job_late", [a_run("consolidate", ago=119)], [], id="not yet two hours"),
    param("job_late", [a_run("build_batch", ago=500)], [], id="it is gone, not late"),
]  # fmt: skip


@pytest.mark.parametrize("rule, told, subjects", FIGURES)
def test_a_figure_breaks_its_rule(
    rules: AlertRules, figures: FileOfFigures, rule: str, told: Sequence[Told], subjects: list[str]
) -> None:
    found = broken(rules, figures, told)
    assert [subject for name, subject in found if name == rule] == subjects
    assert {name for name, _ in found} <= {rule}


@pytest.mark.parametrize("rule, runs, subjects", RUNS)
def test_a_run_breaks_its_rule(
    rules: AlertRules,
    figures: FileOfFigures,
    rule: str,
    runs: Sequence[JobRun],
    subjects: list[str],
) -> None:
    alive = [a_figure(Metric.ALIVE, 1, of=job) for job in ("alive_job", "consolidate")]
    # a micro-batch of the run that failed, in its last minute, and one of the run behind it
    batches = [a_figure(Metric.BATCH_SECONDS, 2, 5, JOB),
               a_figure(Metric.BATCH_SECONDS, 2, 2, "alive_job")]  # fmt: skip
    found = broken(rules, figures, [*alive, *batches], *runs)
    assert [subject for name, subject in found if name == rule] == subjects


def test_each_rule_is_shown_broken_and_sound(rules: AlertRules) -> None:
    shown = {(case.values[0], bool(case.values[2])) for case in (*FIGURES, *RUNS)}
    assert shown == {(rule.id, is_broken) for rule in rules.each() for is_broken in (True, False)}


def test_a_job_that_never_ran_is_missed(rules: AlertRules, figures: FileOfFigures) -> None:
    found = judged_by_runs(rules, figures, [], NOON)
    (rule,) = rules.not_started
    assert {each.subject for each in found.breaches if each.rule == rule.id} == set(rule.hours)


def test_where_nobody_schedules_jobs_none_is_missed(
    rules: AlertRules, figures: FileOfFigures
) -> None:
    killed, failed = a_run("maintain", ago=500), an_end("ValueError")
    found = broken(rules, figures, [], killed, failed, is_scheduled=False)
    assert found == [("job_failed", JOB)]
    assert not judged_by_runs(rules, figures, [], NOON, is_scheduled=False).breaches


@pytest.mark.parametrize("ago, told", [
    param([5, 1], [], id="it runs"),
    param([60, 9], ["enrich_live"], id="it fell silent"),
])  # fmt: skip
def test_a_stream_that_began_before_all_known_runs_is_known_by_its_figures(
    rules: AlertRules, figures: FileOfFigures, ago: list[float], told: list[str]
) -> None:
    figures.send([
        Point(Metric.ALIVE, "enrich_live", minute_of(NOON - timedelta(minutes=each)), {1.0: 1})
        for each in ago
    ])  # fmt: skip
    found = judged_by_runs(rules, figures, [], NOON).breaches
    silent = [each.subject for each in found if each.rule == "job_silent"]
    missed = [each.subject for each in found if each.rule == "job_not_started"]
    assert (silent, [job for job in missed if job == "enrich_live"]) == (told, told)


ONE_BREAK = [
    param("reconciliation_break", "NotAccountedForError", Metric.UNEXPLAINED_ROWS, id="account"),
    param("dynamodb_drift", "ServingDriftError", Metric.DRIFTED_ITEMS, id="drift"),
]


@pytest.mark.parametrize("rule, error, metric", ONE_BREAK)
def test_what_a_figure_tells_and_a_run_failed_for_is_one_alert(
    rules: AlertRules, figures: FileOfFigures, rule: str, error: str, metric: Metric
) -> None:
    hour_ago = a_run(ago=90, ended=60, error=error)
    told = [a_figure(metric, 3, 60, "all steps")]
    assert broken(rules, figures, told, hour_ago) == [(rule, "all steps")]


@pytest.mark.parametrize("rule, error, metric", ONE_BREAK)
def test_a_fault_whose_figure_did_not_come_is_told_as_a_failure(
    rules: AlertRules, figures: FileOfFigures, rule: str, error: str, metric: Metric
) -> None:
    just_now, since = a_run(ended=14, error=error), a_run(ended=16, error=error)
    assert broken(rules, figures, [], just_now) == []
    assert broken(rules, figures, [], since) == [("job_failed", JOB)]


def test_a_run_of_long_ago_that_ended_is_not_silent(
    rules: AlertRules, figures: FileOfFigures
) -> None:
    ended = [a_figure(Metric.ALIVE, 1, 60, "audit"), a_figure(Metric.RUN_SECONDS, 9, 60, "audit")]
    assert broken(rules, figures, ended) == []
