"""How delivered batches were judged, for people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.cli.rows import rows_of
from lakehouse.config import Config
from lakehouse.delta import exists, path_of
from lakehouse.quality.batches import Ledger, day_of
from lakehouse.records.codes import BatchVerdict, CheckVerdict
from lakehouse.tables import SILVER_QUALITY_BATCHES, SILVER_QUALITY_METRICS, Table


@dataclass(frozen=True)
class JudgedBatch:
    """The newest verdict on a batch."""

    batch: str
    content: str
    verdict: BatchVerdict
    files: list[str]  # those that it is about
    failed: list[str]
    reason: str | None
    recorded_at: datetime

    def cells(self) -> list[Any]:
        """As a row of a table."""
        failed = ", ".join(self.failed)
        return [self.batch, self.verdict, len(self.files), failed, self.reason, self.recorded_at]


@dataclass(frozen=True)
class JudgedCheck:
    """One check of a batch."""

    check_id: str
    severity: str
    measure: str
    value: float | None
    expected: str | None
    verdict: str
    reason: str | None
    engine: str

    def cells(self) -> list[Any]:
        """As a row of a table."""
        return [
            self.check_id, self.severity, self.measure, self.value, self.expected, self.verdict,
            self.reason,
        ]  # fmt: skip


def judged_batches(
    spark: SparkSession, config: Config, batch: str | None, only_held: bool
) -> list[JudgedBatch]:
    """Batches with their newest verdict, newest day of delivery first."""
    rows = _read(spark, config, SILVER_QUALITY_BATCHES)
    ledger = Ledger.of(rows if batch is None else rows.where(F.col("batch") == batch))
    # of one instant, a build publishes what other rules released
    order = list(BatchVerdict).index
    in_order = sorted(ledger.verdicts, key=lambda given: (given.recorded_at, order(given.verdict)))
    newest = {given.batch: given for given in in_order}
    waiting = ledger.waiting
    found = [
        JudgedBatch(
            given.batch, given.content, given.verdict, sorted(path for path, _ in given.files),
            list(given.failed), given.reason, given.recorded_at,
        )
        for given in newest.values()
        if not only_held or given.batch in waiting
    ]  # fmt: skip
    return sorted(found, key=lambda each: (day_of(each.batch), each.batch), reverse=True)


def checks_of(spark: SparkSession, config: Config, judged: JudgedBatch) -> list[JudgedCheck]:
    """Every check of the files that stood in a batch when it was judged last."""
    rows = _read(spark, config, SILVER_QUALITY_METRICS)
    own = rows.where((F.col("batch") == judged.batch) & (F.col("content") == judged.content))
    check = F.struct(*list(JudgedCheck.__annotations__))
    last = own.groupBy("check_id").agg(F.max_by(check, "recorded_at").alias("last"))
    return [JudgedCheck(*row) for row in rows_of(last.select("last.*").orderBy("check_id"))]


def skipped_checks(
    spark: SparkSession, config: Config, batches: Sequence[JudgedBatch]
) -> list[str]:
    """`BATCH CHECK` of everything that nobody could measure, as the batches are now."""
    rows = _read(spark, config, SILVER_QUALITY_METRICS)
    skipped = rows.where(
        F.concat_ws("@", "batch", "content").isin([f"{b.batch}@{b.content}" for b in batches])
        & (F.col("verdict") == CheckVerdict.SKIPPED.value)
    )
    found = skipped.select(F.concat_ws(" ", "batch", "check_id").alias("name")).distinct()
    return [row["name"] for row in found.orderBy("name").collect()]


def _read(spark: SparkSession, config: Config, table: Table) -> DataFrame:
    path = path_of(config, table)
    # to ask is no reason to create another job's table
    if not exists(spark, path):
        return spark.createDataFrame([], table.schema)
    return spark.read.format("delta").load(path)
