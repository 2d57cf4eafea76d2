"""Rules over runs name each job that is scheduled, and only faults that a job can end with."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.alerts.rules import AlertRules, load_alert_rules
from lakehouse.config import Config
from lakehouse.deployment.access import STREAMS
from lakehouse.deployment.machines import DAY
from lakehouse.deployment.requests import deploy_settings
from tests.conftest import ROOT

# commands and the services of a laptop: none of them is a run of a job
_NO_JOBS = ("lakehouse/cli/", "lakehouse/local/")


@pytest.fixture(scope="module")
def rules() -> AlertRules:
    return load_alert_rules(ROOT / "conf" / "alerts.yaml")


def test_each_scheduled_job_is_missed_where_it_does_not_start(rules: AlertRules) -> None:
    (rule,) = rules.not_started
    assert {*DAY, *STREAMS} == set(rule.hours)
    assert all(24 < rule.hours[job] < 48 for job in DAY)


def test_each_job_of_the_day_is_late_before_the_service_ends_it(rules: AlertRules) -> None:
    (rule,) = rules.late
    assert set(DAY) == set(rule.minutes)
    most = deploy_settings(Config.load(ROOT / "conf" / "aws.yaml")).batch_minutes
    assert all(minutes < most for minutes in rule.minutes.values())


def test_each_named_fault_is_one_that_a_job_can_end_with(rules: AlertRules) -> None:
    raised = {
        name
        for layer in ("lakehouse", "bronze", "silver", "gold")
        for source in (ROOT / layer).rglob("*.py")
        if not str(source.relative_to(ROOT)).startswith(_NO_JOBS)
        for name in _raised_in(source)
    }
    named = {error for rule in rules.failures for error in rule.errors}
    of_figures = {error for rule in rules.thresholds for error in rule.errors}
    assert named and of_figures
    named |= of_figures
    assert named - raised == set()


def _raised_in(source: Path) -> Iterator[str]:
    """Classes of faults that a module raises."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        raised = node.exc if isinstance(node, ast.Raise) else None
        made = raised.func if isinstance(raised, ast.Call) else raised
        if isinstance(made, ast.Name):
            yield made.id
