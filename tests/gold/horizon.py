"""What time does to a table: its old files go, and then its old log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lakehouse.context import Lakehouse
from lakehouse.delta import path_of
from lakehouse.tables import Table


def vacuumed(lake: Lakehouse, table: Table) -> None:
    """Delete all files but those of the newest version."""
    check = "spark.databricks.delta.retentionDurationCheck.enabled"
    lake.spark.conf.set(check, "false")
    try:
        lake.spark.sql(f"VACUUM delta.`{path_of(lake.config, table)}` RETAIN 0 HOURS")
    finally:
        lake.spark.conf.unset(check)


def shortened(lake: Lakehouse, table: Table, through: int) -> None:
    """Let the log begin with a checkpoint of its newest version."""
    path = path_of(lake.config, table)
    jvm: Any = lake.spark.sparkContext._jvm
    log = jvm.org.apache.spark.sql.delta.DeltaLog
    log.forTable(lake.spark._jsparkSession, path).checkpoint()
    for version in range(through + 1):
        (Path(path) / "_delta_log" / f"{version:020d}.json").unlink()
    log.clearCache()
