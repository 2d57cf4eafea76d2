"""Figures, runs or a store that does not answer: what can be judged is told; the rest stands."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.alerts.checking import CHECKER, again_and_again, check, judge, say_checked
from lakehouse.alerts.episodes import Event
from lakehouse.alerts.evaluating import Breach, Judged
from lakehouse.alerts.rules import AlertRules, Severity, load_alert_rules
from lakehouse.alerts.store import FileOfAlerts
from lakehouse.config import Config
from lakehouse.errors import AlertStoreError, FiguresError, LeaseLostError
from lakehouse.lease import held_lease
from lakehouse.metrics.file_store import FileOfFigures
from lakehouse.metrics.points import Metric, Point, Stat, point
from lakehouse.runs import FolderOfRuns, JobRun
from tests.cli.processes import LAKEHOUSE
from tests.conftest import LOCAL, NOON, ROOT

SETTINGS = Config.load(LOCAL).alerts
FAILED = JobRun(
    run_id="r1", job="reconcile", outcome="failed", error="ValueError",
    started_at=NOON - timedelta(minutes=9), ended_at=NOON - timedelta(minutes=5),
)  # fmt: skip


class NoFigures:
    """CloudWatch has a bad minute."""

    def send(self, points: Sequence[Point]) -> int:
        raise FiguresError("CloudWatch", "ReadTimeout")

    def subjects(self, metric: Metric) -> Sequence[str]:
        raise FiguresError("CloudWatch", "ReadTimeout")

    def stats(
        self, metric: Metric, subject: str, since: datetime, until: datetime, each: timedelta
    ) -> Sequence[Stat]:
        raise FiguresError("CloudWatch", "ReadTimeout")


class NoRuns:
    """S3 has one."""

    def put(self, run: JobRun) -> None:
        raise TimeoutError

    def since(self, first: date, last: date) -> list[JobRun]:
        raise TimeoutError


@pytest.fixture
def rules() -> AlertRules:
    return load_alert_rules(ROOT / "conf" / "alerts.yaml")


@pytest.fixture
def figures(tmp_path: Path) -> FileOfFigures:
    """A partition in which records wait."""
    kept = FileOfFigures(tmp_path / "metrics.sqlite", keep_days=8, keep_score_days=35)
    kept.send([point(Metric.CONSUMER_LAG, "ingest_transactions/0", NOON, 90_000)])
    return kept


@pytest.fixture
def runs(tmp_path: Path) -> FolderOfRuns:
    """One run, which failed."""
    kept = FolderOfRuns(tmp_path / "runs")
    kept.put(FAILED)
    return kept


def ids(judged: Judged) -> set[str]:
    return {each.rule for each in judged.breaches}


def test_runs_are_judged_where_figures_do_not_answer(rules: AlertRules, runs: FolderOfRuns) -> None:
    judged = judge(rules, NoFigures(), runs, NOON, is_scheduled=True)
    assert ids(judged) == {"job_failed"}
    over_figures = {rule.id for rule in (*rules.thresholds, *rules.spikes, *rules.scores)}
    # a stream of long ago is known by its figures alone
    assert set(judged.unjudged) == over_figures | {"job_silent", "job_not_started"}


def test_figures_are_judged_where_runs_do_not_answer(
    rules: AlertRules, figures: FileOfFigures
) -> None:
    judged = judge(rules, figures, NoRuns(), NOON, is_scheduled=True)
    assert ids(judged) == {"consumer_lag"}
    assert {"parity_break", "job_failed", "job_silent", "job_late"} <= set(judged.unjudged)
    say_checked(judged, figures, NOON)
    assert figures.subjects(Metric.ALERTS_CHECKED) == []


def test_a_run_that_failed_for_what_a_figure_tells_is_no_second_alert(
    rules: AlertRules, figures: FileOfFigures, runs: FolderOfRuns
) -> None:
    begun = NOON - timedelta(hours=2)
    failed = {"error": "NotAccountedForError", "started_at": begun, "ended_at": begun}
    runs.put(FAILED.model_copy(update=failed))
    assert ids(judge(rules, figures, runs, NOON, is_scheduled=False)) == {
        "consumer_lag", "job_failed",
    }  # fmt: skip
    figures.send([point(Metric.UNEXPLAINED_ROWS, "all steps", begun, 1)])
    assert ids(judge(rules, figures, runs, NOON, is_scheduled=False)) == {
        "consumer_lag", "reconciliation_break",
    }  # fmt: skip


def test_a_round_that_saw_all_says_so(
    rules: AlertRules, figures: FileOfFigures, runs: FolderOfRuns
) -> None:
    judged = judge(rules, figures, runs, NOON, is_scheduled=False)
    assert ids(judged) == {"consumer_lag", "job_failed"}
    assert set(judged.unjudged) == set()
    say_checked(judged, figures, NOON)
    assert figures.subjects(Metric.ALERTS_CHECKED) == [CHECKER]


def test_an_alert_of_a_rule_that_could_not_be_judged_stays_open(tmp_path: Path) -> None:
    store = FileOfAlerts(tmp_path / "alerts.sqlite")
    late = Breach("freshness", Severity.CRITICAL, "late", "silver.live_transactions", "40 s")

    def events(minute: int, judged: Judged) -> list[Event]:
        now = NOON + timedelta(minutes=minute)
        return [change.event for change in check(judged, store, [], SETTINGS, now).changes]

    assert events(0, Judged([late])) == [Event.OPENED]
    hour = [events(minute, Judged([], frozenset({"freshness"}))) for minute in range(1, 61)]
    assert hour == [[]] * 60
    # found broken by a rule that could not look at all: the same episode
    assert events(61, Judged([late], frozenset({"freshness"}))) == [Event.UPDATED]


def test_a_round_that_fails_is_followed_by_the_next_until_another_one_checks(
    config: Config,
) -> None:
    rounds: list[str] = []
    pauses: list[float] = []

    def check_once() -> None:
        rounds.append("checked")
        if len(rounds) == 1:
            raise AlertStoreError("payments-alerts", "ReadTimeout")
        if len(rounds) == 3:
            for taken in Path(config.lease.location).glob("*.lease"):
                taken.unlink()

    with held_lease(config, CHECKER) as lease, pytest.raises(LeaseLostError):
        again_and_again(check_once, lease.check, pauses.append, every=60)
    # a pause behind each round, also behind the one that failed
    assert (len(rounds), len(pauses)) == (3, 3)


def test_a_lost_lease_is_taken_again_where_nobody_else_has_it(config: Config) -> None:
    words = [str(LAKEHOUSE), "alerts", "check", "--every", "1", "--config", str(LOCAL), "--json"]
    with subprocess.Popen(
        words, cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as checking:  # fmt: skip
        try:
            assert checking.stdout
            checks = (line for line in checking.stdout if '"changes"' in line)
            next(checks)
            (lease,) = Path(config.lease.location).glob("*.lease")
            lease.unlink()
            # one could have been under way
            next(checks), next(checks)
            assert lease.exists()
        finally:
            checking.kill()
