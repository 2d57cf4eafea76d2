"""One writer per table: the second one gets a clear error, a lost lease stops its run."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from lakehouse.config import Config, LeaseSettings
from lakehouse.errors import LeaseHeldError, LeaseLostError
from lakehouse.lease import held_lease
from tests.conftest import LOCAL


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


@pytest.fixture(params=["file", "dynamodb"])
def leased(request: pytest.FixtureRequest, config: Config) -> Config:
    """The configuration with each kind of lease store."""
    if request.param == "file":
        return config
    request.getfixturevalue("aws")
    boto3.client("dynamodb", region_name=config.dynamodb.region).create_table(
        TableName="leases",
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return config.model_copy(
        update={
            "lease": LeaseSettings(store="dynamodb", location="leases", seconds=30),
            "dynamodb": config.dynamodb.model_copy(update={"endpoint_url": None}),
        }
    )


def test_the_second_writer_gets_a_clear_error(leased: Config) -> None:
    with (
        held_lease(leased, "consolidate"),
        pytest.raises(LeaseHeldError, match="consolidate is already running"),
        held_lease(leased, "consolidate"),
    ):
        pass


def test_a_job_that_holds_the_lease_of_another_is_named(leased: Config) -> None:
    with (
        held_lease(leased, "consolidate", holder="maintain"),
        pytest.raises(LeaseHeldError, match=r"already running \(maintain, process \d+ on "),
        held_lease(leased, "consolidate"),
    ):
        pass


def test_each_holder_has_a_greater_token(leased: Config) -> None:
    with held_lease(leased, "consolidate") as first:
        first.check()
    with held_lease(leased, "consolidate") as second:
        second.check()
    assert second.token > first.token


def test_other_jobs_are_not_hindered(leased: Config) -> None:
    with held_lease(leased, "consolidate"), held_lease(leased, "build_batch") as other:
        other.check()


def test_a_run_that_lost_its_lease_must_not_commit(config: Config) -> None:
    with held_lease(config, "consolidate") as lease:
        Path(config.lease.location, "consolidate.lease").write_text("99 somebody else")
        with pytest.raises(LeaseLostError, match="consolidate lost its lease"):
            lease.check()


# a file lock cannot expire: the kernel frees it, see the kill test
@pytest.mark.parametrize("leased", ["dynamodb"], indirect=True)
def test_an_expired_lease_passes_on_and_its_old_holder_learns_it(leased: Config) -> None:
    table = boto3.resource("dynamodb", region_name=leased.dynamodb.region).Table("leases")
    with held_lease(leased, "consolidate") as first:
        table.update_item(
            Key={"name": "consolidate"},
            UpdateExpression="SET expires_at = :past",
            ExpressionAttributeValues={":past": 1},
        )
        with held_lease(leased, "consolidate") as second:
            second.check()
            with pytest.raises(LeaseLostError):
                first.check()


def test_a_killed_process_frees_its_lease(config: Config) -> None:
    holder = (
        "import sys; from lakehouse.config import Config; from lakehouse.lease import held_lease\n"
        f"with held_lease(Config.load({str(LOCAL)!r}), 'consolidate'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    with pytest.raises(LeaseHeldError), held_lease(config, "consolidate"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with held_lease(config, "consolidate") as lease:
        lease.check()
