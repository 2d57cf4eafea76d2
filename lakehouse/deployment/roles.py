"""deploy/roles.yaml: one IAM role per job, no wider than `access` says.

No writer may delete under a table's folder. Delta needs no rename on S3 (its log store writes each
object whole, its tasks write data files in place), compaction removes nothing, and the expiry of
logs is left to `maintain` by a table property; VACUUM is `maintain`'s too. A checkpoint folder is
the job's own scratch: S3A renames there by copying and deleting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from lakehouse.deployment.access import ACCESS, Access, read_by, written_by
from lakehouse.tables import TABLES

Statement = dict[str, Any]

_PARAMETERS = {
    "Prefix": {"Type": "String", "Default": "lakehouse", "Description": "Begins the roles' names"},
    "LakeBucket": {"Type": "String", "Description": "Tables and checkpoints; storage.yaml"},
    "LandingBucket": {"Type": "String", "Description": "Delivered files; storage.yaml"},
    "HeadsBucket": {"Type": "String", "Description": "Signed heads, Object Lock; storage.yaml"},
    "ArtifactsBucket": {"Type": "String", "Description": "Code and jars; storage.yaml"},
    "DataKeyArn": {"Type": "String", "Description": "KMS key of all data; storage.yaml"},
    "SecretsKeyArn": {"Type": "String", "Description": "KMS key of the secrets; storage.yaml"},
    "CardKeySecretArn": {"Type": "String", "Description": "Keys card tokens; storage.yaml"},
    "HistoryKeySecretArn": {"Type": "String", "Description": "Signs heads; storage.yaml"},
    "IndexTable": {"Type": "String", "Default": "payments-index"},
    "LeaseTable": {"Type": "String", "Default": "payments-leases"},
    "ClusterArn": {"Type": "String", "Description": "MSK; stream.yaml"},
    "Topics": {
        "Type": "CommaDelimitedList",
        "Default": "payments.transactions,payments.fraud-scores",
        "Description": "The two topics, transactions first",
    },
    "MetricNamespace": {"Type": "String", "Default": "Lakehouse"},
}
_TOPIC_PLACE = {"ingest_transactions": 0, "ingest_fraud_scores": 1}
_LAKE = "arn:${AWS::Partition}:s3:::${LakeBucket}"
_HEADER = (
    "# Made by `lakehouse deploy roles`; change lakehouse/deployment/access.py, not this file.\n"
)


def roles_template() -> str:
    """The CloudFormation template, as YAML."""
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "One least-privilege role for each job of the lakehouse",
        "Parameters": _PARAMETERS,
        "Resources": {f"{_logical(job)}Role": _role(job) for job in ACCESS},
        "Outputs": {
            f"{_logical(job)}RoleArn": {"Value": {"Fn::GetAtt": [f"{_logical(job)}Role", "Arn"]}}
            for job in ACCESS
        },
    }
    return _HEADER + yaml.dump(template, sort_keys=False, width=100, Dumper=_WithoutAliases)


class _WithoutAliases(yaml.SafeDumper):
    """Writes a value each time in full: CloudFormation knows no anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the library names it
        return True


def _role(job: str) -> Mapping[str, Any]:
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": {"Fn::Sub": f"${{Prefix}}-{role_suffix(job)}"},
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": {"Service": "emr-serverless.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                    # no application of another account can have the service take this role
                    "Condition": {"StringEquals": {"aws:SourceAccount": _sub("${AWS::AccountId}")}},
                }],
            },
            "Policies": [{
                "PolicyName": "needs",
                "PolicyDocument": {"Version": "2012-10-17", "Statement": statements(job)},
            }],
        },
    }  # fmt: skip


def role_suffix(job: str) -> str:
    """The job's part of its role's name."""
    return job.replace("_", "-")


