"""deploy/roles.yaml, read as IAM reads it: who may read, write and delete what."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gold.maintain import MAINTAINED
from lakehouse.deployment.access import ACCESS, read_by, written_by
from lakehouse.deployment.roles import roles_template
from lakehouse.runs import FolderOfRuns, JobRun
from lakehouse.tables import TABLES
from tests.conftest import ROOT
from tests.deployment.policies import ACCOUNT, CLUSTER, REGION, Role, roles

ROLES = roles()
JOBS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "entry-points"
]["lakehouse.jobs"]
LAKE = "arn:aws:s3:::lake/lakehouse"
INDEX = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/payments-index"
LEASES = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/payments-leases"
(PASSWORD,) = set(
    re.findall(r"secretsmanager:(AmazonMSK_[\w-]+)#", (ROOT / "conf" / "aws.yaml").read_text())
)
"""The secret that holds user and password where Kafka is signed in to by them."""
ALL = frozenset({"audit", "maintain", "create_tables"})
"""Jobs that are for whichever table: what their modules import says nothing of it."""


def _folder(table: str) -> str:
    return f"{LAKE}/tables/{table.replace('.', '/')}"


def _objects(table: str) -> list[str]:
    return [f"{_folder(table)}/event_date=2026-03-09/part-1.parquet",
            f"{_folder(table)}/_delta_log/00000000000000000007.json"]  # fmt: skip


def test_the_file_is_what_the_declaration_makes() -> None:
    made = (ROOT / "deploy" / "roles.yaml").read_text()
    assert made == roles_template(), "run: lakehouse deploy roles > deploy/roles.yaml"


def test_each_job_has_one_role_and_each_role_a_job() -> None:
    assert set(ACCESS) == set(JOBS) == set(ROLES)


@pytest.mark.parametrize("job", sorted(set(JOBS) - ALL))
def test_what_is_declared_is_what_the_modules_of_the_job_import(job: str) -> None:
    imported = _tables_imported_by(JOBS[job].partition(":")[0])
    # a column list of another topic's table, of the same record
    imported -= {"bronze.transactions"} if job == "ingest_fraud_scores" else set()
    assert set(read_by(job)) == imported


def test_maintenance_takes_the_leases_of_the_writers_whose_tables_it_keeps() -> None:
    assert set(ACCESS["maintain"].leases) == set(MAINTAINED)


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("table", TABLES)
def test_a_role_reads_and_writes_the_tables_of_its_job_and_no_other(job: str, table: str) -> None:
    for place in _objects(table):
        assert ROLES[job].allows("s3:GetObject", place) == (table in read_by(job))
        assert ROLES[job].allows("s3:PutObject", place) == (table in written_by(job))


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("action", ["s3:DeleteObject", "s3:DeleteObjectVersion"])
def test_only_maintenance_deletes_what_lies_in_a_table_and_nobody_a_version(
    job: str, action: str
) -> None:
    deletes = [place for table in TABLES for place in _objects(table)
               if ROLES[job].allows(action, place)]  # fmt: skip
    may = job == "maintain" and action == "s3:DeleteObject"
    assert bool(deletes) == may


@pytest.mark.parametrize("job", JOBS)
def test_a_checkpoint_is_changed_by_its_own_job_alone(job: str) -> None:
    for other in JOBS:
        place = f"{LAKE}/checkpoints/{other}/offsets/7"
        own = job == other and ACCESS[job].has_checkpoint
        for action in ("s3:PutObject", "s3:DeleteObject"):
            assert ROLES[job].allows(action, place) == own
        may_read = own or other in ACCESS[job].positions_of
        assert ROLES[job].allows("s3:GetObject", place) == may_read


@pytest.mark.parametrize("job", JOBS)
def test_a_job_records_its_own_runs_and_those_of_no_other(job: str, tmp_path: Path) -> None:
    allowed = set()
    for other in JOBS:
        store = FolderOfRuns(tmp_path / other)
        store.put(JobRun(run_id="0f-1", job=other, started_at=datetime(2026, 3, 9, tzinfo=UTC)))
        (record,) = (tmp_path / other).rglob("*.json")
        key = record.relative_to(tmp_path / other).as_posix()
        if ROLES[job].allows("s3:PutObject", f"{LAKE}/operations/runs/{key}"):
            allowed.add(other)
    assert allowed == {job}


def test_a_prefix_is_listed_by_who_reads_it() -> None:
    role = ROLES["ingest_transactions"]
    assert role.allows(
        "s3:ListBucket",
        "arn:aws:s3:::lake",
        prefix="lakehouse/tables/bronze/transactions/_delta_log/",
    )
    assert not role.allows(
        "s3:ListBucket", "arn:aws:s3:::lake", prefix="lakehouse/tables/gold/transactions/"
    )
    assert not role.allows("s3:ListBucket", "arn:aws:s3:::lake")  # fmt: skip


@pytest.mark.parametrize("job", JOBS)
def test_secrets_heads_topics_and_the_index_are_for_those_that_need_them(job: str) -> None:
    role, needs = ROLES[job], ACCESS[job].needs
    assert role.allows("secretsmanager:GetSecretValue", "arn:secret:card") == ("card_key" in needs)
    history = "history_key" in needs
    assert role.allows("secretsmanager:GetSecretValue", "arn:secret:history") == history
    assert role.allows("kms:Decrypt", "arn:aws:kms:secrets") == (history or "card_key" in needs)
    head = "arn:aws:s3:::heads/history-heads/1.json"
    assert role.allows("s3:PutObject", head) == ("write_heads" in needs)
    assert role.allows("s3:GetObjectVersion", head) == ("read_heads" in needs)
    for forbidden in ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"):
        assert not role.allows(forbidden, head)
    assert role.allows("dynamodb:UpdateItem", INDEX) == ("index" in needs)
    assert role.allows("dynamodb:Scan", INDEX) == ("read_index" in needs)
    for forbidden in ("dynamodb:DeleteItem", "dynamodb:DeleteTable", "dynamodb:UpdateTable"):
        assert not role.allows(forbidden, INDEX)
    assert role.allows("kafka-cluster:Connect", CLUSTER) == ("kafka" in needs)
    assert not role.allows("kafka-cluster:WriteData", CLUSTER)
    login = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{PASSWORD}-x7kQ2p"
    assert role.allows("secretsmanager:GetSecretValue", login) == ("kafka" in needs)
    # whoever signs in by password can decrypt it, too
    assert not ("kafka" in needs and not role.allows("kms:Decrypt", "arn:aws:kms:secrets"))
    landed = "arn:aws:s3:::landing-bucket/landing/transactions/date=2026-03-09/part.csv"
    assert role.allows("s3:GetObject", landed) == ("landing" in needs)
    assert not role.allows("s3:DeleteObject", landed)


@pytest.mark.parametrize("name", ["transactions", "fraud-scores"])
def test_an_ingestion_reads_its_own_topic(name: str) -> None:
    topic = CLUSTER.replace(":cluster/", ":topic/") + f"/payments.{name}"
    group = CLUSTER.replace(":cluster/", ":group/") + "/spark-kafka-source-1"
    job = f"ingest_{name.replace('-', '_')}"
    assert [each for each in JOBS if ROLES[each].allows("kafka-cluster:ReadData", topic)] == [job]
    assert ROLES[job].allows("kafka-cluster:AlterGroup", group)


@pytest.mark.parametrize("job", JOBS)
def test_a_lease_is_taken_by_those_who_need_it(job: str) -> None:
    taken = {name for name in (*JOBS, "create-gold.transactions")
             if ROLES[job].allows("dynamodb:PutItem", LEASES, LeadingKeys=name)}  # fmt: skip
    creates = {"create-gold.transactions"} if job == "create_tables" else set()
    assert taken == {job, *ACCESS[job].leases} | creates


@pytest.mark.parametrize("job", JOBS)
def test_no_role_allows_a_whole_service_or_more_text_than_iam_takes(job: str) -> None:
    for statement in ROLES[job].statements:
        assert not any("*" in action for action in statement["Action"])
        if statement["Resource"] == "*":
            # these two know no resource
            assert statement["Action"] in (["cloudwatch:PutMetricData"], ["logs:DescribeLogGroups"])
    assert len(json.dumps(ROLES[job].statements)) < 10_240
    assert not ROLES[job].allows("cloudwatch:PutMetricData", "*", namespace="Other")


@pytest.mark.parametrize("job", JOBS)
def test_only_the_service_takes_a_role_and_for_this_account(job: str) -> None:
    (trust,) = ROLES[job].trusts
    assert trust["Principal"] == {"Service": "emr-serverless.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_the_evaluator_tells_wrong_roles_from_right_ones() -> None:
    wide = {"RoleName": "x", "AssumeRolePolicyDocument": {"Statement": []}, "Policies": [
        {"PolicyDocument": {"Statement": [
            {"Effect": "Allow", "Action": ["s3:*"], "Resource": [f"{LAKE}/*"]},
            {"Effect": "Deny", "Action": "s3:PutObject", "Resource": f"{LAKE}/tables/gold/*"},
        ]}}]}  # fmt: skip
    assert Role(wide).allows("s3:DeleteObject", f"{LAKE}/tables/bronze/x")
    assert not Role(wide).allows("s3:PutObject", f"{LAKE}/tables/gold/x")
    assert not Role(wide).allows("s3:GetObject", "arn:aws:s3:::other/x")


def _tables_imported_by(module: str, seen: set[str] | None = None) -> set[str]:
    seen = set() if seen is None else seen
    path = ROOT / f"{module.replace('.', '/')}.py"
    path = path if path.exists() else ROOT / module.replace(".", "/") / "__init__.py"
    if module in seen or not path.exists():
        return set()
    seen.add(module)
    found: set[str] = set()
    for node in ast.walk(ast.parse(Path(path).read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        if node.module == "lakehouse.tables":
            found |= {name for alias in node.names for name in _names_of(alias.name)}
        if re.match(r"(bronze|silver|gold)\b", node.module):
            inner = (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
            found |= {name for each in inner for name in _tables_imported_by(each, seen)}
    return found


def _names_of(variable: str) -> set[str]:
    if variable == "DROPS":
        return {name for name in TABLES if re.match(r"bronze\.drops_", name)}
    layer, _, rest = variable.lower().partition("_")
    return {f"{layer}.{rest}"} & set(TABLES)
