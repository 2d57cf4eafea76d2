"""No writer deletes a file of a log; `maintain` deletes those that nothing can ask for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from gold.create_tables import create_tables
from gold.maintain import maintain
from lakehouse.context import Lakehouse
from lakehouse.delta import path_of, stored_properties
from lakehouse.tables import BRONZE_TRANSACTIONS, TABLES

_DAYS = 86_400


def test_maintenance_forgets_the_old_log_of_a_stream_that_the_stream_itself_keeps(
    lake_for: Callable[[str], Lakehouse],
) -> None:
    streaming, maintaining = lake_for("ingest_transactions"), lake_for("maintain")
    log = Path(path_of(streaming.config, BRONZE_TRANSACTIONS)) / "_delta_log"
    streaming.version(BRONZE_TRANSACTIONS)  # creates it

    def commit() -> None:
        note = f"('note' = '{time.monotonic_ns()}')"
        streaming.spark.sql(f"ALTER TABLE delta.`{log.parent}` SET TBLPROPERTIES {note}")

    for _ in range(12):
        commit()
    # a checkpoint stands at version 10; all that was before is long past
    long_ago = time.time() - 30 * _DAYS
    for file in log.glob("*.json"):
        if int(file.stem) <= 11:
            os.utime(file, (long_ago, long_ago))
    for file in log.glob("*.checkpoint.parquet"):
        os.utime(file, (long_ago, long_ago))
    for _ in range(10):
        commit()
    kept = {int(file.stem) for file in log.glob("*.json")}
    assert kept == set(range(23))
    maintain(maintaining)
    left = {int(file.stem) for file in log.glob("*.json")}
    assert 0 not in left and set(range(12, 23)) <= left
    assert streaming.version(BRONZE_TRANSACTIONS) == 22


def test_a_new_account_has_every_table_before_the_first_run_and_none_cleans_its_log(
    lake_for: Callable[[str], Lakehouse],
) -> None:
    lake = lake_for("create_tables")
    created = create_tables(lake)
    assert set(created) <= set(TABLES) and "gold.transactions" in created
    assert create_tables(lake) == []
    path = path_of(lake.config, BRONZE_TRANSACTIONS)
    assert stored_properties(lake.spark, path)["delta.enableExpiredLogCleanup"] == "false"
