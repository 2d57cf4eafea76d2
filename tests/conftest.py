"""One Spark session for all tests of this process; a lakehouse of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.config import Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.lease import held_lease
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
def lake_for(
    config: Config, spark: SparkSession
) -> Iterator[Callable[[str], Lakehouse]]:
    """Open the lakehouse as the job of that name, with the clock at noon of 9 March 2026 UTC."""
    with ExitStack() as held:

        def opened(job: str) -> Lakehouse:
            lease = held.enter_context(held_lease(config, job))
            return Lakehouse(
                config, spark, job, Trigger("once", 1), lease, lambda: NOON
            )

        yield opened
