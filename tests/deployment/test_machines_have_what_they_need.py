"""deploy/admin.yaml and alerts.yaml: two machines that nobody reaches, and what they may."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import ROOT
from tests.deployment.policies import (
    ACCOUNT,
    CLUSTER,
    REGION,
    VALUES,
    Role,
    resolved,
    resources,
    template,
)

TOPIC = CLUSTER.replace(":cluster/", ":topic/")
OTHER = TOPIC + "/payments.other"
OURS = [f"{TOPIC}/payments.transactions", f"{TOPIC}/payments.fraud-scores"]
INDEX = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/payments-index"
GIVEN = VALUES | {
    "ProducersPolicyArn": "arn:policy", "Cluster": CLUSTER, "AlertsTopicArn": "arn:topic",
    "AlertsTable": "payments-alerts", "PagerDutySecretArn": "arn:secret",
}  # fmt: skip


def _admin() -> Role:
    (properties,) = resources("admin.yaml", "AWS::IAM::Role").values()
    assert properties["ManagedPolicyArns"] == [{"Ref": "ProducersPolicyArn"}]
    return Role(properties, GIVEN)


def _producer() -> Role:
    (policy,) = resources("stream.yaml", "AWS::IAM::ManagedPolicy").values()
    nobody: Any = {"RoleName": "producer", "AssumeRolePolicyDocument": {"Statement": []}}
    return Role({**nobody, "Policies": [{"PolicyDocument": policy["PolicyDocument"]}]}, GIVEN)


@pytest.mark.parametrize("topic", OURS)
def test_a_producer_writes_to_the_two_topics_and_reads_none(topic: str) -> None:
    role = _producer()
    assert role.allows("kafka-cluster:Connect", CLUSTER)
    assert role.allows("kafka-cluster:WriteDataIdempotently", CLUSTER)
    assert role.allows("kafka-cluster:WriteData", topic)
    assert role.allows("kafka-cluster:DescribeTopic", topic)
    for action in ("ReadData", "CreateTopic", "DeleteTopic", "AlterTopic"):
        assert not role.allows(f"kafka-cluster:{action}", topic)
    assert not role.allows("kafka-cluster:WriteData", OTHER)
    assert not role.allows("kafka-cluster:AlterCluster", CLUSTER)


def test_the_admin_makes_the_two_topics_and_looks_payments_up() -> None:
    role = _admin()
    assert all(role.allows("kafka-cluster:CreateTopic", topic) for topic in OURS)
    assert not role.allows("kafka-cluster:CreateTopic", OTHER)
    assert not any(role.allows("kafka-cluster:DeleteTopic", topic) for topic in OURS)
    assert role.allows("dynamodb:GetItem", INDEX)
    assert role.allows("dynamodb:Query", f"{INDEX}/index/by-user-and-time")
    for action in ("PutItem", "UpdateItem", "DeleteItem", "Scan"):
        assert not role.allows(f"dynamodb:{action}", INDEX)
    assert role.allows("s3:GetObject", "arn:aws:s3:::artifacts/lakehouse/environment.tar.gz")
    assert not role.allows("s3:GetObject", "arn:aws:s3:::lake/lakehouse/tables/gold/x")


@pytest.mark.parametrize("name", ["admin.yaml", "alerts.yaml"])
def test_a_machine_takes_its_role_and_nobody_reaches_it(name: str) -> None:
    (role,) = template(name)["Resources"].keys() & {"AdminRole", "AlertsRole"}
    (profile,) = resources(name, "AWS::IAM::InstanceProfile").values()
    assert profile["Roles"] == [{"Ref": role}]
    (properties,) = resources(name, "AWS::IAM::Role").values()
    (trust,) = properties["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "ec2.amazonaws.com"}
    groups = {**resources(name, "AWS::EC2::SecurityGroup"),
              **resources("stream.yaml", "AWS::EC2::SecurityGroup")}  # fmt: skip
    assert not any("SecurityGroupIngress" in each for each in groups.values())
    entered = resources("stream.yaml", "AWS::EC2::SecurityGroupIngress").values()
    assert {"Ref": "ProducersSecurityGroup"} not in [each["GroupId"] for each in entered]
    assert Role(properties, GIVEN).allows("ssmmessages:OpenDataChannel", "*")
    # the managed policy of sessions reads all parameters, secret ones too
    assert not Role(properties, GIVEN).allows("ssm:GetParameter", "*")


def test_producers_and_the_admin_reach_the_brokers_by_iam_s_port() -> None:
    rules = resources("stream.yaml", "AWS::EC2::SecurityGroupIngress")
    into = rules["BrokersFromProducers"]
    assert into["GroupId"] == {"Ref": "BrokersSecurityGroup"}
    assert into["SourceSecurityGroupId"] == {"Ref": "ProducersSecurityGroup"}
    assert (into["FromPort"], into["ToPort"]) == (9098, 9098)
    (machine,) = resources("admin.yaml", "AWS::EC2::Instance").values()
    assert machine["SecurityGroupIds"] == [{"Ref": "ProducersSecurityGroup"}]


def _script(name: str) -> str:
    if name == "admin.yaml":
        (machine,) = resources(name, "AWS::EC2::Instance").values()
    else:
        (group,) = resources(name, "AWS::EC2::LaunchTemplate").values()
        machine = group["LaunchTemplateData"]
    text: str = resolved(machine["UserData"]["Fn::Base64"], GIVEN)
    return text


@pytest.mark.parametrize("name", ["admin.yaml", "alerts.yaml"])
def test_a_machine_unpacks_what_the_package_is_called(name: str) -> None:
    packed = (ROOT / "requirements" / "package.py").read_text()
    assert 'target / "environment.tar.gz"' in packed
    assert "s3://artifacts/lakehouse/environment.tar.gz - | tar xz" in _script(name)
    assert f"AWS_DEFAULT_REGION={'%s' if name == 'admin.yaml' else REGION}" in _script(name)


def test_what_judges_alerts_is_started_again_whenever_it_ends() -> None:
    service = _script("alerts.yaml")
    (command,) = [line for line in service.splitlines() if line.startswith("ExecStart=")]
    # tests/deployment/test_deploy_md_can_be_followed.py knows its options
    assert command.endswith("alerts check --every 60 --config "
                            "/opt/lakehouse/share/lakehouse/conf/aws.yaml")  # fmt: skip
    assert "Restart=always" in service and "systemctl enable --now lakehouse-alerts" in service
    (group,) = resources("alerts.yaml", "AWS::AutoScaling::AutoScalingGroup").values()
    assert (group["MinSize"], group["MaxSize"]) == ("1", "1")
