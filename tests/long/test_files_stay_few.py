"""A dozen small runs of consolidate with maintenance between them: no partition collects files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession

from gold.consolidate import consolidate
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
    SILVER_BATCH_TRANSACTIONS,
    Table,
)
from tests.gold.rows import append
from tests.long.test_consolidate_folds_silver_into_gold import a_batch_row

pytestmark = pytest.mark.timeout(900)

RUNS, EVERY, SMALL_FILES = 12, 4, 3
TABLES = (
    SILVER_BATCH_TRANSACTIONS, GOLD_TRANSACTIONS, GOLD_TRANSACTION_HISTORY, GOLD_HISTORY_CHAIN,
)  # fmt: skip


def test_files_stay_bounded_over_a_dozen_runs(config: Config, spark: SparkSession) -> None:
    few = config.maintenance.model_copy(update={"small_files": SMALL_FILES})
    own, most = config.model_copy(update={"maintenance": few}), Counter[str]()
    for run in range(1, RUNS + 1):
        with as_job(own, spark, "build_batch") as silver:
            # all of one day; and one that Gold has already: it is merged, the others are appended
            corrected = a_batch_row("corrected", revision=run, amount=str(run))
            append(silver, SILVER_BATCH_TRANSACTIONS, a_batch_row(f"t-{run}"), corrected)
        execute(consolidate, own, trigger="once")
        if run % (EVERY // 2) == 0:
            execute(record_history, own)
        if run % EVERY == 0:
            # what lay there before this run's maintenance, and not more than since the last one
            most |= Counter({table.name: crowd(spark, own, table) for table in TABLES})
            execute(maintain, own)
            left = {table.name: crowd(spark, own, table) for table in TABLES}
            assert max(left.values()) < SMALL_FILES, left
    print(f"most files in a partition, ever: {dict(most)}")
    # without maintenance there would be a dozen
    assert EVERY <= max(most.values()) < SMALL_FILES + 2 * EVERY
    gold = spark.read.format("delta").load(path_of(own, GOLD_TRANSACTIONS))
    amounts = {row.transaction_id: row.amount for row in gold.collect()}
    assert len(amounts) == RUNS + 1 and amounts["corrected"] == RUNS
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
