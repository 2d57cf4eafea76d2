"""deploy/alerts.yaml, read as IAM reads it: who judges figures tells people, touches no table."""

from __future__ import annotations

import pytest

from lakehouse.tables import TABLES
from tests.deployment.policies import ACCOUNT, REGION, VALUES, Role, resources

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:payments-alerts"
SECRET = "arn:secret:pagerduty"
RUNS = "arn:aws:s3:::lake/lakehouse/operations/runs"
EPISODES = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/payments-alerts"
LEASES = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/payments-leases"


@pytest.fixture(scope="module")
def role() -> Role:
    values = VALUES | {
        "AlertsTable": "payments-alerts", "AlertsTopicArn": TOPIC, "PagerDutySecretArn": SECRET,
        "Service": "ecs-tasks.amazonaws.com",
    }  # fmt: skip
    (properties,) = resources("alerts.yaml", "AWS::IAM::Role").values()
    return Role(properties, values)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("dynamodb:Scan", EPISODES),
        ("dynamodb:PutItem", EPISODES),
        ("cloudwatch:ListMetrics", "*"),
        ("cloudwatch:GetMetricData", "*"),
        ("s3:GetObject", f"{RUNS}/date=2026-03-09/enrich_live-1.json"),
        ("sns:Publish", TOPIC),
        ("secretsmanager:GetSecretValue", SECRET),
        # what is encrypted by them: the table of episodes and runs in S3, and the routing key
        ("kms:Decrypt", "arn:aws:kms:data"),
        ("kms:Decrypt", "arn:aws:kms:secrets"),
        # a message to the encrypted topic
        ("kms:GenerateDataKey", "arn:aws:kms:data"),
    ],
)
def test_what_a_look_needs_is_allowed(role: Role, action: str, resource: str) -> None:
    assert role.allows(action, resource)


def test_it_lists_runs_and_nothing_else_of_the_lake(role: Role) -> None:
    def may_list(prefix: str) -> bool:
        return role.allows("s3:ListBucket", "arn:aws:s3:::lake", **{"prefix": prefix})

    assert may_list("lakehouse/operations/runs/date=2026-03-09/")
    assert not may_list("lakehouse/tables/")


def test_it_says_that_it_looked_and_says_so_in_its_own_namespace(role: Role) -> None:
    assert role.allows("cloudwatch:PutMetricData", "*", namespace="Lakehouse")
    assert not role.allows("cloudwatch:PutMetricData", "*", namespace="Other")


@pytest.mark.parametrize("action", ["GetItem", "PutItem", "UpdateItem"])
def test_it_takes_checks_and_renews_its_own_lease_and_no_job_s(role: Role, action: str) -> None:
    assert role.allows(f"dynamodb:{action}", LEASES, LeadingKeys="alerts")
    assert not role.allows(f"dynamodb:{action}", LEASES, LeadingKeys="consolidate")
    assert not role.allows(f"dynamodb:{action}", LEASES.replace("leases", "index"))


@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"])
def test_it_touches_no_table(role: Role, action: str) -> None:
    places = [f"arn:aws:s3:::lake/lakehouse/tables/{name.replace('.', '/')}/x" for name in TABLES]
    assert not [place for place in places if role.allows(action, place)]
