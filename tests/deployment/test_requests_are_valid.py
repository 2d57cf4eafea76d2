"""`lakehouse deploy`: requests by boto3's own model, machines that reach each of their states."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.config import Config
from lakehouse.deployment.access import ACCESS, STREAMS
from lakehouse.deployment.machines import DAY, day_machine, streams_machine
from lakehouse.deployment.requests import BY_HAND, deploy_settings, job_requests
from lakehouse.job import job_named
from lakehouse.local.jars import read_lock
from lakehouse.session import TOLD_IN_ONE_LINE
from tests.conftest import LOCAL, ROOT
from tests.deployment.policies import template

AWS = ROOT / "conf" / "aws.yaml"
REQUESTS = job_requests(Config.load(AWS))
MACHINES = {"day": day_machine(Config.load(AWS)), "streams": streams_machine(Config.load(AWS))}


def _faults(service: str, operation: str, request: Mapping[str, Any]) -> str:
    model = botocore.session.get_session().get_service_model(service)
    shape = model.operation_model(operation).input_shape
    assert shape is not None
    report: str = ParamValidator().validate(request, shape).generate_report()
    return report


@pytest.mark.parametrize("job", REQUESTS)
def test_a_request_is_one_that_boto3_would_send(job: str) -> None:
    # whoever sends it makes the token: the model says that it must be there
    sent = REQUESTS[job] | {"clientToken": "made-by-boto3"}
    assert not _faults("emr-serverless", "StartJobRun", sent)
    assert "Unknown parameter" in _faults("emr-serverless", "StartJobRun", sent | {"nope": 1})


def test_every_job_has_a_request_but_those_that_a_person_runs() -> None:
    assert set(REQUESTS) == set(ACCESS) - BY_HAND


@pytest.mark.parametrize("job", REQUESTS)
def test_a_request_runs_its_job_by_its_role_with_what_lies_in_the_archive(job: str) -> None:
    request = REQUESTS[job]
    arguments = request["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    assert arguments[0] == request["name"] == job
    assert (ROOT / "conf" / arguments[2].rpartition("/")[2]).is_file()
    assert request["executionRoleArn"].endswith(f"role/lakehouse-{job.replace('_', '-')}")
    assert (request["mode"] == "STREAMING") == (job in STREAMS) == (arguments[4] == "continuous")


def test_settings_of_spark_survive_the_shell() -> None:
    words = shlex.split(
        REQUESTS["consolidate"]["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"]
    )
    settings = dict(each.split("=", 1) for each in words[1::2])
    assert set(words[::2]) == {"--conf"}
    assert settings["spark.hadoop.fs.s3a.directory.marker.retention"] == "keep"


def test_each_setting_of_spark_has_a_sentence_of_its_own() -> None:
    text = AWS.read_text()
    section = text[text.index("\n  spark:\n    #") :].splitlines()[2:]
    lines = [line.strip() for line in section if line.startswith("    ")]
    reasons = {
        line.split(": ")[0]: above for above, line in pairwise(lines) if not line.startswith("#")
    }
    assert set(reasons) == set(yaml.safe_load(text)["deploy"]["spark"])
    assert [name for name, above in reasons.items() if not above.startswith("# ")] == []
    assert len(set(reasons.values())) == len(reasons)


def test_the_locked_jars_are_the_ones_that_are_asked_for() -> None:
    settings = deploy_settings(Config.load(AWS))
    locked = {jar.path.name for jar in read_lock() if jar.use in ("spark", "msk")}
    assert set(settings.jars) == locked


def test_the_release_has_the_spark_and_the_delta_that_the_jars_are_of() -> None:
    compute = template("compute.yaml")
    has = compute["Metadata"]["Releases"][compute["Parameters"]["Release"]["Default"]]
    jars = deploy_settings(Config.load(AWS)).jars
    names = ("delta-spark_2.12", "delta-storage", "spark-sql-kafka-0-10_2.12")
    versions = {name: _version_of(name, jars) for name in names}
    assert versions["delta-spark_2.12"] == versions["delta-storage"] == has["Delta"]
    # of one line: what a patch of Spark changes, its connectors do not see
    line = versions["spark-sql-kafka-0-10_2.12"].rpartition(".")[0]
    assert line == has["Spark"].rpartition(".")[0]
    deequ = next(jar for jar in jars if jar.startswith("deequ-"))
    assert deequ.endswith(f"-spark-{line}.jar")
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"delta-spark=={has['Delta']}" in asked
    assert f"pyspark=={versions['spark-sql-kafka-0-10_2.12']}" in asked
    told = (ROOT / "docs" / "deploy.md").read_text()
    release = compute["Parameters"]["Release"]["Default"].removeprefix("emr-")
    assert all(f in told for f in (release, f"({has['Spark']})", f"({has['Delta']})"))


def _version_of(name: str, jars: tuple[str, ...]) -> str:
    (jar,) = [each for each in jars if each.startswith(f"{name}-")]
    return jar.removeprefix(f"{name}-").removesuffix(".jar")


@pytest.mark.parametrize("name", MACHINES)
def test_the_file_is_what_the_config_makes(name: str) -> None:
    made = json.loads((ROOT / "deploy" / f"{name}.asl.json").read_text())
    assert made == MACHINES[name], f"run: lakehouse deploy {name} --config conf/aws.yaml"


def test_the_day_is_in_order_and_knows_its_jobs() -> None:
    jobs = tomllib.loads((ROOT / "pyproject.toml").read_text())
    known = jobs["project"]["entry-points"]["lakehouse.jobs"]
    assert set(DAY) | set(STREAMS) <= set(known)
    walked, state = [], MACHINES["day"]["StartAt"]
    while state:
        walked.append(state)
        state = MACHINES["day"]["States"][state].get("Next")
    assert tuple(walked) == DAY


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_each_state_is_reached_and_leads_somewhere(machine: Mapping[str, Any]) -> None:
    for scope in _scopes(machine):
        states, reached, waiting = scope["States"], set(), [scope["StartAt"]]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += _targets(states[name])
        assert reached == set(states)
        for state in states.values():
            ends = state.get("End") or state["Type"] in ("Succeed", "Fail")
            assert ends or _targets(state)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_what_fails_is_tried_again_and_then_told(machine: Mapping[str, Any]) -> None:
    for scope in _scopes(machine):
        for name, state in scope["States"].items():
            if state["Type"] == "Task" and "sns:publish" not in state["Resource"]:
                assert state["Retry"] and state["Catch"][0]["ErrorEquals"] == ["States.ALL"], name
                told = scope["States"][state["Catch"][0]["Next"]]
                assert told["Resource"].endswith("sns:publish")


def test_a_day_ends_where_the_rest_would_build_on_a_failure() -> None:
    states = MACHINES["day"]["States"]
    after = {job: states[f"tell_{job}"].get("Next") for job in DAY}
    assert after["build_batch"] == "failed" and after["compare_paths"] == "consolidate"
    # nothing reads the account: a fault of it is told, and the store gets what Gold has
    assert after["reconcile"] == "sync_dynamodb"


def test_an_account_that_does_not_close_ends_no_day_and_is_tried_no_second_time() -> None:
    """It is told by its figure: failed, the run would be tried twice more, and end as before."""
    arguments = REQUESTS["reconcile"]["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    assert "--only-report" in arguments


def test_what_is_served_is_compared_behind_each_push_and_a_drift_ends_no_day() -> None:
    assert DAY[DAY.index("sync_dynamodb") + 1] == "compare_serving"
    # it is told by its figure: failed, the run would be tried again with another sample
    arguments = REQUESTS["compare_serving"]["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    assert "--only-report" in arguments and "--sample" in arguments
    assert MACHINES["day"]["States"]["tell_compare_serving"]["Next"] == "maintain"


@pytest.mark.parametrize("job", REQUESTS)
def test_a_job_knows_the_options_that_it_is_given(job: str) -> None:
    arguments = REQUESTS[job]["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    given = {each.removeprefix("--").replace("-", "_") for each in arguments if each[:2] == "--"}
    of_every_job = {"config", "trigger"}
    assert given - of_every_job <= set(inspect.signature(job_named(job)).parameters)


@pytest.mark.parametrize("job", REQUESTS)
def test_workers_write_no_stack_trace_either(job: str) -> None:
    (told,) = REQUESTS[job]["configurationOverrides"]["applicationConfiguration"]
    assert told["classification"] == "spark-executor-log4j2"
    properties = told["properties"]
    off = {
        value for name, value in properties.items()
        if name.endswith(".name") and properties[name.replace(".name", ".level")] == "off"
    }  # fmt: skip
    assert off == set(TOLD_IN_ONE_LINE)


def test_requests_of_machines_are_those_of_the_service_in_its_spelling() -> None:
    def lowered(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                k[0].lower() + k[1:]: v if k in ("Tags", "Properties") else lowered(v)
                for k, v in value.items()
            }
        if isinstance(value, list):
            return [lowered(each) for each in value]
        return value

    for job in DAY:
        assert lowered(MACHINES["day"]["States"][job]["Parameters"]) == REQUESTS[job]
    for branch in MACHINES["streams"]["States"]["streams"]["Branches"]:
        look = next(s for s in branch["States"].values() if "listJobRuns" in s.get("Resource", ""))
        assert not _faults("emr-serverless", "ListJobRuns", lowered(look["Parameters"]))


@pytest.mark.parametrize("job", REQUESTS)
def test_a_job_and_its_workers_are_told_their_region(job: str) -> None:
    asked = REQUESTS[job]["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"]
    for process in ("emr-serverless.driverEnv", "executorEnv"):
        assert f" --conf spark.{process}.AWS_DEFAULT_REGION=eu-central-1 " in asked


@pytest.mark.parametrize("name", MACHINES)
def test_a_definition_is_below_the_limit_of_the_service(name: str) -> None:
    assert len(json.dumps(MACHINES[name])) < 1_048_576


def test_the_command_prints_what_the_service_takes_and_names_what_it_does_not_know() -> None:
    printed = CliRunner().invoke(app, ["deploy", "jobs", "consolidate", "--config", str(AWS)])
    assert json.loads(printed.stdout) == REQUESTS["consolidate"]
    for words, told in (
        (["nope", "--config", str(AWS)], "nope"),
        (["--config", str(LOCAL)], "is null"),
    ):
        failed = CliRunner().invoke(app, ["deploy", "jobs", *words])
        assert failed.exit_code and told in str(failed.exception)


def test_names_of_templates_are_those_of_the_config_and_of_the_code() -> None:
    from lakehouse.serving import BY_USER
    from lakehouse.serving_item import EVENT_TIME, EXPIRY, KEY, USER

    config, storage = Config.load(AWS), template("storage.yaml")["Resources"]
    index, leases = storage["PaymentsIndex"]["Properties"], storage["Leases"]["Properties"]
    assert index["TableName"] == config.dynamodb.table
    assert leases["TableName"] == config.lease.location
    assert index["KeySchema"] == [{"AttributeName": KEY, "KeyType": "HASH"}]
    (by_user,) = index["GlobalSecondaryIndexes"]
    assert by_user["IndexName"] == BY_USER
    assert [each["AttributeName"] for each in by_user["KeySchema"]] == [USER, EVENT_TIME]
    kinds = {each["AttributeName"]: each["AttributeType"] for each in index["AttributeDefinitions"]}
    assert kinds == {KEY: "S", USER: "S", EVENT_TIME: "N"}
    assert index["TimeToLiveSpecification"] == {"AttributeName": EXPIRY, "Enabled": True}


def test_buckets_are_private_versioned_and_encrypted_and_speak_tls_only() -> None:
    found = template("storage.yaml")["Resources"]
    buckets = {k: v["Properties"] for k, v in found.items() if v["Type"] == "AWS::S3::Bucket"}
    assert len(buckets) == 4
    for name, bucket in buckets.items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        rule = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        policy = found[f"{name}Policy"]["Properties"]["PolicyDocument"]["Statement"]
        tls = {"Bool": {"aws:SecureTransport": "false"}}
        assert any(s["Effect"] == "Deny" and s.get("Condition") == tls for s in policy)
    rules = buckets["LakeBucket"]["LifecycleConfiguration"]["Rules"]
    expire = {
        rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule
    }
    assert expire == {"lakehouse/operations/runs/": 365}, "of tables only Delta knows what is live"
    lock = buckets["HeadsBucket"]["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert lock["Mode"] == "COMPLIANCE"
    keys = [v["Properties"] for v in found.values() if v["Type"] == "AWS::KMS::Key"]
    assert keys and all(key["EnableKeyRotation"] for key in keys)
    athena = found["Analysts"]["Properties"]["WorkGroupConfiguration"]
    assert athena["EnforceWorkGroupConfiguration"] and athena["BytesScannedCutoffPerQuery"]


def _scopes(machine: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield machine
    for state in machine["States"].values():
        for branch in state.get("Branches", ()):
            yield from _scopes(branch)


def _targets(state: Mapping[str, Any]) -> list[str]:
    choices = [*state.get("Choices", ()), *state.get("Catch", ()), state]
    found = [each["Next"] for each in choices if "Next" in each]
    return [*found, state["Default"]] if "Default" in state else found


def test_no_message_carries_more_than_the_name_of_a_fault() -> None:
    for text in re.findall(r'"Message.\$": "([^"]+)"', json.dumps(MACHINES)):
        assert text == "States.Format('{}: execution {}', $.fault.Error, $$.Execution.Id)"
