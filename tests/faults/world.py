"""A lake of one seed that faults are done to, and what must hold of it in the end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from pyspark.sql import SparkSession

from lakehouse.cli.counts import by_step
from lakehouse.cli.offsets import prove_offsets
from lakehouse.config import Config
from lakehouse.job import execute, job_named
from lakehouse.kafka import client_options
from lakehouse.local.generator import GeneratorSettings, generate, write_drops
from lakehouse.serving import lookup
from lakehouse.serving_item import MOST_BYTES, shortened
from lakehouse.tables import (
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    Table,
)
from tests.conftest import LOCAL, ROOT, SHORT_LIFE, addresses, in_folder, override
from tests.e2e.comparison import api_scores_of, decisions_of, differences
from tests.e2e.oracle import expected_items
from tests.e2e.platform import REFERENCE_KINDS, Platform

FIRST_SEED = int(os.environ.get("LAKEHOUSE_TEST_SEED", "1"))
SEEDS = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("LAKEHOUSE_FAULT_SEEDS", "1")))
LIVE = ("ingest_transactions", "ingest_fraud_scores", "enrich_live")

_FOREVER = 280


@contextmanager
def a_lake(
    services: Config, spark: SparkSession, folder: Path, seed: int, **settings: object
) -> Iterator[Platform]:
    """Real services, topics of its own, and a world of this seed; policies are in force."""
    print(f"replay with LAKEHOUSE_TEST_SEED={seed}")
    own = uuid4().hex[:8]
    topics = [f"payments-{own}", f"scores-{own}"]
    admin = AdminClient(client_options(services.kafka))
    for created in admin.create_topics([NewTopic(name, 2, 1) for name in topics]).values():
        created.result(30)
    with pytest.MonkeyPatch.context() as patch:
        own_settings = {
            **addresses(services),
            **in_folder(folder),
            "DYNAMODB__TABLE": f"faults-{own}",
            "KAFKA__TOPICS__TRANSACTIONS": topics[0],
            "KAFKA__TOPICS__FRAUD_SCORES": topics[1],
            **settings,
        }
        override(patch, own_settings)
        world = generate(GeneratorSettings(seed=seed, transactions=250))
        platform = Platform(Config.load(LOCAL), spark, world, world.sheets)
        landing = Path(platform.config.lake.landing)
        write_drops([d for d in world.drops if d.path.startswith(REFERENCE_KINDS)], landing)
        platform.run("load_drops", "build_batch")
        yield platform


def killed(job: str, moment: str, table: Table, nth: int, **settings: str) -> None:
    """Run a job that is killed at its n-th append to a table, or MERGE into it."""
    words = [sys.executable, "-m", "tests.faults.dying_job", job, moment, table.name, str(nth)]
    with subprocess.Popen(
        words, cwd=ROOT, env=os.environ | SHORT_LIFE | settings, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        _, said = process.communicate(timeout=_FOREVER)
    assert process.returncode == -9, f"{job} was not killed {moment} {table.name}: {said[-2000:]!r}"


def problems_of(platform: Platform) -> list[str]:
    """Whatever does not hold: offsets, events that are there twice, Gold, counts, items."""
    spark, config = platform.spark, platform.config
    proofs = prove_offsets(spark, config)
    found = [f"{proof.topic}/{proof.partition}: {proof}" for proof in proofs if not proof.holds]
    found += [f"{p.topic}/{p.partition}: {p.waiting} wait" for p in proofs if p.waiting]
    for table in (SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES):
        counts = Counter(row["identity"] for row in platform.rows(table, "identity"))
        found += [f"{table.name} has {i} {n} times" for i, n in counts.items() if n > 1]
    found += differences(platform, platform.sheets)
    found += [
        f"{step.step}: {step.unexplained} unexplained"
        for step in by_step(execute(job_named("reconcile"), config, only_report=True))
        if step.unexplained
    ]
    return found + _of_items(platform)


def _of_items(platform: Platform) -> list[str]:
    """Items of the Live Index that plain Python says otherwise: missing, or backwards."""
    wanted = expected_items(
        platform.world, decisions=decisions_of(platform), api_scores=api_scores_of(platform)
    )
    settings = platform.config.dynamodb
    expired_before = datetime.now(UTC) - timedelta(days=settings.retention_days)
    found = []
    for transaction_id, expected in wanted.items():
        if expected["timestamp"] < expired_before:
            continue
        item = lookup(settings, transaction_id)
        live: dict[str, Any] = (item or {}).get("live") or {}
        found += [
            f"{transaction_id}.{name} is {live.get(name)}, must be {value}"
            for name, value in expected.items()
            if _told(live.get(name)) != _told(_stored(name, value))
        ]
    return found


def _stored(name: str, value: Any) -> Any:
    """A text as an item has it: within its greatest length."""
    return shortened(name, value) if name in MOST_BYTES and value is not None else value


def _told(value: Any) -> Any:
    """A value, whichever kind of number or instant tells it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return float(value) if isinstance(value, Decimal | int | float) else value
