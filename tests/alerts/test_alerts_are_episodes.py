"""An alert is opened, updated and resolved once, and no channel holds up another."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.alerts.checking import check
from lakehouse.alerts.episodes import Change
from lakehouse.alerts.evaluating import Breach, breaches
from lakehouse.alerts.rules import AlertRules, Severity, load_alert_rules
from lakehouse.alerts.store import FileOfAlerts
from lakehouse.config import Config
from lakehouse.errors import ChannelError
from lakehouse.metrics.file_store import FileOfFigures
from lakehouse.metrics.points import Metric, point
from lakehouse.runs import JobRun
from tests.conftest import LOCAL, NOON, ROOT

SETTINGS = Config.load(LOCAL).alerts
LATE = Breach("freshness", Severity.CRITICAL, "late", "silver.live_transactions", "40 s")


class FakeChannel:
    """Hears what it is told, unless it is down."""

    def __init__(self, name: str) -> None:
        self.name, self.heard, self.is_down = name, list[str](), False

    def tell(self, change: Change) -> None:
        if self.is_down:
            raise ChannelError(self.name, "ConnectTimeout")
        self.heard.append(str(change.event))


@pytest.fixture
def rules() -> AlertRules:
    return load_alert_rules(ROOT / "conf" / "alerts.yaml")


def test_an_episode_is_told_twice_and_a_dead_channel_hears_it_later(tmp_path: Path) -> None:
    store, up, down = FileOfAlerts(tmp_path / "a.sqlite"), FakeChannel("up"), FakeChannel("down")
    down.is_down = True

    def at(minute: int, *broken: Breach) -> dict[str, int]:
        return check(broken, store, [up, down], SETTINGS, NOON + timedelta(minutes=minute)).unsent

    assert at(0, LATE) == {"up": 0, "down": 1}
    assert at(1, LATE) == {"up": 0, "down": 1}
    at(2)
    at(3, LATE)  # it comes back before it was sound for long enough: the same episode
    at(4)
    assert at(4 + SETTINGS.sound_minutes) == {"up": 0, "down": 2}
    assert (up.heard, down.heard) == (["opened", "resolved"], [])
    down.is_down = False
    assert at(60) == {"up": 0, "down": 0}
    assert down.heard == ["opened", "resolved"]
    (record,) = store.newest(10)
    assert record.is_settled and record.episode.opened_at == NOON
    at(90, LATE)
    assert [r.episode.opened_at for r in store.newest(10)] == [NOON + timedelta(minutes=90), NOON]


def test_figures_and_runs_break_the_rules_that_they_should(
    tmp_path: Path, rules: AlertRules
) -> None:
    figures = FileOfFigures(tmp_path / "m.sqlite", keep_days=8, keep_score_days=35)
    table = "silver.live_transactions"
    figures.send([point(Metric.FRESHNESS_SECONDS, table, NOON, 40.0)])
    figures.send([point(Metric.UNEXPLAINED_ROWS, "all steps", NOON - timedelta(hours=2), 3)])

    def run(job: str, outcome: str, error: str | None, ago: timedelta) -> JobRun:
        started = NOON - ago
        ended = None if outcome == "running" else started + timedelta(minutes=1)
        return JobRun(run_id=job, job=job, started_at=started, ended_at=ended,
                      outcome=outcome, error=error)  # fmt: skip

    hour = timedelta(hours=1)
    runs = [
        run("compare_paths", "failed", "PathsDifferError", hour),
        run("prove_history", "failed", "HistoryBrokenError", hour),
        run("consolidate", "failed", "Py4JJavaError", hour),
        run("build_batch", "running", None, 3 * hour),
        run("reconcile", "finished", None, 30 * hour),
    ]
    found = {(each.rule, each.subject) for each in breaches(rules, figures, runs, NOON)}
    assert {
        ("freshness", table),
        ("reconciliation_break", "all steps"),
        ("parity_break", "compare_paths"),
        ("chain_broken", "prove_history"),
        ("job_failed", "consolidate"),
        ("job_late", "build_batch"),
        ("job_silent", "build_batch"),
        ("job_not_started", "reconcile"),
    } <= found
    assert ("job_failed", "compare_paths") not in found


def test_each_rule_has_its_section_in_the_runbook(rules: AlertRules) -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    sections = re.findall(r"^## (\w+)$", text, flags=re.MULTILINE)
    assert sections == [rule.id for rule in rules]
    assert text.count("**How to look**") == text.count("**What to do**") == len(sections)


def test_figures_of_one_minute_add_up(tmp_path: Path) -> None:
    figures = FileOfFigures(tmp_path / "m.sqlite", keep_days=8, keep_score_days=35)
    at = datetime(2026, 3, 9, 12, 0, 5, tzinfo=UTC)
    for value in (1.0, 3.0):
        figures.send([point(Metric.BATCH_SECONDS, "enrich_live", at, value)])
    (stat,) = figures.stats(Metric.BATCH_SECONDS, "enrich_live", NOON, at, timedelta(minutes=1))
    assert (stat.count, stat.total, stat.most) == (2, 4.0, 3.0)
