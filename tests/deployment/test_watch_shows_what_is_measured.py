"""deploy/watch.yaml: the dashboard's figures are ones that are sent, each alarm says what to do."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from lakehouse.config import Config, FiguresInCloudWatch
from lakehouse.metrics.points import Metric
from tests.conftest import ROOT
from tests.deployment.policies import resolved, resources, template

ALARMS = resources("watch.yaml", "AWS::CloudWatch::Alarm")
SEARCH = re.compile(
    r"SEARCH\('\{Lakehouse,(?P<dimensions>[\w,]+)\} MetricName=\"(?P<metric>\w+)\" "
    r"Environment=\"(?P<environment>\w+)\"', '(?P<statistic>[\w.]+)', 60\)"
)


def _values() -> dict[str, str]:
    parameters = template("watch.yaml")["Parameters"].items()
    given = {name: str(said.get("Default", f"the-{name}")) for name, said in parameters}
    arns = {f"{name}.Arn": f"arn:alarm:{name}" for name in ALARMS}
    return given | arns | {"AWS::Region": "eu-central-1"}


def _widgets() -> list[dict[str, Any]]:
    (dashboard,) = resources("watch.yaml", "AWS::CloudWatch::Dashboard").values()
    found: list[dict[str, Any]] = json.loads(resolved(dashboard["DashboardBody"], _values()))[
        "widgets"
    ]
    return found


def _searches() -> list[re.Match[str]]:
    texts = [
        metric[0]["expression"]
        for widget in _widgets()
        for metric in widget["properties"].get("metrics", ())
        if isinstance(metric[0], dict)
    ]
    found = [SEARCH.fullmatch(text) for text in texts]
    assert all(found), texts
    return [each for each in found if each]


def test_the_dashboard_asks_for_figures_that_there_are_where_they_are_sent() -> None:
    to = Config.load(ROOT / "conf" / "aws.yaml").metrics.to
    assert isinstance(to, FiguresInCloudWatch) and to.namespace == "Lakehouse"
    for each in _searches():
        Metric(each["metric"])
        # a search finds series of exactly these dimensions
        assert set(each["dimensions"].split(",")) == {*to.dimensions, "Subject"}
        assert each["environment"] == to.dimensions["Environment"]


@pytest.mark.parametrize(
    "metric",
    [Metric.FRESHNESS_SECONDS, Metric.CONSUMER_LAG, Metric.VERSIONS_BEHIND, Metric.UNSCORED,
     Metric.FRAUD_SCORE, Metric.SUSPICIOUS_SCORES, Metric.QUARANTINED, Metric.DUPLICATES,
     Metric.ITEMS_WRITTEN, Metric.ITEMS_THROTTLED, Metric.UNEXPLAINED_ROWS, Metric.DRIFTED_ITEMS,
     Metric.WAITING_MONEY, Metric.BATCHES_HELD, Metric.RUNS_FAILED],
)  # fmt: skip
def test_the_dashboard_shows_how_the_platform_does(metric: Metric) -> None:
    assert metric in {each["metric"] for each in _searches()}


def test_each_metric_that_alerts_are_judged_by_is_shown() -> None:
    rules = yaml.safe_load((ROOT / "conf" / "alerts.yaml").read_text())
    judged = {rule["metric"] for kind in ("thresholds", "spikes") for rule in rules[kind]}
    assert judged <= {each["metric"] for each in _searches()}


def test_no_two_widgets_lie_over_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for each in _widgets():
        place = {
            (x, y)
            for x in range(each["x"], each["x"] + each["width"])
            for y in range(each["y"], each["y"] + each["height"])
        }
        assert each["x"] + each["width"] <= 24 and not taken & place
        taken |= place


def test_the_dashboard_shows_each_alarm() -> None:
    (shown,) = [each["properties"]["alarms"] for each in _widgets() if each["type"] == "alarm"]
    assert set(shown) == {f"arn:alarm:{name}" for name in ALARMS}


def test_each_alarm_links_to_a_section_of_its_own_in_the_runbook() -> None:
    told = {name: resolved(each["AlarmDescription"], _values()) for name, each in ALARMS.items()}
    linked = {name: text.rpartition("; the-Runbook#")[2] for name, text in told.items()}
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    _, _, own = runbook.partition("# Alarms of CloudWatch's own")
    assert sorted(linked.values()) == sorted(re.findall(r"^## (\w+)$", own, flags=re.MULTILINE))
    for name, section in linked.items():
        assert section == re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def test_a_day_is_missed_when_its_jobs_are() -> None:
    alarm = ALARMS["DayNotFinished"]
    (rule,) = yaml.safe_load((ROOT / "conf" / "alerts.yaml").read_text())["not_started"]
    daily = {hours for hours in rule["hours"].values() if hours > 1}
    assert {alarm["EvaluationPeriods"] * alarm["Period"] / 3600} == daily
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]
    assert f"{alarm['EvaluationPeriods']} hours" in resolved(alarm["AlarmDescription"], _values())


@pytest.mark.parametrize("kind", ["streaming", "batch"])
def test_an_application_s_metrics_are_asked_for_by_the_name_that_it_gets(kind: str) -> None:
    made = resources("compute.yaml", "AWS::EMRServerless::Application").values()
    names = {resolved(each["Name"], {"Prefix": "lakehouse"}) for each in made}
    asked = [
        metric
        for widget in _widgets()
        for metric in widget["properties"].get("metrics", ())
        if metric[0] == "AWS/EMRServerless"
    ]
    assert f"lakehouse-{kind}" in names & {metric[-1] for metric in asked}
    found = resolved(ALARMS["StreamsDown"]["Dimensions"], _values())
    assert {each["Name"] for each in found} == set(asked[0][2::2])
