"""What is in quarantine, and which of it a correction has resolved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.cli.questions import existing_tables
from lakehouse.cli.rows import rows_of
from lakehouse.config import Config
from lakehouse.delta import path_of
from lakehouse.quality import resolved
from lakehouse.tables import (
    SILVER_CORRECTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_QUARANTINE_BATCH,
    SILVER_QUARANTINE_LIVE,
    Table,
)

_QUARANTINES = (SILVER_QUARANTINE_LIVE, SILVER_QUARANTINE_BATCH)


@dataclass(frozen=True)
class BrokenRule:
    """One rule that records of one table broke; a record that broke several counts for each."""

    source_table: str
    rule_id: str
    reason: str
    records: int
    open: int  # of them not resolved
    newest: date  # the last day on which one was delivered


@dataclass(frozen=True)
class QuarantinedRecord:
    """One record in quarantine."""

    coordinates: str
    source_table: str
    quarantine_date: date
    transaction_id: str | None
    rule_ids: list[str]
    reasons: list[str]
    resolved: bool
    payload: bytes | None


def broken_rules(spark: SparkSession, config: Config) -> list[BrokenRule]:
    """Every rule that was broken, by the table whose records broke it; most records first."""
    broken = _all(spark, config).select(
        "source_table",
        F.explode(F.arrays_zip("rule_ids", "reasons")).alias("rule"),
        "resolved",
        "quarantine_date",
    )
    counted = broken.groupBy("source_table", "rule.rule_ids", "rule.reasons").agg(
        F.count(F.lit(1)).alias("records"),
        F.count_if(~F.col("resolved")).alias("open"),
        F.max("quarantine_date").alias("newest"),
    )
    return [BrokenRule(*row) for row in rows_of(counted.orderBy(F.desc("records"), "rule_ids"))]


def quarantined_records(
    spark: SparkSession, config: Config, coordinates: str | None, rule: str | None, limit: int
) -> list[QuarantinedRecord]:
    """Records under these coordinates, or that broke this rule; oldest first, at most `limit`."""
    records = _all(spark, config)
    if coordinates is not None:
        records = records.where(F.col("coordinates") == coordinates)
    if rule is not None:
        records = records.where(F.array_contains("rule_ids", rule))
    shown = records.orderBy("quarantine_date", "coordinates").limit(limit)
    return [
        QuarantinedRecord(*row) for row in rows_of(shown.select(*QuarantinedRecord.__annotations__))
    ]


def _all(spark: SparkSession, config: Config) -> DataFrame:
    found = existing_tables(spark, config)

    def read(table: Table) -> DataFrame:
        if table not in found:
            return spark.createDataFrame([], table.schema)
        return spark.read.format("delta").load(path_of(config, table))

    records = reduce(DataFrame.unionByName, [read(table) for table in _QUARANTINES])
    taken = resolved(
        read(SILVER_CORRECTIONS), read(SILVER_LIVE_TRANSACTIONS), read(SILVER_FRAUD_SCORES)
    )
    marked = records.join(taken.withColumn("resolved", F.lit(True)), "coordinates", "left")
    return marked.fillna(False, ["resolved"])
