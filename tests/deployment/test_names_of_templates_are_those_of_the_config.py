"""What deploy/ names, conf/aws.yaml names alike: else the first day in an account tells of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pytest import param

from lakehouse.config import Config, FiguresInCloudWatch
from lakehouse.deployment.requests import deploy_settings
from tests.conftest import ROOT
from tests.deployment.policies import resolved, resources, template

CONFIG = Config.load(ROOT / "conf" / "aws.yaml")
DEPLOY = deploy_settings(CONFIG)


def _figures() -> FiguresInCloudWatch:
    to = CONFIG.metrics.to
    assert isinstance(to, FiguresInCloudWatch)
    return to


TEMPLATES = sorted(path.name for path in (ROOT / "deploy").glob("*.yaml"))


def _defaults(name: str) -> dict[str, Any]:
    parameters = template(name)["Parameters"].items()
    return {each: given["Default"] for each, given in parameters if "Default" in given}


def _named(name: str, kind: str, key: str) -> set[str]:
    found = resources(name, kind).values()
    return {resolved(each[key], _defaults(name)) for each in found if key in each}


def _secrets(value: Any) -> Iterator[str]:
    """Names in Secrets Manager, anywhere in a part of the config."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _secrets(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _secrets(each)
    elif isinstance(value, str) and value.startswith("secretsmanager:"):
        yield value.removeprefix("secretsmanager:").partition("#")[0]


@pytest.mark.parametrize(
    ("made", "configured"),
    [
        param(_named("storage.yaml", "AWS::Athena::WorkGroup", "Name"),
              {CONFIG.catalog.workgroup if CONFIG.catalog else ""}, id="workgroup"),
        param(_named("storage.yaml", "AWS::DynamoDB::Table", "TableName"),
              {CONFIG.dynamodb.table, CONFIG.lease.location, CONFIG.alerts.table},
              id="tables of DynamoDB"),
        param(_named("storage.yaml", "AWS::SecretsManager::Secret", "Name"),
              {*_secrets([CONFIG.cards.model_dump(), CONFIG.history.model_dump()])},
              id="secrets"),
        param(_named("topic.yaml", "AWS::SNS::Topic", "TopicName"),
              {DEPLOY.alerts_topic_arn.rpartition(":")[2],
               *(each.topic_arn.rpartition(":")[2] for each in CONFIG.alerts.channels
                 if each.channel == "sns")}, id="topic of alerts"),
        param({each["DatabaseInput"]["Name"]
               for each in resources("storage.yaml", "AWS::Glue::Database").values()},
              {f"{CONFIG.catalog.database_prefix if CONFIG.catalog else ''}{layer}"
               for layer in ("bronze", "silver", "gold")}, id="databases"),
        param(_named("compute.yaml", "AWS::Logs::LogGroup", "LogGroupName"), {DEPLOY.log_group},
              id="log group"),
        param(set(_defaults("roles.yaml")["Topics"].split(",")),
              {CONFIG.kafka.topics.transactions, CONFIG.kafka.topics.fraud_scores}, id="topics"),
        param({f"role/{_defaults('roles.yaml')['Prefix']}-"},
              {"role/" + DEPLOY.role_prefix.partition("role/")[2]}, id="roles"),
    ],
)  # fmt: skip
def test_what_a_template_makes_the_config_names(made: set[str], configured: set[str]) -> None:
    assert made == configured


def test_answers_of_athena_lie_where_the_workgroup_says() -> None:
    assert CONFIG.catalog and CONFIG.catalog.results is None


@pytest.mark.parametrize(
    ("parameter", "configured"),
    [
        ("IndexTable", CONFIG.dynamodb.table),
        ("LeaseTable", CONFIG.lease.location),
        ("AlertsTable", CONFIG.alerts.table),
        ("MetricNamespace", _figures().namespace),
    ],
)
def test_a_parameter_s_default_is_what_the_config_says(parameter: str, configured: str) -> None:
    given = {_defaults(name)[parameter] for name in TEMPLATES if parameter in _defaults(name)}
    assert given == {configured}


def test_the_alarm_of_the_heartbeat_listens_where_figures_are_sent() -> None:
    alarm = resources("watch.yaml", "AWS::CloudWatch::Alarm")["AlertsNotChecked"]
    found = resolved(alarm["Dimensions"], _defaults("watch.yaml"))
    dimensions = {each["Name"]: each["Value"] for each in found}
    assert dimensions == {**_figures().dimensions, "Subject": "alerts"}
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 300
