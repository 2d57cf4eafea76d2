"""Episodes and runs are kept: in files, and in DynamoDB and S3 (moto, over HTTP)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from lakehouse.alerts.episodes import Change, Episode, Event
from lakehouse.alerts.evaluating import Breach
from lakehouse.alerts.rules import Severity
from lakehouse.alerts.store import AlertStore, Record, store_of
from lakehouse.config import Config
from lakehouse.errors import AlertStoreError
from lakehouse.runs import JobRun, RunStore, run_store_of
from tests.conftest import NOON, override
from tests.deployment.policies import resources
from tests.s3_server import local_without_files, s3_server

REGION, BUCKET = "eu-central-1", "lake"
TEMPLATE = resources("storage.yaml", "AWS::DynamoDB::Table")["Alerts"]
TABLE = TEMPLATE["TableName"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with s3_server() as server:
        yield server


@pytest.fixture
def cloud(config: Config, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A lake whose episodes are in DynamoDB and whose runs are in S3, both empty."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
    override(monkeypatch, {
        "ALERTS__STORE": "dynamodb", "ALERTS__TABLE": TABLE, "DYNAMODB__ENDPOINT_URL": address,
        "DYNAMODB__REGION": REGION, "LAKE__ROOT": f"s3a://{BUCKET}/a/b",
    })  # fmt: skip
    dynamodb: Any = boto3.client("dynamodb", endpoint_url=address, region_name=REGION)
    if TABLE in dynamodb.list_tables()["TableNames"]:
        dynamodb.delete_table(TableName=TABLE)
    dynamodb.create_table(
        TableName=TABLE, BillingMode="PAY_PER_REQUEST",
        KeySchema=TEMPLATE["KeySchema"],
        AttributeDefinitions=TEMPLATE["AttributeDefinitions"],
    )  # fmt: skip
    s3: Any = boto3.resource("s3", region_name="us-east-1")
    s3.create_bucket(Bucket=BUCKET)
    s3.Bucket(BUCKET).objects.delete()
    file = tmp_path / "cloud.yaml"
    file.write_text(yaml.safe_dump(local_without_files(address)))
    return Config.load(file)


@pytest.fixture(params=["files", "cloud"])
def place(request: pytest.FixtureRequest) -> Config:
    """A lake in a folder, and one in the cloud."""
    found: Config = request.getfixturevalue("config" if request.param == "files" else "cloud")
    return found


@pytest.fixture
def store(place: Config) -> AlertStore:
    return store_of(place)


@pytest.fixture
def runs(place: Config) -> RunStore:
    return run_store_of(place)


def an_episode(subject: str, minute: int, detail: str = "40 s") -> Record:
    breach = Breach("freshness", Severity.CRITICAL, "late", subject, detail)
    return Record(episode=Episode.begun(breach, NOON + timedelta(minutes=minute)))


def resolved(record: Record) -> Record:
    news = {"resolved_at": NOON + timedelta(hours=1)}
    return record.model_copy(update={"episode": record.episode.model_copy(update=news)})


def test_an_episode_is_kept_with_its_unsent_messages_until_all_is_said(store: AlertStore) -> None:
    assert (store.unsettled(), store.newest(10)) == ([], [])
    late, later = an_episode("a", 0), an_episode("b", 5)
    opened = Change(event=Event.OPENED, episode=late.episode, is_told=True)
    unsent = late.after(opened, ["sns", "pagerduty"])
    store.put(later)
    store.put(unsent)
    assert store.unsettled() == [unsent, later]
    assert store.newest(1) == [later]
    over = resolved(unsent).sent("sns", opened)
    store.put(over)
    # resolved, but one channel has still to hear that it was ever opened
    assert store.unsettled() == [over, later]
    store.put(over.sent("pagerduty", opened))
    assert store.unsettled() == [later]
    assert [record.episode.subject for record in store.newest(10)] == ["b", "a"]


def test_more_episodes_than_a_page_of_dynamodb_holds_are_all_read(store: AlertStore) -> None:
    records = [an_episode(f"partition {n:02}", n, detail="x" * 90_000) for n in range(15)]
    for record in records:
        store.put(record)
    assert store.unsettled() == records


def test_only_what_is_settled_expires(cloud: Config, address: str) -> None:
    store, late, later = store_of(cloud), an_episode("a", 0), an_episode("b", 0)
    store.put(resolved(late))
    store.put(later)
    table: Any = boto3.resource("dynamodb", endpoint_url=address, region_name=REGION).Table(TABLE)
    expiries = {item["id"]: item.get("expires_at") for item in table.scan()["Items"]}
    over = int((NOON + timedelta(hours=1, days=400)).timestamp())
    assert TEMPLATE["TimeToLiveSpecification"]["AttributeName"] == "expires_at"
    assert expiries == {late.episode.id: over, later.episode.id: None}


def test_a_store_that_does_not_answer_is_one_clear_line(
    cloud: Config,
) -> None:
    alerts = cloud.alerts.model_copy(update={"table": "another-table"})
    with pytest.raises(AlertStoreError, match=r"another-table: ResourceNotFoundException.*creates"):
        store_of(cloud.model_copy(update={"alerts": alerts})).unsettled()


def test_a_run_stands_once_and_is_found_by_its_day(runs: RunStore) -> None:
    begun = JobRun(run_id="r1", job="consolidate", started_at=NOON - timedelta(days=1))
    ended = begun.model_copy(update={"ended_at": NOON, "outcome": "finished"})
    other = JobRun(run_id="r2", job="reconcile", started_at=NOON)
    earlier = JobRun(run_id="r3", job="reconcile", started_at=NOON - timedelta(days=2))
    for run in (earlier, begun, other, ended):
        runs.put(run)
    assert runs.since((NOON - timedelta(days=1)).date(), NOON.date()) == [other, ended]


def test_a_run_of_another_release_hides_no_other(config: Config) -> None:
    runs = run_store_of(config)
    run = JobRun(run_id="r1", job="reconcile", started_at=NOON)
    runs.put(run)
    day = Path(config.lake.operations) / "runs" / f"date={NOON:%Y-%m-%d}"
    (day / "reconcile-r0.json").write_text('{"run": "of another release"}')
    assert runs.since(NOON.date(), NOON.date()) == [run]
