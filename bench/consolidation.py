"""Consolidation beside a bare MERGE of what it finds, beside what a newcomer writes, and delta-rs.

Deliveries lie in a file before the clock starts, and after each turn the table is put back. What is
timed of ours reduces them, finds the rows that exist, unites, derives and commits; the others are
handed the finished rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bench.by_delta_rs import MOST_GIB, seconds_of_merge
from bench.gold_table import PER_DAY, gold_rows, money, rules_of, write_gold
from bench.place import in_folder
from bench.timing import best_of, show
from gold.consolidate import fold_into_gold
from gold.consolidation import in_places
from lakehouse import delta
from lakehouse.config import Config
from lakehouse.context import Lakehouse
from lakehouse.job import started
from lakehouse.records.codes import MoneyEventType
from lakehouse.session import open_session
from lakehouse.tables import GOLD_TRANSACTIONS

MOST_OF_BARE = 1.5  # times a bare pruned MERGE of the finished rows
MOST_GROWTH = 1.3  # times as long, into a table ten times larger

_OURS, _BARE = "consolidation", "bare MERGE, pruned"
_NEWCOMER, _DELTA_RS = "bare MERGE by key alone, unpartitioned", "delta-rs, pruned"
_KEY = "t.transaction_id = s.transaction_id"
_PLACE = ("event_date", "region")


def merges(config: Config, rows: int, rounds: int) -> None:
    """Time settlements of some of the newest days, few and many, and undated chargebacks."""
    with _gold(config, "merges", range(rows // PER_DAY)) as gold:
        days = gold.days
        newest = range(days.stop - max(1, len(days) // 20), days.stop)
        half = range(days.stop - max(1, len(days) // 2), days.stop)
        for name, of, per_day in (("few", newest, PER_DAY // 5), ("many", half, PER_DAY)):
            settled = gold.settled(of, per_day, name)
            _beside_others(gold, settled, len(of), rounds)
        _by_date(gold, rounds)


def larger_table(config: Config, rows: int, rounds: int) -> None:
    """Time the same settlements into a table of a tenth of the days, and into all of them."""
    everything = range(rows // PER_DAY)
    recent = range(everything.stop - max(1, len(everything) // 10), everything.stop)
    newest = range(everything.stop - max(1, len(recent) // 8), everything.stop)
    with (
        _gold(config, "tenth", recent) as tenth,
        _gold(config, "whole", everything) as whole,
    ):
        tables = {"tenth": tenth, "whole": whole}
        works = {
            name: partial(gold.consolidate, gold.settled(newest, PER_DAY // 5, "few"))
            for name, gold in tables.items()
        }

        def put_both_back() -> None:
            for gold in tables.values():
                gold.put_back()

        # a round more: in the first one, code is compiled while the first table is timed
        few, many = best_of(works, rounds + 1, put_both_back).values()
    show(
        f"{len(newest) * PER_DAY // 5:,} changed rows in {len(newest)} days into a larger table",
        ("rows in the table", "seconds", "ratio", "at most"),
        [
            (f"{len(recent) * PER_DAY:,}", f"{few:.2f}", "", ""),
            (f"{len(everything) * PER_DAY:,}", f"{many:.2f}", f"{many / few:.2f}",
             str(MOST_GROWTH)),
        ],
    )  # fmt: skip


@dataclass(frozen=True)
class _Gold:
    """A Gold table that deliveries are folded into, and what it was before."""

    lake: Lakehouse
    days: range
    folder: Path
    version: int

    @property
    def spark(self) -> SparkSession:
        return self.lake.spark

    @property
    def path(self) -> str:
        return delta.path_of(self.lake.config, GOLD_TRANSACTIONS)

    def now(self) -> int:
        return delta.latest_version(self.spark, self.path)

    def consolidate(self, delivered: DataFrame) -> None:
        fold_into_gold(self.lake, delivered, rules_of(self.lake.config))

    def put_back(self) -> None:
        if self.now() != self.version:
            DeltaTable.forPath(self.spark, self.path).restoreToVersion(self.version)

    def settled(self, days: range, per_day: int, name: str) -> DataFrame:
        kind = MoneyEventType.SETTLED
        return self.stored(
            money(self.spark, self.lake.config, days, per_day, kind, dated=True), name
        )

    def stored(self, rows: DataFrame, name: str) -> DataFrame:
        path = str(self.folder / name)
        rows.write.mode("overwrite").parquet(path)
        return self.spark.read.parquet(path)


@contextmanager
def _gold(config: Config, name: str, days: range) -> Iterator[_Gold]:
    folder = Path(config.lake.root) / name
    own = in_folder(config, folder)
    spark = open_session(own, "bench")
    path = delta.path_of(own, GOLD_TRANSACTIONS)
    delta.create(spark, own, GOLD_TRANSACTIONS)
    write_gold(gold_rows(spark, own, days), path)
    with started(consolidate_by_hand, own, trigger="once") as run:
        yield _Gold(run.lake, days, folder, delta.latest_version(spark, path))
    shutil.rmtree(folder)


def consolidate_by_hand(_lake: Lakehouse) -> None:
    """The job whose lease is held meanwhile: the benchmark hands it its batches."""


def _beside_others(gold: _Gold, settled: DataFrame, days: int, rounds: int) -> None:
    changed = settled.count()
    gold.consolidate(settled)
    told = _told(gold, settled)
    finished = gold.stored(_changed_rows(gold, settled), "finished")
    gold.put_back()
    others = {
        _BARE: _merging(gold, gold.path, finished, pruned=True),
        _NEWCOMER: _merging(gold, _unpartitioned(gold), finished, pruned=False),
    }

    def put_all_back() -> None:
        gold.put_back()
        path = str(gold.folder / "unpartitioned")
        if delta.latest_version(gold.spark, path) > 0:
            DeltaTable.forPath(gold.spark, path).restoreToVersion(0)

    works = {_OURS: lambda: gold.consolidate(settled)} | others
    seconds = best_of(works, rounds, put_all_back)
    bare = seconds[_BARE]
    beside = {**seconds, _DELTA_RS: _by_delta_rs(gold, finished)}
    show(
        f"{changed:,} changed rows in {days} of {len(gold.days)} days, into "
        f"{len(gold.days) * PER_DAY:,} rows: {told}",
        ("what", "seconds", "ratio", "at most"),
        [
            (name, f"{took:.2f}", f"{took / bare:.2f}",
             str(MOST_OF_BARE) if name == _OURS else "")
            if took is not None
            else (name, f"out of {MOST_GIB} GiB", "", "")
            for name, took in beside.items()
        ],
    )  # fmt: skip
    for path in ("unpartitioned", "delta-rs"):
        shutil.rmtree(gold.folder / path)


def _by_date(gold: _Gold, rounds: int) -> None:
    days = range(gold.days.stop - len(gold.days) * 3 // 5, gold.days.stop)
    per_day = max(1, len(gold.days) * PER_DAY // 100 // len(days))
    config, kind = gold.lake.config, MoneyEventType.CHARGEBACK
    delivered = {
        name: gold.stored(money(gold.spark, config, days, per_day, kind, dated), f"dated-{dated}")
        for name, dated in (("with transaction_date", True), ("without", False))
    }
    works = {name: partial(gold.consolidate, rows) for name, rows in delivered.items()}
    seconds = best_of(works, rounds, gold.put_back)
    first = next(iter(seconds.values()))
    count = next(iter(delivered.values())).count()
    show(
        f"{count:,} chargebacks over {len(days)} days of {len(gold.days)}",
        ("chargebacks", "seconds", "ratio"),
        [(name, f"{took:.2f}", f"{took / first:.2f}") for name, took in seconds.items()],
    )


def _told(gold: _Gold, settled: DataFrame) -> str:
    """How many files were rewritten for each that holds changed rows; and that a replay does none.

    Raises:
        ValueError: a replay wrote a version.
    """
    written = gold.now()
    before = gold.lake.read(GOLD_TRANSACTIONS, gold.version)
    located = before.select("transaction_id", F.col("_metadata.file_path").alias("file"))
    holding = located.join(settled, "transaction_id", "left_semi").select("file")
    of_commit = DeltaTable.forPath(gold.spark, gold.path).history(1).first()
    assert of_commit is not None  # it was written
    rewritten = int(of_commit["operationMetrics"]["numTargetFilesRemoved"])
    gold.consolidate(settled)
    if gold.now() != written:
        raise ValueError(f"a replay wrote version {gold.now()}")
    return f"{rewritten / holding.distinct().count():.2f} files rewritten / files that hold some"


def _changed_rows(gold: _Gold, settled: DataFrame) -> DataFrame:
    return gold.lake.read(GOLD_TRANSACTIONS).join(settled, "transaction_id", "left_semi")


def _merging(gold: _Gold, path: str, finished: DataFrame, *, pruned: bool) -> Callable[[], None]:
    def merge() -> None:
        condition = F.expr(_KEY)
        if pruned:
            places = finished.select(*_PLACE).distinct().collect()
            condition = in_places({(one.event_date, one.region) for one in places}, "t.")
            for name in ("transaction_id", *_PLACE):
                condition = condition & (F.col(f"t.{name}") == F.col(f"s.{name}"))
        merging = (
            DeltaTable.forPath(gold.spark, path).alias("t").merge(finished.alias("s"), condition)
        )
        merging.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()

    return merge


def _unpartitioned(gold: _Gold) -> str:
    path = str(gold.folder / "unpartitioned")
    rows = gold.lake.read(GOLD_TRANSACTIONS, gold.version)
    rows.write.format("delta").option("delta.enableChangeDataFeed", "true").save(path)
    return path


def _by_delta_rs(gold: _Gold, finished: DataFrame) -> float | None:
    path = str(gold.folder / "delta-rs")
    rows = gold.lake.read(GOLD_TRANSACTIONS, gold.version)
    # without in-commit timestamps, which it does not write
    writer = rows.repartition(*_PLACE).write.format("delta").partitionBy(*_PLACE)
    writer.option("delta.enableChangeDataFeed", "true").save(path)
    places = finished.select(*_PLACE).distinct().collect()
    days = ", ".join(f"'{day}'" for day in sorted({one.event_date for one in places}))
    condition = f"t.event_date IN ({days}) AND {_KEY}" + "".join(
        f" AND t.{name} = s.{name}" for name in _PLACE
    )
    files = [file.removeprefix("file://") for file in finished.inputFiles()]
    return seconds_of_merge(path, condition, files)
