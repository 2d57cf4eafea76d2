"""All that differs in an account, one line each with its own age: what a published line counts."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import typer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.items import LINE
from lakehouse.records.codes import EXPLAINED_DIFFERENCES

LISTED = (
    *LINE, "kind", "explained", "name", "records", "amount", "event_time_utc", "age_days",
)  # fmt: skip
"""Columns of the file; `amount` is in smallest units, `age_days` counts from the event time."""

_EXPLAINED = [str(kind) for kind in EXPLAINED_DIFFERENCES]


def differing(items: DataFrame, run_at: datetime) -> DataFrame:
    """One row per item that differs: LISTED, as text and numbers, in the order of the lines."""
    age = F.unix_seconds(F.lit(run_at)) - F.unix_seconds("at")
    rows = items.where(F.col("kind").isNotNull()).select(
        *LINE,
        "kind",
        F.when(F.col("kind").isin(_EXPLAINED), "yes").otherwise("NO").alias("explained"),
        "name",
        F.col("cases").alias("records"),
        F.col("gap").alias("amount"),
        F.date_format("at", "yyyy-MM-dd'T'HH:mm:ss'Z'").alias("event_time_utc"),
        F.floor(age / 86_400).alias("age_days"),
    )
    return rows.orderBy(*LINE, "kind", "name").select(*LISTED)


def require_folder(file: Path) -> None:
    """Refuse a file whose folder is not there, before anything is counted."""
    if not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {file.parent}", param_hint="--list")


def write_list(rows: DataFrame, file: Path) -> int:
    """Write rows as CSV with a header, a partition at a time in memory; how many there were."""
    written = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(rows.columns)
        for row in rows.toLocalIterator():
            writer.writerow(row)
            written += 1
    return written
