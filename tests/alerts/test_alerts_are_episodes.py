"""An alert is opened, updated and resolved once, and no channel holds up another."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click import Context
from typer.main import get_command

from lakehouse.alerts.checking import check
from lakehouse.alerts.episodes import Change
from lakehouse.alerts.evaluating import Breach, Judged
from lakehouse.alerts.rules import AlertRules, Severity, load_alert_rules
from lakehouse.alerts.store import FileOfAlerts
from lakehouse.cli import app
from lakehouse.config import Config
from lakehouse.errors import ChannelError
from lakehouse.metrics.file_store import FileOfFigures
from lakehouse.metrics.points import Metric, point
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
        now = NOON + timedelta(minutes=minute)
        return check(Judged(broken), store, [up, down], SETTINGS, now).unsent

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


def test_each_rule_has_its_section_in_the_runbook(rules: AlertRules) -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    sections = re.findall(r"^## (\w+)$", text, flags=re.MULTILINE)
    # behind them are those of CloudWatch's own alarms: tests/deployment/
    known = [rule.id for rule in rules.each()]
    assert sections[: len(known)] == known
    assert text.count("**How to look**") == text.count("**What to do**") == len(sections)


def test_each_command_of_the_runbook_exists() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    lines = {tuple(words.split()) for words in re.findall(r"`lakehouse ([a-z_ -]+)", text)}
    assert len(lines) > 10
    for words in lines:
        command: Any = get_command(app)
        for word in words:
            if word.startswith("--"):
                assert word in {name for each in command.params for name in each.opts}, words
            elif hasattr(command, "get_command"):
                command = command.get_command(Context(command), word)
                assert command is not None, words


def test_figures_of_one_minute_add_up(tmp_path: Path) -> None:
    figures = FileOfFigures(tmp_path / "m.sqlite", keep_days=8, keep_score_days=35)
    at = datetime(2026, 3, 9, 12, 0, 5, tzinfo=UTC)
    for value in (1.0, 3.0):
        figures.send([point(Metric.BATCH_SECONDS, "enrich_live", at, value)])
    (stat,) = figures.stats(Metric.BATCH_SECONDS, "enrich_live", NOON, at, timedelta(minutes=1))
    assert (stat.count, stat.total, stat.most) == (2, 4.0, 3.0)