def statements(job: str) -> list[Statement]:
    """What the role of a job allows."""
    access = ACCESS[job]
    return [
        *_code(),
        *_tables(job, access),
        *_checkpoints(job, access),
        *_leases(job, access),
        *_services(job, access),
        # its own record of the run table, which it writes at its start and in its place at its end;
        # another's could say of a failed run that it went well
        _allow("OwnRuns", ["s3:PutObject"], [
            _sub(f"{_LAKE}/lakehouse/operations/runs/date=*/{job}-*.json")
        ]),
        _allow("Metrics", ["cloudwatch:PutMetricData"], "*", {
            "StringEquals": {"cloudwatch:namespace": {"Ref": "MetricNamespace"}}
        }),
        _allow("Logs", ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"], [
            _sub("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
                 ":log-group:/lakehouse/jobs:*")
        ]),
        _allow("LogGroups", ["logs:DescribeLogGroups"], "*"),
    ]  # fmt: skip


def _code() -> list[Statement]:
    code = "arn:${AWS::Partition}:s3:::${ArtifactsBucket}"
    return [
        _allow("Code", ["s3:GetObject"], [_sub(f"{code}/*")]),
        _allow("ListCode", ["s3:ListBucket"], [_sub(code)]),
        # all objects are encrypted by it: reading needs Decrypt, writing a data key
        _allow("Encryption", ["kms:Decrypt", "kms:GenerateDataKey"], [{"Ref": "DataKeyArn"}]),
    ]


def _tables(job: str, access: Access) -> list[Statement]:
    found = [_allow("ReadTables", ["s3:GetObject"], _folders(read_by(job)))]
    if written := written_by(job):
        writing = ["s3:PutObject", "s3:AbortMultipartUpload"]
        found.append(_allow("WriteTables", writing, _folders(written)))
    if access.maintains:
        found.append(_allow("DeleteFromTables", ["s3:DeleteObject"], _folders(TABLES)))
    reads_all = set(read_by(job)) == set(TABLES)
    listed = [f"lakehouse/tables/{_path(name)}" for name in read_by(job)]
    listed = ["lakehouse/tables"] if reads_all else listed
    for other in _positions(job, access):
        listed.append(f"lakehouse/checkpoints/{other}")
    # S3A asks with and without the slash, and whether a folder above is there
    prefixes = ["lakehouse", "lakehouse/", *(end for each in listed for end in (each, f"{each}/*"))]
    found.append(
        _allow(
            "ListTables", ["s3:ListBucket"], [_sub(_LAKE)], {"StringLike": {"s3:prefix": prefixes}}
        )
    )
    return found


def _positions(job: str, access: Access) -> list[str]:
    return [*access.positions_of, *([job] if access.has_checkpoint else [])]


def _checkpoints(job: str, access: Access) -> list[Statement]:
    found = []
    if access.has_checkpoint:
        actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        place = _sub(f"{_LAKE}/lakehouse/checkpoints/{job}/*")
        found.append(_allow("OwnCheckpoint", actions, [place]))
    if access.positions_of:
        places = [_sub(f"{_LAKE}/lakehouse/checkpoints/{one}/*") for one in access.positions_of]
        found.append(_allow("ReadPositions", ["s3:GetObject"], places))
    return found


