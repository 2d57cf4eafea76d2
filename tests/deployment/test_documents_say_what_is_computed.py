"""Figures in the documents are those that the scripts print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from bench import cost, scale
from lakehouse.config import Config
from lakehouse.deployment.machines import MAY_FAIL
from lakehouse.deployment.requests import deploy_settings
from lakehouse.tables import TABLES
from tests.conftest import ROOT
from tests.deployment.policies import template


@pytest.mark.parametrize(
    "document, table", [("deploy.md", cost.table()), ("scale.md", scale.table())]
)
def test_the_table_of_a_document_is_what_its_script_prints(document: str, table: str) -> None:
    assert table in (ROOT / "docs" / document).read_text(), "run: python -m bench.cost (or scale)"


def test_a_dearer_unit_and_more_transactions_cost_more() -> None:
    price = cost.prices()
    base = cost.monthly(1_000, price)
    dearer = cost.monthly(
        1_000, price | {"dynamodb_write_million": 2 * price["dynamodb_write_million"]}
    )
    assert dearer["DynamoDB requests"] > base["DynamoDB requests"]
    assert {part for part in base if dearer[part] != base[part]} == {"DynamoDB requests"}
    assert sum(cost.monthly(10_000, price).values()) > sum(base.values())


def test_writes_are_counted_by_hand_once() -> None:
    price = cost.prices() | {"dynamodb_write_million": 1.0, "dynamodb_read_million": 0.0}
    # 100/s for 730 hours are 262.8 million transactions, of four units each
    assert cost.monthly(100, price)["DynamoDB requests"] == pytest.approx(262.8 * 4)


@pytest.mark.parametrize("rate", cost.RATES)
def test_a_broker_s_disk_holds_a_week_and_the_documents_say_how_large_it_is(rate: int) -> None:
    # two messages of 700 bytes; each of three brokers has a copy of all
    kept = rate * 2 * 700 * 7 * 86_400 / 1e9
    size = cost.broker_gb(rate)
    assert kept <= 0.7 * size <= kept + 0.7 * 50
    # the largest that MSK gives a broker
    assert size <= 16_384
    told = f"| {rate:,} | `{cost.FLEETS[rate].broker}` | {size} |"
    assert told in (ROOT / "docs" / "deploy.md").read_text()
    scale_md = (ROOT / "docs" / "scale.md").read_text()
    assert f"{kept:,.0f}" in scale_md and f"{size}" in scale_md


def test_the_template_s_disk_and_brokers_are_of_the_same_rate() -> None:
    parameters = template("stream.yaml")["Parameters"]
    assert parameters["BrokerGb"]["Default"] == cost.broker_gb(1_000)
    assert parameters["BrokerType"]["Default"] == cost.FLEETS[1_000].broker


def test_each_broker_s_disk_has_an_alarm_below_full() -> None:
    alarm = template("watch.yaml")["Resources"]["BrokersFull"]["Properties"]
    seen = [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]
    brokers = {d["Value"] for each in seen for d in each["Dimensions"] if d["Name"] == "Broker ID"}
    cluster = template("stream.yaml")["Resources"]["Cluster"]["Properties"]
    assert brokers == {str(number + 1) for number in range(cluster["NumberOfBrokerNodes"])}
    names = [d["Value"] for each in seen for d in each["Dimensions"] if d["Name"] == "Cluster Name"]
    assert names == [cluster["ClusterName"]] * 3
    assert 70 < alarm["Threshold"] < 95


def test_memory_is_priced_as_the_config_asks_for_it() -> None:
    sizes = deploy_settings(Config.load(ROOT / "conf" / "aws.yaml")).sizes
    assert (sizes["streaming"].executor_gb, sizes["streaming"].executor_cores) == (14, 4)
    assert (sizes["batch"].executor_gb, sizes["batch"].executor_cores) == (24, 4)
    # with a tenth beside it, in whole GB: 16 and 27
    price = cost.prices() | {"emr_vcpu_hour": 0.0, "emr_gb_hour": 1.0}
    # at 100/s 24 cores of streams all the time, and 12 core hours of batches a day
    expected = 24 * 730 * 16 / 4 + 12 * 730 / 24 * 27 / 4
    assert cost.monthly(100, price)["EMR Serverless"] == pytest.approx(expected)


def test_each_endpoint_of_the_document_is_priced_in_each_zone() -> None:
    document = (ROOT / "docs" / "deploy.md").read_text()
    (told,) = re.findall(r"with endpoints for ([^.]+)\.", document)
    names = re.split(r", | and ", told.replace("\n", " "))
    assert names == [*cost.FREE_ENDPOINTS, *cost.ENDPOINTS]
    free = cost.prices() | {"nat_gateway_hour": 0.0, "small_machine_hour": 0.0, "kms_10000": 0.0}
    part = cost.monthly(100, free | {"endpoint_hour": 1.0})["network, keys, a machine"]
    assert part == pytest.approx(len(cost.ENDPOINTS) * 3 * 730)


def test_each_metric_that_an_alarm_looks_at_is_priced() -> None:
    alarms = [
        each["Properties"]
        for path in (ROOT / "deploy").glob("*.yaml")
        for each in template(path.name)["Resources"].values()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    ]
    looked_at = sum(
        sum("MetricStat" in metric for metric in alarm.get("Metrics", [{"MetricStat": {}}]))
        for alarm in alarms
    )
    assert looked_at == cost.Assumptions().alarm_metrics


def test_what_is_stored_is_counted_by_hand_once() -> None:
    price = cost.prices() | {"dynamodb_gb_month": 1.0, "dynamodb_pitr_gb_month": 0.0}
    # 100/s for 400 days: 544 and 95 bytes, and 100 more of each
    items = 100 * 86_400 * 400
    expected = items * (644 + 195) / 1e9
    assert cost.monthly(100, price)["DynamoDB storage"] == pytest.approx(expected)


def test_what_is_watched_costs_the_same_at_every_rate_and_by_what_is_asked() -> None:
    price = cost.prices()
    watched = {cost.monthly(rate, price)["CloudWatch"] for rate in cost.RATES}
    assert len(watched) == 1
    often = cost.Assumptions(round_seconds=30.0)
    # 43,800 rounds more, of 368 figures and ten lists
    more = 43_800 * 378 / 1000 * price["cloudwatch_1000_requests"]
    asked = cost.monthly(100, price, often)["CloudWatch"] - watched.pop()
    assert asked == pytest.approx(more)


def test_each_name_in_capitals_of_the_config_is_one_that_the_step_says_to_set() -> None:
    text = (ROOT / "conf" / "aws.yaml").read_text()
    values = " ".join(_texts(yaml.safe_load(text)))
    # a currency and a cipher are shorter
    placeholders = set(re.findall(r"\b(?:[A-Z]+(?:_[A-Z]+)+|[A-Z]{4,})\b", values))
    assert "BUCKET" in placeholders
    document = (ROOT / "docs" / "deploy.md").read_text()
    step = document[document.index("## 4.") : document.index("## 5.")]
    assert set(re.findall(r"`([A-Z][A-Z_]+)`", step)) == placeholders


def _texts(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for each in value.values():
                yield from _texts(each)
        case list():
            for each in value:
                yield from _texts(each)
        case str():
            yield value


def test_jobs_that_end_no_day_are_named_as_such() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text()
    (told,) = re.findall(r"ends at a failed job, but for ([^;.]*?), which\s+nothing", text)
    assert set(re.findall(r"`(\w+)`", told)) == set(MAY_FAIL)


def test_growth_is_told_of_each_table() -> None:
    assert {each.table for each in scale.MEASURED} <= set(TABLES)
    document = (ROOT / "docs" / "scale.md").read_text()
    rows = document[: document.index("## What is met first")]
    assert [name for name in TABLES if f"`{name}`" not in rows] == []


@pytest.mark.parametrize("name", ["docs/deploy.md", "docs/scale.md", "SECURITY.md"])
def test_each_file_and_template_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text()
    folder = (ROOT / name).parent
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert all((folder / link).exists() for link in links)
    for stack in re.findall(r"^put (\w+)", text, flags=re.MULTILINE):
        assert (ROOT / "deploy" / f"{stack}.yaml").is_file()
