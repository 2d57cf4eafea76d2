"""A hundred small runs with maintenance between them: no partition collects files."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

import pytest
from pyspark.sql import SparkSession

from gold.maintain import maintain
from gold.prove_history import prove_history
from gold.record_history import record_history
from lakehouse.config import Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.delta import live_files, path_of
from lakehouse.job import execute
from lakehouse.lease import held_lease
from lakehouse.tables import (
    GOLD_HISTORY_CHAIN,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
    Table,
)
from tests.faults.world import FIRST_SEED
from tests.gold.rows import a_gold_row, append

pytestmark = pytest.mark.timeout(900)

RUNS, EVERY, SMALL_FILES = 100, 10, 4
TABLES = (GOLD_TRANSACTIONS, GOLD_TRANSACTION_HISTORY, GOLD_HISTORY_CHAIN)
DAYS = (date(2026, 3, 7), date(2026, 3, 8))


def test_files_stay_bounded_over_a_hundred_runs(config: Config, spark: SparkSession) -> None:
    few = config.maintenance.model_copy(update={"small_files": SMALL_FILES})
    own = config.model_copy(update={"maintenance": few})
    rng, most = random.Random(FIRST_SEED), Counter[str]()
    for run in range(1, RUNS + 1):
        with as_job(own, spark, "consolidate") as gold:
            append(gold, GOLD_TRANSACTIONS, a_gold_row(f"t-{run}", event_date=rng.choice(DAYS)))
        if run % (EVERY // 2) == 0:
            execute(record_history, own)
        if run % EVERY == 0:
            # what lay there before this run's maintenance, and not more than since the last one
            most |= Counter({table.name: crowd(spark, own, table) for table in TABLES})
            execute(maintain, own)
            left = {table.name: crowd(spark, own, table) for table in TABLES}
            assert max(left.values()) < SMALL_FILES, left
    print(f"most files in a partition, ever: {dict(most)}")
    # without maintenance there would be some fifty
    assert max(most.values()) < SMALL_FILES + EVERY
    with as_job(own, spark, "prove_history") as asked:
        assert prove_history(asked).breaks == []


def crowd(spark: SparkSession, config: Config, table: Table) -> int:
    """How many files the most crowded partition has."""
    files = live_files(spark, path_of(config, table)).select("partitionValues").collect()
    return max(Counter(str(sorted(row[0].items())) for row in files).values(), default=0)


@contextmanager
def as_job(config: Config, spark: SparkSession, job: str) -> Iterator[Lakehouse]:
    """The lakehouse as a job sees it, with its lease while the block runs."""
    with held_lease(config, job) as lease:
        yield Lakehouse(config, spark, job, Trigger("once", 1), lease, lambda: datetime.now(UTC))
