"""How full and how fresh each table is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, TimestampType

from lakehouse.cli.questions import existing_tables
from lakehouse.cli.rows import records_of
from lakehouse.config import Config
from lakehouse.delta import latest_version, path_of
from lakehouse.tables import Table

# which column of a table is the newest event's time, in the order they are looked for
_TIMES = ("timestamp", "inference_time", "known_from", "committed_at", "modified_at",
          "effective_date", "rate_date", "delivery_date", "quarantine_date")  # fmt: skip


@dataclass(frozen=True)
class TableStatus:
    """One table: its rows, the newest event time in it (UTC) and its version."""

    table: str
    rows: int
    newest: datetime | None
    version: int


def table_statuses(spark: SparkSession, config: Config) -> list[TableStatus]:
    """Count all tables in one Spark job."""
    tables = existing_tables(spark, config)
    if not tables:
        return []
    counts = [
        spark.read.format("delta")
        .load(path_of(config, table))
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.max(F.expr(_time_of(table))).cast("timestamp").alias("newest"),
        )
        .withColumn("table", F.lit(table.name))
        for table in tables
    ]
    counted = records_of(reduce(DataFrame.unionByName, counts))
    found = {row["table"]: row for row in counted}
    return [
        TableStatus(
            table.name,
            found[table.name]["rows"],
            found[table.name]["newest"],
            latest_version(spark, path_of(config, table)),
        )
        for table in tables
    ]


def _time_of(table: Table) -> str:
    timed = {f.name for f in table.schema if isinstance(f.dataType, TimestampType | DateType)}
    return next((name for name in _TIMES if name in timed), "NULL") if timed else "NULL"
