"""One Spark session for all tests of this process; a lakehouse of its own for each test."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from pyspark.sql import SparkSession

from lakehouse.config import Config, DynamoDbSettings
from lakehouse.context import Lakehouse, Trigger
from lakehouse.lease import held_lease
from lakehouse.local.services import running_services
from lakehouse.session import open_session

ROOT = Path(__file__).parent.parent
LOCAL = ROOT / "conf" / "local.yaml"
NOON = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The engine, as the local configuration sets it up."""
    session = open_session(Config.load(LOCAL), "tests")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """Kafka, DynamoDB Local and the scoring service, real and on free ports, for this whole run."""
    kafka, controller, dynamodb, scoring = free_ports(4)
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {
            "LAKE__ROOT": tmp_path_factory.mktemp("services"),
            "SERVICES__KAFKA__PORT": kafka,
            "SERVICES__KAFKA__CONTROLLER_PORT": controller,
            "SERVICES__DYNAMODB__PORT": dynamodb,
            "SERVICES__SCORING__PORT": scoring,
            "KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka}",
            "DYNAMODB__ENDPOINT_URL": f"http://127.0.0.1:{dynamodb}",
            "SCORING__URL": f"http://127.0.0.1:{scoring}/score",
        }.items():
            patch.setenv(f"LAKEHOUSE__{key}", str(value))
        config = Config.load(LOCAL)
        with running_services(config):
            yield config


@pytest.fixture
def dynamodb(services: Config) -> DynamoDbSettings:
    """A table of this test alone in the real DynamoDB Local."""
    return services.dynamodb.model_copy(update={"table": f"index-{uuid4().hex[:12]}"})


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The local configuration over an empty lake of this test alone."""
    for section, key, value in (
        ("LAKE", "ROOT", tmp_path / "lake"),
        ("LAKE", "LANDING", tmp_path / "landing"),
        ("LEASE", "LOCATION", tmp_path / "leases"),
        ("CARDS", "TOKEN_KEY", f"generated-file:{tmp_path / 'card-token.key'}"),
    ):
        monkeypatch.setenv(f"LAKEHOUSE__{section}__{key}", str(value))
    return Config.load(LOCAL)


@pytest.fixture
def lake_for(config: Config, spark: SparkSession) -> Iterator[Callable[[str], Lakehouse]]:
    """Open the lakehouse as the job of that name, with the clock at noon of 9 March 2026 UTC."""
    with ExitStack() as held:

        def opened(job: str) -> Lakehouse:
            lease = held.enter_context(held_lease(config, job))
            return Lakehouse(config, spark, job, Trigger("once", 1), lease, lambda: NOON)

        yield opened
