"""A broker that dies, a model that talks nonsense, a store that throttles, broken records."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse import delta
from lakehouse.cli.counts import by_step
from lakehouse.cli.generate import send
from lakehouse.config import Config
from lakehouse.job import execute, job_named
from lakehouse.local import services as local_services
from lakehouse.local.generator import GeneratorSettings, generate_topics
from lakehouse.local.generator.feed import FeedRecord
from lakehouse.serving import lookup
from lakehouse.tables import (
    BRONZE_TRANSACTIONS,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_QUARANTINE_LIVE,
)
from tests.conftest import LOCAL, ROOT, SHORT_LIFE
from tests.e2e.platform import REFERENCE_KINDS, Platform
from tests.faults.world import LIVE, SEEDS, a_lake, problems_of
from tests.faulty_dynamodb import Fault, in_front_of
from tests.silver import inference_api

pytestmark = pytest.mark.timeout(900)

MUTATED = 100_000
SCORED_AT_MS = 1_773_043_200_000  # 2026-03-09T08:00:00Z, behind every generated payment
NONSENSE = (b"", b"<html>", b'{"scores": NaN}', b'{"model_version": "m", "scores": [1, null]}')


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"seed {seed}")
def platform(
    request: pytest.FixtureRequest,
    services: Config,
    spark: SparkSession,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Platform]:
    """A lake in which nothing but policies and rates has arrived yet."""
    with a_lake(services, spark, tmp_path_factory.mktemp("faults"), request.param) as platform:
        platform.world = replace(platform.world, transactions=[], scores=[])
        platform.sheets = [s for s in platform.sheets if s.kind in REFERENCE_KINDS]
        yield platform


def a_few(platform: Platform, name: str, count: int = 20) -> list[FeedRecord]:
    """New payments that no other test knows."""
    seed = hash_of(platform, name)
    records, _ = generate_topics(GeneratorSettings.tidy(seed=seed, transactions=count))
    return records


def hash_of(platform: Platform, name: str) -> int:
    """A seed for one purpose."""
    return random.Random(f"{platform.world.settings.seed}/{name}").randrange(2**31)


def ids_of(records: list[FeedRecord]) -> set[str]:
    return {json.loads(record.value)["transaction_id"] for record in records}


def test_a_broker_that_is_killed_mid_stream_and_comes_back_loses_nothing(
    platform: Platform, services: Config
) -> None:
    records = a_few(platform, "broker", 200)
    first, rest = records[:100], records[100:]
    command = [str(Path(sys.executable).parent / "lakehouse"), "run", "ingest_transactions",
               "--config", str(LOCAL), "--trigger", "continuous"]  # fmt: skip
    deliver(platform, first)
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | SHORT_LIFE, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            await_landed(platform, len(first))
            kill_broker(services)
            local_services.start(services)
            deliver(platform, rest)
            await_landed(platform, len(records))
            assert process.poll() is None, "the job ended with its broker"
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=60)
    assert_whole(platform)


def kill_broker(services: Config) -> None:
    def broker() -> local_services.ServiceStatus:
        return next(each for each in local_services.status(services) if each.name == "kafka")

    pid = broker().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    # it takes a moment to die, and who asks too early finds it running
    while broker().state != "stopped":
        time.sleep(0.05)


def assert_whole(platform: Platform) -> None:
    """Let every job run once more, and compare all there is with plain Python."""
    platform.run(*LIVE, "consolidate")
    problems = problems_of(platform)
    assert not problems, "\n".join(problems[:40])


def deliver(platform: Platform, records: list[FeedRecord]) -> None:
    """Send payments, of which the plain answer then knows."""
    send(platform.config, replace(platform.world, transactions=records, scores=[]))
    platform.world.transactions.extend(records)


def await_landed(platform: Platform, count: int) -> None:
    """Wait until Bronze has so many payments."""
    end = time.monotonic() + 120
    landed = -1
    while time.monotonic() < end:
        landed = platform.read(BRONZE_TRANSACTIONS).count() if is_there(platform) else 0
        if landed >= count:
            assert landed == count
            return
        time.sleep(1)
    raise AssertionError(f"{landed} of {count} records have landed")


def is_there(platform: Platform) -> bool:
    return delta.exists(platform.spark, delta.path_of(platform.config, BRONZE_TRANSACTIONS))


@pytest.mark.parametrize("kind", ["hanging", "refusing", "garbage"])
def test_a_model_that_fails_leaves_payments_unscored_and_a_later_score_finds_them(
    platform: Platform, kind: str
) -> None:
    records = a_few(platform, kind)
    deliver(platform, records)
    execute(job_named("ingest_transactions"), platform.config, trigger="once")
    rng = random.Random(hash_of(platform, kind))

    def answer(_: list[dict[str, Any]]) -> bytes:
        if kind == "hanging":
            time.sleep(3)
        return rng.choice(NONSENSE)

    with inference_api.running(answer, status=503 if kind == "refusing" else 200) as api:
        impatient = {
            "url": api.url, "read_timeout_seconds": 0.5, "connect_timeout_seconds": 0.5,
            "total_deadline_seconds": 2.0,
        }  # fmt: skip
        scoring = platform.config.scoring.model_copy(update=impatient)
        config = platform.config.model_copy(update={"scoring": scoring})
        execute(job_named("enrich_live"), config, trigger="once")
        assert api.asked
    decided = {
        row["transaction_id"]: (row["score_source"], row["fraud_score"])
        for row in platform.rows(
            SILVER_LIVE_TRANSACTIONS, "transaction_id", "score_source", "fraud_score"
        )
    }
    wanted = ids_of(records)
    assert {decided[payment] for payment in wanted} == {("NONE", None)}
    score = {
        "model_version": "m1", "fraud_score": 0.75, "explanations": {},
        "inference_time": "2026-03-09T08:00:00Z",
    }  # fmt: skip
    scores = [
        records[0]._replace(
            topic="payments.fraud-scores",
            timestamp_ms=SCORED_AT_MS + 1000,
            value=json.dumps(score | {"transaction_id": payment}).encode(),
        )
        for payment in sorted(wanted)
    ]
    send(platform.config, replace(platform.world, transactions=[], scores=scores))
    platform.world.scores.extend(scores)
    platform.run("ingest_fraud_scores", "enrich_live")
    items = [lookup(platform.config.dynamodb, payment) for payment in wanted]
    assert {item and float(item["live"]["fraud_score"]) for item in items} == {0.75}
    assert_whole(platform)


def test_a_store_that_throttles_and_loses_replies_has_every_item_in_the_end(
    platform: Platform,
) -> None:
    records = a_few(platform, "store")
    deliver(platform, records)
    platform.run("ingest_transactions")
    seed = hash_of(platform, "store faults")
    faults = [Fault.THROTTLED, Fault.REPLY_LOST, Fault.SERVER_ERROR, Fault.SLOWED_DOWN]

    def fault(transaction_id: str, attempt: int) -> Fault:
        # of the request alone: writers come in any order
        rng = random.Random(f"{seed}/{transaction_id}/{attempt}")
        return rng.choice([Fault.NONE, *faults]) if attempt < 2 else Fault.NONE

    with in_front_of(platform.config.dynamodb, fault) as (settings, faulty):
        config = platform.config.model_copy(update={"dynamodb": settings})
        execute(job_named("enrich_live"), config, trigger="once")
    assert {fault for _, fault in faulty.done} > {Fault.NONE, Fault.REPLY_LOST}
    items = [lookup(platform.config.dynamodb, payment) for payment in ids_of(records)]
    assert all(item and item["live"] for item in items)
    assert_whole(platform)


def test_a_hundred_thousand_mutated_records_are_each_in_silver_or_in_quarantine(
    platform: Platform,
) -> None:
    rng = random.Random(hash_of(platform, "mutations"))
    sound = a_few(platform, "mutated", 2_000)
    mutated = [
        record._replace(value=mutation(rng, record.value), timestamp_ms=record.timestamp_ms + n)
        for n, record in ((n, rng.choice(sound)) for n in range(MUTATED))
    ]
    send(platform.config, replace(platform.world, transactions=mutated, scores=[]))
    platform.run("ingest_transactions", "enrich_live", "consolidate")
    steps = by_step(execute(job_named("reconcile"), platform.config))
    assert {step.step: step.unexplained for step in steps if step.unexplained} == {}
    [live] = [step for step in steps if step.step.startswith("bronze.transactions")]
    assert live.delivered >= MUTATED
    assert live.quarantined > MUTATED / 10 and live.accepted > 0
    reasons = platform.read(SILVER_QUARANTINE_LIVE).selectExpr("explode(rule_ids) AS rule")
    assert reasons.distinct().count() > 10
    platform.world.transactions.extend(accepted_beside_the_world(platform))
    problems = problems_of(platform)
    assert not problems, "\n".join(problems[:40])


def accepted_beside_the_world(platform: Platform) -> list[FeedRecord]:
    """Accepted events that the plain answer does not know, as Silver has read them.

    What became of a broken record is for Silver to say; what follows from it, for plain Python.
    """
    known = {json.loads(record.value)["event_id"] for record in platform.world.transactions}
    sent = ("event_id", "transaction_id", "user_id", "currency", "country", "merchant_id",
            "payment_token", "transaction_status", "sequence")  # fmt: skip
    return [
        FeedRecord(
            topic="payments.transactions",
            key=row["transaction_id"].encode(),
            value=json.dumps(
                {name: row[name] for name in sent}
                | {
                    "amount": int(row["amount"]),
                    "timestamp": row["timestamp"].astimezone(UTC).isoformat(),
                }
            ).encode(),
            headers=(),
            timestamp_ms=0,
            fault=None,
        )
        for row in platform.rows(SILVER_LIVE_TRANSACTIONS, *sent, "amount", "timestamp")
        if row["event_id"] not in known
    ]


def mutation(rng: random.Random, value: bytes) -> bytes:
    """The record with one to three accidents."""
    data = bytearray(value)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) or 1)
        match rng.randrange(5):
            case 0 if data:
                data[at] = rng.randrange(256)
            case 1:
                del data[at:]
            case 2:
                del data[at : at + rng.randint(1, 9)]
            case 3:
                data[at:at] = rng.choice([b"\x00", b'"', b"{", b"9", b"-", b"\xff", b"null"])
            case _:
                start = rng.randrange(len(data) or 1)
                data[at:at] = data[start : start + rng.randint(1, 20)]
    return bytes(data)
