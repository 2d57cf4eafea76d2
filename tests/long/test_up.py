"""`lakehouse up` as an operator runs it: to the first item, Ctrl-C, and on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.config import Config
from lakehouse.delta import path_of
from lakehouse.errors import ServiceError
from lakehouse.lease import held_lease
from lakehouse.local import services
from lakehouse.serving import lookup
from lakehouse.tables import (
    BRONZE_TRANSACTIONS,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_QUARANTINE_LIVE,
    Table,
)
from tests.cli.processes import LAKEHOUSE
from tests.conftest import LOCAL, ROOT, SHORT_LIFE, in_folder, on_free_ports, override
from tests.silver.live_records import a_payment, an_id
from tests.topics import TestTopic

TIMEOUT_SECONDS = 180
STREAMS = ("ingest_transactions", "ingest_fraud_scores", "enrich_live")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, object]:
    """An empty lake on services that nobody has started."""
    return {**in_folder(tmp_path), **on_free_ports()}


@pytest.fixture
def config(settings: Mapping[str, object], monkeypatch: pytest.MonkeyPatch) -> Config:
    """The same for this process."""
    override(monkeypatch, settings)
    return Config.load(LOCAL)


@contextmanager
def up(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have `lakehouse up` run; the environment has its settings."""
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [LAKEHOUSE, "up"], cwd=ROOT, env=os.environ | SHORT_LIFE,
            stdout=subprocess.DEVNULL, stderr=lines, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_until(process: subprocess.Popen[bytes], log: Path, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.5)


def is_readable(config: Config, name: str) -> Callable[[], bool]:
    """Whether the payment can be looked up."""

    def found() -> bool:
        try:
            return lookup(config.dynamodb, an_id(name)) is not None
        except ServiceError:
            return False  # not started yet, or without the table

    return found


def are_running(config: Config) -> Callable[[], bool]:
    return lambda: all(service.state == "running" for service in services.status(config))


def rows(spark: SparkSession, config: Config, table: Table) -> list[Any]:
    return spark.read.format("delta").load(path_of(config, table)).collect()


def test_up_streams_until_ctrl_c_and_goes_on_without_loss_or_double(
    config: Config, spark: SparkSession, tmp_path: Path
) -> None:
    log, topic = tmp_path / "up.log", TestTopic(config)
    broken = b"no JSON"
    for names in (("a", "b"), ("c", "d")):
        with up(log) as process:
            wait_until(process, log, are_running(config))
            payments = [a_payment(name)[1] for name in names]
            topic.send(*payments, payments[0], broken)
            wait_until(process, log, is_readable(config, names[1]))
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT_SECONDS) == 0, log.read_text()
        said = log.read_text()
        assert "Traceback" not in said and "Exception" not in said
        assert "since the start: 2 payment events decided" in said
        assert {service.state for service in services.status(config)} == {"stopped"}
        for stream in STREAMS:
            with held_lease(config, stream):
                pass
    landed = rows(spark, config, BRONZE_TRANSACTIONS)
    assert len(landed) == len({(row.partition, row.offset) for row in landed}) == 8
    decided = rows(spark, config, SILVER_LIVE_TRANSACTIONS)
    assert sorted(row.transaction_id for row in decided) == sorted(map(an_id, "abcd"))
    assert len(rows(spark, config, SILVER_QUARANTINE_LIVE)) == 2
