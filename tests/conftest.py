"""One Spark session for all tests of this process; a lakehouse of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pyspark.sql import SparkSession
from xdist.scheduler import LoadScopeScheduling

from lakehouse.cli.brief import BRIEF
from lakehouse.config import Config, DynamoDbSettings
from lakehouse.context import Lakehouse, Trigger
from lakehouse.dynamodb import client
from lakehouse.lease import held_lease
from lakehouse.local.ports import free_ports
from lakehouse.local.services import running_services
from lakehouse.session import open_session
from tests.topics import TestTopic

ROOT = Path(__file__).parent.parent
LOCAL = ROOT / "conf" / "local.yaml"
# what lives for seconds does without Java's optimising compiler, which takes a core meanwhile
SHORT_LIFE = {"SPARK_SUBMIT_OPTS": BRIEF}
NOON = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)


class _WeekAndFiles(LoadScopeScheduling):
    """Test processes take whole files; all on the generated week are one, and the first."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/e2e" if nodeid.startswith("tests/e2e/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _WeekAndFiles:
    """Tests share what their file set up, whichever process they run in."""
    return _WeekAndFiles(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the generated week: it takes longest."""
    items.sort(key=lambda item: "tests/e2e/" not in item.nodeid)  # stable


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The engine, as the local configuration sets it up."""
    session = open_session(Config.load(LOCAL), "tests")
    yield session
    session.stop()


@pytest.fixture(scope="module", autouse=True)
def _lakes_are_forgotten() -> Iterator[None]:
    """Delta remembers the newest version of each table, megabytes of plans, for an hour."""
    yield
    session = SparkSession.getActiveSession()
    if session is not None:
        jvm: Any = session._jvm
        jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """Kafka, DynamoDB Local and the scoring service, real and on free ports, for this whole run."""
    with pytest.MonkeyPatch.context() as patch:
        override(patch, {"LAKE__ROOT": tmp_path_factory.mktemp("services"), **on_free_ports()})
        config = Config.load(LOCAL)
    with running_services(config):
        yield config


def override(patch: pytest.MonkeyPatch, settings: Mapping[str, object]) -> None:
    """Set `LAKEHOUSE__SECTION__KEY` for each setting, until the patch ends."""
    for key, value in settings.items():
        patch.setenv(f"LAKEHOUSE__{key}", str(value))


def addresses(services: Config) -> dict[str, object]:
    """Settings that let another configuration, or another process, reach these services."""
    local = services.services
    assert local is not None
    return {
        "SERVICES__KAFKA__PORT": local.kafka.port,
        "SERVICES__KAFKA__CONTROLLER_PORT": local.kafka.controller_port,
        "SERVICES__DYNAMODB__PORT": local.dynamodb.port,
        "SERVICES__SCORING__PORT": local.scoring.port,
        "KAFKA__BOOTSTRAP_SERVERS": services.kafka.bootstrap_servers,
        "DYNAMODB__ENDPOINT_URL": services.dynamodb.endpoint_url,
        "SCORING__URL": services.scoring.url,
    }


def on_free_ports() -> dict[str, object]:
    """Settings of services that would listen where nobody does now."""
    kafka, controller, dynamodb, scoring = free_ports(4)
    return {
        "SERVICES__KAFKA__PORT": kafka,
        "SERVICES__KAFKA__CONTROLLER_PORT": controller,
        "SERVICES__DYNAMODB__PORT": dynamodb,
        "SERVICES__SCORING__PORT": scoring,
        "KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka}",
        "DYNAMODB__ENDPOINT_URL": f"http://127.0.0.1:{dynamodb}",
        "SCORING__URL": f"http://127.0.0.1:{scoring}/score",
    }


@pytest.fixture
def dynamodb(services: Config) -> Iterator[DynamoDbSettings]:
    """A table of this test alone in the real DynamoDB Local, gone with the test.

    Beside some forty left tables the service takes a minute to add an index to one.
    """
    settings = services.dynamodb.model_copy(update={"table": f"index-{uuid4().hex[:12]}"})
    yield settings
    store = client(settings, 3)
    with suppress(store.exceptions.ResourceNotFoundException):
        store.delete_table(TableName=settings.table)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The local configuration over an empty lake of this test alone."""
    override(monkeypatch, in_folder(tmp_path))
    return Config.load(LOCAL)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, services: Config) -> Config:
    """An empty lake on the real services, with a topic of payments of this test alone."""
    name = {"KAFKA__TOPICS__TRANSACTIONS": f"payments-{uuid4().hex[:8]}"}
    override(monkeypatch, {**in_folder(tmp_path), **addresses(services), **name})
    return Config.load(LOCAL)


@pytest.fixture
def topic(served: Config) -> TestTopic:
    """The topic of payments, empty."""
    topic = TestTopic(served)
    topic.create()
    return topic


def in_folder(folder: Path) -> dict[str, object]:
    """Settings that keep all of a lake in one folder."""
    return {
        "LAKE__ROOT": folder / "lake",
        "LAKE__LANDING": folder / "landing",
        "LEASE__LOCATION": folder / "leases",
        "CARDS__TOKEN_KEY": f"generated-file:{folder / 'card-token.key'}",
        "HISTORY__SIGNING_KEY": f"generated-file:{folder / 'history-signing.key'}",
        "HISTORY__HEADS__LOCATION": folder / "heads",
    }


@pytest.fixture
def lake_for(config: Config, spark: SparkSession) -> Iterator[Callable[[str], Lakehouse]]:
    """Open the lakehouse as the job of that name, with the clock at noon of 9 March 2026 UTC."""
    with ExitStack() as held:

        def opened(job: str) -> Lakehouse:
            lease = held.enter_context(held_lease(config, job))
            return Lakehouse(config, spark, job, Trigger("once", 1), lease, lambda: NOON)

        yield opened


@pytest.fixture(params=["at hand", "on the executors"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a micro-batch of few rows go the way of few, and then the way of many."""
    if request.param != "at hand":
        monkeypatch.setattr("lakehouse.frames.AT_HAND", 0)
