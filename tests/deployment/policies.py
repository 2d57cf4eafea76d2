"""A small evaluator of IAM: what the role of a job allows, by Action, Resource and Condition."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import yaml

from tests.conftest import ROOT

ACCOUNT, REGION = "111122223333", "eu-central-1"
CLUSTER = f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/payments/uuid-1"
VALUES = {
    "AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT,
    "Prefix": "lakehouse", "LakeBucket": "lake", "LandingBucket": "landing-bucket",
    "HeadsBucket": "heads", "ArtifactsBucket": "artifacts",
    "DataKeyArn": "arn:aws:kms:data", "SecretsKeyArn": "arn:aws:kms:secrets",
    "CardKeySecretArn": "arn:secret:card", "HistoryKeySecretArn": "arn:secret:history",
    "IndexTable": "payments-index", "LeaseTable": "payments-leases", "ClusterArn": CLUSTER,
    "Topics": ["payments.transactions", "payments.fraud-scores"], "MetricNamespace": "Lakehouse",
}  # fmt: skip


class Template(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions as their long ones."""


def _function(loader: Any, suffix: str, node: Any) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": value}


Template.add_multi_constructor("!", _function)


def template(name: str) -> Any:
    """A template of deploy/."""
    return yaml.load((ROOT / "deploy" / name).read_text(), Loader=Template)


def resources(name: str, kind: str) -> dict[str, Any]:
    """Properties of the resources of one type, by logical name."""
    found = template(name)["Resources"].items()
    return {key: each["Properties"] for key, each in found if each["Type"] == kind}


def resolved(value: Any, values: Mapping[str, Any] = VALUES) -> Any:
    """A value with CloudFormation's functions worked out."""
    match value:
        case {"Ref": name}:
            return values[name]
        case {"Fn::Sub": [text, own]}:
            return _filled(text, {**values, **{k: resolved(v, values) for k, v in own.items()}})
        case {"Fn::Sub": text}:
            return _filled(text, values)
        case {"Fn::Split": [by, text]}:
            return resolved(text, values).split(by)
        case {"Fn::Select": [place, of]}:
            return resolved(of, values)[place]
        case dict():
            return {key: resolved(each, values) for key, each in value.items()}
        case list():
            return [resolved(each, values) for each in value]
    return value


def _filled(text: str, values: Mapping[str, Any]) -> str:
    for name, value in values.items():
        text = text.replace("${" + name + "}", str(value))
    assert "${" not in text, text
    return text


class Role:
    """What one role allows; nothing that it does not say."""

    def __init__(self, properties: Mapping[str, Any], values: Mapping[str, Any] = VALUES) -> None:
        found = resolved(properties, values)
        self.name = found["RoleName"]
        self.statements = [s for p in found["Policies"] for s in p["PolicyDocument"]["Statement"]]
        self.trusts = found["AssumeRolePolicyDocument"]["Statement"]

    def allows(self, action: str, resource: str, **context: str) -> bool:
        """Whether an action on a resource is allowed; `context` are keys of conditions."""
        verdicts = {s["Effect"] for s in self.statements if _fits(s, action, resource, context)}
        return verdicts == {"Allow"}


def _fits(
    statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]
) -> bool:
    assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    return (
        any(fnmatchcase(action.lower(), each.lower()) for each in _listed(statement["Action"]))
        and any(fnmatchcase(resource, each) for each in _listed(statement["Resource"]))
        and all(
            _holds(operator, key, wanted, context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, key: str, wanted: Any, context: Mapping[str, str]) -> bool:
    value = context.get(key.partition(":")[2])
    patterns = _listed(wanted)
    match operator:
        case "StringEquals":
            return value in patterns
        case "ForAllValues:StringEquals":
            # IAM lets a request pass that names no key
            return value is None or value in patterns
        case "StringLike":
            return value is not None and any(fnmatchcase(value, each) for each in patterns)
    raise AssertionError(f"this evaluator does not know {operator}")


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def roles() -> dict[str, Role]:
    """Each job's role, by the job's name."""
    found = [Role(each) for each in resources("roles.yaml", "AWS::IAM::Role").values()]
    return {role.name.removeprefix("lakehouse-").replace("-", "_"): role for role in found}