def _leases(job: str, access: Access) -> list[Statement]:
    names = [job, *access.leases]
    if access.creates_tables:
        names += [f"create-{name}" for name in TABLES]
    return [_allow("Lease", ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], [
        _sub("arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${LeaseTable}")
    ], {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": names}})]  # fmt: skip


def _services(job: str, access: Access) -> list[Statement]:
    made: Mapping[str, Callable[[str], list[Statement]]] = {
        "kafka": _kafka,
        "landing": _landing,
        "card_key": lambda _: _secret("CardKey", "CardKeySecretArn"),
        "history_key": lambda _: _secret("HistoryKey", "HistoryKeySecretArn"),
        "write_heads": _write_heads,
        "read_heads": _read_heads,
        "index": _index,
        "read_index": _read_index,
    }
    return [each for need in sorted(access.needs) if need in made for each in made[need](job)]


def _kafka(job: str) -> list[Statement]:
    def part(kind: str, name: str) -> dict[str, Any]:
        # arn:...:cluster/NAME/UUID -> arn:...:topic/NAME/UUID/...
        pieces = {"Fn::Split": [":cluster/", {"Ref": "ClusterArn"}]}
        names: dict[str, Any] = {
            "Account": {"Fn::Select": [0, pieces]},
            "Cluster": {"Fn::Select": [1, pieces]},
        }
        if kind == "topic":
            names["Topic"] = {"Fn::Select": [_TOPIC_PLACE[job], {"Ref": "Topics"}]}
        return {"Fn::Sub": [f"${{Account}}:{kind}/${{Cluster}}/{name}", names]}

    return [
        _allow("Cluster", ["kafka-cluster:Connect"], [{"Ref": "ClusterArn"}]),
        _allow(
            "Topic", ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"],
            [part("topic", "${Topic}")],
        ),
        # Spark names a group of its own for each query, and commits nothing to it
        _allow(
            "Group", ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"],
            [part("group", "spark-kafka-*")],
        ),
        # there where conf/aws.yaml signs in by user and password; its key is that of all secrets
        _allow("KafkaPassword", ["secretsmanager:GetSecretValue"], [
            _sub("arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}"
                 ":secret:AmazonMSK_${Prefix}-*")
        ]),
    ]  # fmt: skip


def _landing(_: str) -> list[Statement]:
    bucket = "arn:${AWS::Partition}:s3:::${LandingBucket}"
    return [
        _allow("ReadLanding", ["s3:GetObject"], [_sub(f"{bucket}/landing/*")]),
        _allow("ListLanding", ["s3:ListBucket"], [_sub(bucket)], {
            "StringLike": {"s3:prefix": ["landing", "landing/*"]}
        }),
    ]  # fmt: skip


def _secret(name: str, parameter: str) -> list[Statement]:
    return [
        _allow(f"{name}Secret", ["secretsmanager:GetSecretValue"], [{"Ref": parameter}]),
        _allow(f"{name}Decrypt", ["kms:Decrypt"], [{"Ref": "SecretsKeyArn"}]),
    ]


def _write_heads(_: str) -> list[Statement]:
    place = _sub("arn:${AWS::Partition}:s3:::${HeadsBucket}/history-heads/*")
    return [_allow("WriteHeads", ["s3:PutObject", "s3:PutObjectRetention"], [place])]


def _read_heads(_: str) -> list[Statement]:
    bucket = "arn:${AWS::Partition}:s3:::${HeadsBucket}"
    return [
        _allow("ReadHeads", ["s3:GetObjectVersion"], [_sub(f"{bucket}/history-heads/*")]),
        _allow("ListHeads", ["s3:ListBucketVersions"], [_sub(bucket)]),
    ]


def _index(_: str) -> list[Statement]:
    table = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${IndexTable}"
    # new items are pushed by PartiQL, 25 at once, others by conditional updates; none is deleted
    actions = [
        "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:UpdateItem",
        "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate",
    ]  # fmt: skip
    return [_allow("Index", actions, [_sub(table)])]


def _read_index(_: str) -> list[Statement]:
    table = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${IndexTable}"
    actions = ["dynamodb:DescribeTable", "dynamodb:BatchGetItem", "dynamodb:Scan"]
    return [_allow("ReadIndex", actions, [_sub(table)])]


def _folders(names: Iterable[str]) -> list[dict[str, str]]:
    if set(names) == set(TABLES):
        # a role holds 10,240 characters
        return [_sub(f"{_LAKE}/lakehouse/tables/*")]
    return [_sub(f"{_LAKE}/lakehouse/tables/{_path(name)}/*") for name in names]


def _path(name: str) -> str:
    return name.replace(".", "/")


def _sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


def _allow(sid: str, actions: list[str], places: Any, condition: Any = None) -> Statement:
    found = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": places}
    return found | ({"Condition": condition} if condition else {})


def _logical(job: str) -> str:
    return "".join(word.capitalize() for word in job.split("_"))
