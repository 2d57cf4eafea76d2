"""How long an auditor waits over a lake of the demo's size: commands with their start-up."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bench.place import LOCAL, ROOT
from bench.timing import show
from lakehouse.cli.generate import send
from lakehouse.config import Config
from lakehouse.delta import latest_version, path_of
from lakehouse.job import execute, job_named
from lakehouse.local.generator import GeneratorSettings, generate, write_drops
from lakehouse.session import open_session
from lakehouse.tables import GOLD_TRANSACTIONS

AUDITED = 1_000
MOST_SECONDS_OF_AUDIT = 30
MOST_SECONDS_OF_EXPLAIN = 15

_LIVE = ("ingest_transactions", "ingest_fraud_scores", "enrich_live", "consolidate")
_BATCH = ("load_drops", "build_batch", "consolidate", "record_history", "sync_dynamodb")


def audits(config: Config) -> None:
    """Time questions about 1,000 transactions and about one, each as a process."""
    world = generate(GeneratorSettings(transactions=AUDITED))
    landing = Path(config.lake.landing)
    write_drops([drop for drop in world.drops if drop.path.startswith("policies")], landing)
    _run(config, "load_drops", "build_batch")
    send(config, world)
    _run(config, *_LIVE)
    write_drops(world.drops, landing)
    _run(config, *_BATCH)
    spark = open_session(config, "bench")
    path = path_of(config, GOLD_TRANSACTIONS)
    decided = "timestamp IS NOT NULL AND decision IS NOT NULL"
    gold = spark.read.format("delta").load(path).where(decided)
    ids = [row[0] for row in gold.select("transaction_id").orderBy("transaction_id").collect()]
    before, newest = 1, latest_version(spark, path)
    file = landing.parent / "ids.txt"
    file.write_text("\n".join(ids[:AUDITED]))
    of_all, limit = ("--ids", str(file)), ("--limit", str(AUDITED))
    as_of = f"as of a version, {len(ids[:AUDITED])} transactions"
    asked = {
        as_of: ("audit", "as-of", str(before), *of_all, *limit),
        "what changed since, and why": ("audit", "diff", str(before), str(newest), *of_all, *limit),
        "their decisions from evidence": ("audit", "decisions", *of_all, *limit),
        "one decision from what was known": ("audit", "decision", ids[0]),
        "explain one": ("explain", ids[0]),
    }  # fmt: skip
    floors = {"explain one": MOST_SECONDS_OF_EXPLAIN}
    rows = [
        (name, f"{_seconds(*words):.1f} s", f"at most {floors.get(name, MOST_SECONDS_OF_AUDIT)} s")
        for name, words in asked.items()
    ]
    show(f"questions over {len(world.transactions)} events", ("question", "took", "wanted"), rows)


def _run(config: Config, *jobs: str) -> None:
    for job in jobs:
        execute(job_named(job), config, trigger="once")


def _seconds(*words: str) -> float:
    command = [str(Path(sys.executable).parent / "lakehouse"), *words, "--config", str(LOCAL)]
    begun = time.perf_counter()
    subprocess.run([*command, "--json"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun
