"""A rule over a figure that nobody sends would be silent for ever."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lakehouse.alerts.rules import load_alert_rules
from lakehouse.config import Config
from lakehouse.metrics.points import Metric
from tests.conftest import LOCAL, ROOT

# these read figures, name them or keep them
_READERS = ("lakehouse/alerts/evaluating.py", "lakehouse/alerts/run_rules.py", "lakehouse/cli/",
            "lakehouse/metrics/points.py",
            "lakehouse/metrics/file_store.py", "lakehouse/metrics/cloudwatch.py")  # fmt: skip


def _named_in(source: Path) -> set[str]:
    """Members of `Metric` that a module names."""
    return {
        node.attr
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Metric"
    }


@pytest.fixture(scope="module")
def sent() -> set[Metric]:
    """Metrics that some producer makes points of."""
    names: set[str] = set()
    for layer in ("lakehouse", "bronze", "silver", "gold"):
        for source in (ROOT / layer).rglob("*.py"):
            if not str(source.relative_to(ROOT)).startswith(_READERS):
                names |= _named_in(source)
    return {Metric[name] for name in names}


def test_each_metric_of_a_rule_is_sent_by_somebody(sent: set[Metric]) -> None:
    rules = load_alert_rules(Config.load(LOCAL).rules.alerts)
    asked = {rule.metric for rule in rules.thresholds} | {rule.metric for rule in rules.spikes}
    asked |= {rule.share_of for rule in rules.thresholds if rule.share_of}
    asked |= {rule.share_of for rule in rules.spikes}
    asked |= {Metric.FRAUD_SCORE, Metric.SUSPICIOUS_SCORES, Metric.ALIVE}  # by the kind of rule
    assert asked - sent == set()


def test_no_metric_is_named_that_nobody_sends(sent: set[Metric]) -> None:
    assert set(Metric) - sent == set()
