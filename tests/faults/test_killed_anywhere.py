"""Killed at any instant, delivered again in any order: in the end everything is there once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse import delta
from lakehouse.cli.generate import send
from lakehouse.config import Config
from lakehouse.local.generator import write_drops
from lakehouse.tables import (
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    GOLD_TRANSACTIONS,
    SILVER_LIVE_TRANSACTIONS,
)
from tests.conftest import LOCAL, ROOT, SHORT_LIFE
from tests.e2e.platform import Platform
from tests.faults.world import LIVE, SEEDS, a_lake, killed, problems_of
from tests.faulty_dynamodb import Fault, in_front_of

pytestmark = pytest.mark.timeout(900)

DAY_MS = 86_400_000


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"seed {seed}")
def platform(
    request: pytest.FixtureRequest,
    services: Config,
    spark: SparkSession,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Platform]:
    """Small micro-batches, so that there is a middle to be killed in."""
    folder = tmp_path_factory.mktemp("faults")
    small = {"KAFKA__MAX_RECORDS_PER_BATCH": 60}
    with a_lake(services, spark, folder, request.param, **small) as platform:
        yield platform


def test_jobs_killed_at_any_instant_complete_themselves(platform: Platform) -> None:
    rng = random.Random(platform.world.settings.seed)
    send(platform.config, platform.world)
    # records are read and on their way into files, and nothing is committed
    killed("ingest_transactions", "amid", BRONZE_TRANSACTIONS, rng.randint(1, 3))
    killed("ingest_transactions", "behind", BRONZE_TRANSACTIONS, rng.randint(1, 2))
    killed("ingest_fraud_scores", "behind", BRONZE_FRAUD_SCORES, 1)
    # the stream of Silver meets rows of whole commits; the next run brings the others
    killed("enrich_live", "amid", SILVER_LIVE_TRANSACTIONS, 1)
    killed("enrich_live", "behind", SILVER_LIVE_TRANSACTIONS, 1)
    platform.run("ingest_transactions", "ingest_fraud_scores")
    _killed_in_the_push(platform, rng.randint(2, 40))
    platform.run(*LIVE)
    write_drops(platform.world.drops, Path(platform.config.lake.landing))
    platform.run("load_drops", "build_batch", "consolidate", "sync_dynamodb")
    problems = problems_of(platform)
    assert not problems, "\n".join(problems[:40])


def test_a_moment_that_nobody_knows_is_not_taken_for_a_kill() -> None:
    words = [sys.executable, "-m", "tests.faults.dying_job", "enrich_live", "amidst",
             SILVER_LIVE_TRANSACTIONS.name, "1"]  # fmt: skip
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "before, amid, behind" in done.stderr


def _killed_in_the_push(platform: Platform, nth: int) -> None:
    """Kill enrich_live while its n-th item is on the way to DynamoDB, which takes it."""
    asked = 0
    process: subprocess.Popen[bytes] | None = None

    def fault(_transaction_id: str, _attempt: int) -> Fault:
        nonlocal asked
        asked += 1
        if asked >= nth and process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return Fault.REPLY_LOST
        return Fault.NONE

    with in_front_of(platform.config.dynamodb, fault) as (settings, _):
        address = {"LAKEHOUSE__DYNAMODB__ENDPOINT_URL": str(settings.endpoint_url)}
        command = [str(Path(sys.executable).parent / "lakehouse"), "run", "enrich_live",
                   "--config", str(LOCAL), "--trigger", "once"]  # fmt: skip
        with subprocess.Popen(
            command, cwd=ROOT, env=os.environ | SHORT_LIFE | address,
            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            _, said = process.communicate(timeout=280)
        assert process.returncode == -9, said[-2000:]


def test_ten_deliveries_of_everything_days_late_and_shuffled_change_nothing(
    platform: Platform,
) -> None:
    # what the test before this one brought, or all of it where this one runs alone
    if not Path(delta.path_of(platform.config, GOLD_TRANSACTIONS)).exists():
        send(platform.config, platform.world)
        write_drops(platform.world.drops, Path(platform.config.lake.landing))
        platform.run(*LIVE, "load_drops", "build_batch", "consolidate")
    before = sorted(map(str, platform.rows(GOLD_TRANSACTIONS)))
    rng = random.Random(platform.world.settings.seed)
    for copy in range(1, 10):
        late = [
            record._replace(timestamp_ms=record.timestamp_ms + copy * DAY_MS)
            for record in (*platform.world.transactions, *platform.world.scores)
        ]
        rng.shuffle(late)
        # in one list: the sender merges two topics by their time
        send(platform.config, replace(platform.world, transactions=late, scores=[]))
    kafka = platform.config.kafka.model_copy(update={"max_records_per_batch": 100_000})
    at_once = replace(platform, config=platform.config.model_copy(update={"kafka": kafka}))
    at_once.run(*LIVE, "consolidate")
    assert sorted(map(str, platform.rows(GOLD_TRANSACTIONS))) == before
    problems = problems_of(platform)
    assert not problems, "\n".join(problems[:40])
