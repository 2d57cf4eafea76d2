"""The Batch Index beside a plain copy of its file and beside DuckDB: what its build costs.

Loading into Bronze is done before, and so are the reference data and the scores of the day: what
is timed is `build_batch` over one delivered log, from raw lines to the partitioned table. The copy
reads the same CSV file and writes its columns to Delta, by day and region as the index is.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import yaml
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from bench.day_logs import SUNDAY, write_log, write_reference, write_scores
from bench.duck import answer_of_duckdb, answer_of_spark, index_by_duckdb
from bench.place import in_folder
from bench.timing import best_of, show
from lakehouse import delta
from lakehouse.config import Config
from lakehouse.decision import load_regions, region_of
from lakehouse.job import execute, job_named
from lakehouse.session import open_session
from lakehouse.tables import SILVER_BATCH_TRANSACTIONS, SILVER_OFFLINE_SCORES, Table
from silver.revisions import latest

MOST_OF_COPY = 3.0  # times a plain read and write of the same file
MOST_OF_GATES = 0.5  # of the build without gates
MOST_OF_DUCKDB = 4.0  # times DuckDB
MOST_OF_ONE_DAY = 1.3  # of the day alone, in an empty lake
MOST_HEAP_MIB = 2048

_DAYS = 30
_COPY, _DUCKDB, _BARE, _WHOLE = "copy of the file", "DuckDB", "build without gates", "build"


def batch_index(config: Config, sizes: Sequence[int], rounds: int) -> None:
    """Time the build of one log of each size, with and without gates; the last is the figure.

    Raises:
        ValueError: DuckDB and the build give different answers.
    """
    spark = open_session(config, "bench")
    found = {rows: _measured(config, spark, rows, rounds) for rows in sizes}
    rows, seconds = list(found.items())[-1]
    copy, bare, gates = seconds[_COPY], seconds[_BARE], seconds[_WHOLE] - seconds[_BARE]
    show(
        f"Batch Index of {rows:,} payments; heap {_heap_mib(spark):,} of {MOST_HEAP_MIB:,} MiB",
        ("what", "seconds", "payments/s", "ratio", "at most"),
        [
            (_COPY, f"{copy:.1f}", f"{rows / copy:,.0f}", "", ""),
            (_BARE, f"{bare:.1f}", f"{rows / bare:,.0f}", f"{bare / copy:.2f} of the copy",
             str(MOST_OF_COPY)),
            ("gates alone", f"{gates:.1f}", "", f"{gates / bare:.2f} of the build",
             str(MOST_OF_GATES)),
        ],
    )  # fmt: skip
    show(
        "Batch Index beside DuckDB, which refuses, records and revises nothing",
        ("payments", "DuckDB, seconds", "build, seconds", "ratio", "at most"),
        [
            (f"{rows:,}", f"{of[_DUCKDB]:.2f}", f"{of[_BARE]:.1f}",
             f"{of[_BARE] / of[_DUCKDB]:.2f}",
             str(MOST_OF_DUCKDB) if rows == 1_000_000 else "")
            for rows, of in found.items()
        ],
    )  # fmt: skip


def one_day_of_thirty(config: Config, rows: int, rounds: int) -> None:
    """Time a corrected log of one day with thirty days built, and alone in an empty lake."""
    spark = open_session(config, "bench")
    folder, per_day = Path(config.lake.root) / "one-day", rows // _DAYS
    month, days = _prepared(config, folder / "month"), range(-_DAYS // 2, _DAYS // 2)
    for offset in days:
        day = SUNDAY + timedelta(days=offset)
        write_log(spark, month.landing, day, per_day)
        write_scores(spark, month.landing, day, per_day)
    month.run("load_drops", "build_batch")
    seconds: dict[str, list[float]] = {}
    for number in range(1, rounds + 1):
        alone = _prepared(config, folder / f"alone-{number}")
        write_scores(spark, alone.landing, SUNDAY, per_day)
        alone.run("load_drops", "build_batch")
        for name, lake in (("alone in an empty lake", alone), ("one day of thirty", month)):
            write_log(spark, lake.landing, SUNDAY, per_day, correction=number)
            lake.run("load_drops")
            timed = best_of({name: partial(lake.run, "build_batch")}, 1)
            seconds.setdefault(name, []).append(timed[name])
        shutil.rmtree(alone.folder)
    shutil.rmtree(folder)
    best = {name: min(found) for name, found in seconds.items()}
    alone_seconds = best["alone in an empty lake"]
    show(
        f"build of a corrected day of {per_day:,} payments",
        ("where", "seconds", "ratio", "at most"),
        [
            (name, f"{found:.1f}", f"{found / alone_seconds:.2f}",
             str(MOST_OF_ONE_DAY) if name == "one day of thirty" else "")
            for name, found in best.items()
        ],
    )  # fmt: skip


@dataclass(frozen=True)
class _Lake:
    """A lake and a landing folder of its own."""

    config: Config
    folder: Path

    @property
    def landing(self) -> Path:
        return Path(self.config.lake.landing)

    def run(self, *jobs: str) -> None:
        for job in jobs:
            execute(job_named(job), self.config, trigger="once")

    def copied(self, name: str) -> _Lake:
        """The same as it is now, at another place: what runs here leaves this one as it is."""
        folder = self.folder.with_name(name)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder / "lake", folder / "lake")
        lake = in_folder(self.config, folder).lake
        return _Lake(self.config.model_copy(update={"lake": lake}), folder)

    def without_gates(self) -> _Lake:
        """The same under the rules of rows alone."""
        rules = self.folder / "rules"
        rules.mkdir(exist_ok=True)
        for file in Path(self.config.rules.quality).glob("*.yaml"):
            said = yaml.safe_load(file.read_text("utf-8"))
            rows = {key: said[key] for key in ("kind", "rows") if key in said}
            (rules / file.name).write_text(yaml.safe_dump(rows), "utf-8")
        files = self.config.rules.model_copy(update={"quality": rules})
        return _Lake(self.config.model_copy(update={"rules": files}), self.folder)

    def path_of(self, table: Table) -> Path:
        return Path(delta.path_of(self.config, table))


def _measured(config: Config, spark: SparkSession, rows: int, rounds: int) -> dict[str, float]:
    """Seconds of each: the least of so many rounds."""
    folder = Path(config.lake.root) / f"batch-{rows}"
    delivered = _prepared(config, folder / "delivered")
    write_scores(spark, delivered.landing, SUNDAY, rows)
    delivered.run("load_drops", "build_batch")
    log = write_log(spark, delivered.landing, SUNDAY, rows)
    delivered.run("load_drops")
    scores, parquet = delivered.path_of(SILVER_OFFLINE_SCORES), folder / "duckdb"
    regions, bare = config.rules.regions, delivered.without_gates()

    def copy() -> None:
        _copy(spark, log, region_of(F.col("country"), load_regions(regions)), folder / "copy")

    def by_duckdb() -> None:
        index_by_duckdb(delivered.landing, log, scores, regions, parquet)

    # a lake for each round: a build that has run has nothing to do a second time
    lakes = {
        name: iter([lake.copied(f"{name}-{turn}") for turn in range(rounds)])
        for name, lake in ((_BARE, bare), (_WHOLE, delivered))
    }
    works = {
        _COPY: copy,
        _DUCKDB: by_duckdb,
        _BARE: lambda: next(lakes[_BARE]).run("build_batch"),
        _WHOLE: lambda: next(lakes[_WHOLE]).run("build_batch"),
    }
    seconds = best_of(works, rounds)
    built = folder / f"{_WHOLE}-0"
    index = _standing(spark, in_folder(config, built))
    ours, theirs = answer_of_spark(index), answer_of_duckdb(parquet)
    if ours != theirs:
        raise ValueError(f"different answers are not worth comparing: {ours} and {theirs}")
    shutil.rmtree(folder)
    return seconds


def _prepared(config: Config, folder: Path) -> _Lake:
    """A lake in which policies and rates are delivered."""
    own = in_folder(config, folder)
    landing = folder / "landing"
    lake = own.lake.model_copy(update={"landing": str(landing)})
    write_reference(landing)
    return _Lake(own.model_copy(update={"lake": lake}), folder)


def _copy(spark: SparkSession, log: Path, region: Column, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    payments = spark.read.csv(str(log), header=True)
    (
        payments.withColumns({"event_date": F.to_date(F.substring("timestamp", 1, 10)),
                              "region": region})
        .write.format("delta").partitionBy(*SILVER_BATCH_TRANSACTIONS.partitioned_by).save(str(to))
    )  # fmt: skip


def _standing(spark: SparkSession, config: Config) -> DataFrame:
    path = delta.path_of(config, SILVER_BATCH_TRANSACTIONS)
    return latest(spark.read.format("delta").load(path)).where(~F.col("withdrawn"))


def _heap_mib(spark: SparkSession) -> int:
    """The most that this JVM may take for its heap."""
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    return int(jvm.java.lang.Runtime.getRuntime().maxMemory()) // 2**20
