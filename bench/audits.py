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
from lakehouse.delta import commit_times, path_of
from lakehouse.job import execute, job_named
from lakehouse.local.generator import GeneratorSettings, generate, write_drops
from lakehouse.session import open_session
from lakehouse.tables import GOLD_TRANSACTIONS

AUDITED = 1_000
GENERATED = 1_050  # some are never decided, or refused
MOST_SECONDS_OF_AUDIT = 30
MOST_SECONDS_OF_EXPLAIN = 15

_LIVE = ("ingest_transactions", "ingest_fraud_scores", "enrich_live", "consolidate")
_BATCH = ("load_drops", "build_batch", "consolidate", "record_history", "sync_dynamodb")


def audits(config: Config) -> None:
    """Time questions about 1,000 transactions and about one, each as a process.

    Raises:
        ValueError: fewer than so many were decided, so that the figure would be of fewer.
    """
    world = generate(GeneratorSettings(transactions=GENERATED))
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
    if len(ids) < AUDITED:
        raise ValueError(f"{len(ids)} transactions were decided, {AUDITED} are wanted")
    commits = commit_times(spark, path)
    # before the drops, and now
    before, after = commits[1].isoformat(), max(commits.values()).isoformat()
    file = landing.parent / "ids.txt"
    file.write_text("\n".join(ids[:AUDITED]))
    of_all, limit = ("--ids", str(file)), ("--limit", str(AUDITED))
    asked = {
        f"as of a time, {AUDITED:,} transactions": ("audit", "as-of", before, *of_all, *limit),
        "what changed since, and why": ("audit", "diff", before, after, *of_all, *limit),
        "their decisions from evidence": ("audit", "decisions", *of_all, *limit),
        "one decision from what was known": ("audit", "decision", ids[0]),
        "explain one": ("explain", ids[0]),
    }  # fmt: skip
    limits = dict.fromkeys(asked, MOST_SECONDS_OF_AUDIT) | {"explain one": MOST_SECONDS_OF_EXPLAIN}
    show(
        f"questions over {len(world.transactions)} events",
        ("question", "seconds", "at most", "it is"),
        [_row(name, _seconds(*words), limits[name]) for name, words in asked.items()],
    )


def _row(name: str, seconds: float, most: float) -> tuple[str, str, str, str]:
    return name, f"{seconds:.1f}", f"{most:g}", "under" if seconds <= most else "OVER"


def _run(config: Config, *jobs: str) -> None:
    for job in jobs:
        execute(job_named(job), config, trigger="once")


def _seconds(*words: str) -> float:
    command = [str(Path(sys.executable).parent / "lakehouse"), *words, "--config", str(LOCAL)]
    begun = time.perf_counter()
    subprocess.run([*command, "--json"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun
