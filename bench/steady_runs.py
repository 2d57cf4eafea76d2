"""A hundred small consolidations with maintenance between them: neither files nor seconds grow.

Each run brings new payments of the newest day and settlements of the days before. What is timed is
the run itself; maintenance is told beside it.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bench.consolidation import consolidate_by_hand
from bench.gold_table import gold_rows, live, money, rules_of, write_gold
from bench.timing import show
from gold.consolidate import fold_into_gold
from gold.maintain import maintain
from lakehouse import delta
from lakehouse.config import Config
from lakehouse.context import Lakehouse
from lakehouse.job import execute, started
from lakehouse.records.codes import MoneyEventType
from lakehouse.session import open_session
from lakehouse.tables import GOLD_TRANSACTIONS

EVERY = 10  # runs, between two maintenances
DAYS = 10  # in the table before the first run
PER_DAY = 5_000  # payments: what grows by runs, not by rows, shows in a small table
MOST_GROWTH = 1.3  # of the last ten runs beside the first ten
_SETTLED_DAYS = 5


def steady_runs(config: Config, runs: int) -> None:
    """Count files and seconds of the first and of the last ten runs."""
    spark = open_session(config, "bench")
    path = delta.path_of(config, GOLD_TRANSACTIONS)
    delta.create(spark, config, GOLD_TRANSACTIONS)
    write_gold(gold_rows(spark, config, range(DAYS), PER_DAY), path)
    rules = rules_of(config)
    files, seconds, upkeep = [], [], []
    with started(consolidate_by_hand, config, trigger="once") as run:
        delivered = _delivered(run.lake, runs)
        for number in range(runs):
            begun = time.perf_counter()
            fold_into_gold(run.lake, spark.read.parquet(f"{delivered}/run={number}"), rules)
            seconds.append(time.perf_counter() - begun)
            files.append(delta.live_files(spark, path).count())
            if (number + 1) % EVERY == 0:
                begun = time.perf_counter()
                execute(maintain, config)
                upkeep.append(time.perf_counter() - begun)
        added = delta.latest_version(spark, path)
        rows = run.lake.read(GOLD_TRANSACTIONS).count()
    first, last = slice(0, EVERY), slice(runs - EVERY, runs)
    show(
        f"{runs} runs of {_rows_of_a_run(runs):,} rows, maintenance behind each {EVERY}th: "
        f"{rows:,} rows and {added} versions in the end, {max(files)} files at most; maintenance "
        f"took {median(upkeep):.1f} s",
        ("median of", "files", "seconds", "ratio", "at most"),
        [
            (f"runs 1 to {EVERY}", f"{median(files[first]):.0f}",
             f"{median(seconds[first]):.2f}", "", ""),
            (f"runs {runs - EVERY + 1} to {runs}", f"{median(files[last]):.0f}",
             f"{median(seconds[last]):.2f}",
             f"{median(seconds[last]) / median(seconds[first]):.2f}", str(MOST_GROWTH)),
        ],
    )  # fmt: skip


def _rows_of_a_run(runs: int) -> int:
    # new payments, and as many settlements
    return 2 * PER_DAY // runs


def _delivered(lake: Lakehouse, runs: int) -> Path:
    """A folder of what each run brings: each payment, and each settlement, in one of them."""
    days = range(DAYS - _SETTLED_DAYS, DAYS)
    spark, config = lake.spark, lake.config
    new = live(spark, config, range(DAYS, DAYS + 1), PER_DAY)
    settled = money(
        spark, config, days, PER_DAY // _SETTLED_DAYS, MoneyEventType.SETTLED, dated=True
    )
    path = Path(config.lake.root) / "delivered"
    _by_run(new.unionByName(settled), runs).write.partitionBy("run").parquet(str(path))
    return path


def _by_run(rows: DataFrame, runs: int) -> DataFrame:
    return rows.withColumn("run", F.pmod(F.xxhash64("transaction_id"), F.lit(runs))).repartition(
        "run"
    )
