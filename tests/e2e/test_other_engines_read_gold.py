"""What the jobs wrote is read by engines that are not Spark: every log, and every row of Gold."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from pyspark.sql import Row

from lakehouse.delta import path_of
from lakehouse.tables import TABLES, Table
from tests.e2e.platform import TIMEOUT_SECONDS, Platform

pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS)

GOLD = [table for name, table in TABLES.items() if name.startswith("gold.")]


def test_every_log_that_the_jobs_wrote_asks_for_reader_version_1(platform: Platform) -> None:
    written = set()
    for table in TABLES.values():
        log = Path(path_of(platform.config, table), "_delta_log")
        commits = sorted(log.glob("*.json"))
        # checkpoints of Delta's newer kinds are files of other names
        assert not [*log.glob("_sidecars/*"), *log.glob("*.checkpoint.*-*-*.parquet")], table.name
        for commit in commits:
            for line in commit.read_text().splitlines():
                action = json.loads(line)
                if protocol := action.get("protocol"):
                    assert protocol["minReaderVersion"] == 1, f"{table.name}: {commit.name}"
                    assert "readerFeatures" not in protocol, f"{table.name}: {commit.name}"
                if added := action.get("add"):
                    assert not added.get("deletionVector"), f"{table.name}: {commit.name}"
        if commits:
            written.add(table.name)
    assert written == {*TABLES}


@pytest.mark.parametrize("table", GOLD, ids=lambda table: table.name)
def test_delta_rs_and_duckdb_read_the_rows_that_spark_reads(
    platform: Platform, table: Table
) -> None:
    by_spark = _comparable(map(Row.asDict, platform.read(table).collect()))
    assert by_spark
    stored = DeltaTable(path_of(platform.config, table))
    by_delta_rs = stored.to_pyarrow_table(columns=table.columns).to_pylist()
    assert _comparable(by_delta_rs) == by_spark
    assert _comparable(_by_duckdb(stored, table)) == by_spark


def _by_duckdb(stored: DeltaTable, table: Table) -> list[dict[str, Any]]:
    """DuckDB's own Parquet reader, on the files that the log names now.

    Its Delta extension is a download of its own: which files are the table, delta-rs says.
    """
    kinds = {field.name: field.dataType.simpleString() for field in table.schema}
    hive = {name: "DATE" if kinds[name] == "date" else "VARCHAR" for name in table.partitioned_by}
    columns = ", ".join(f'"{name}"' for name in table.columns)
    types = ", ".join(f"'{name}': {kind}" for name, kind in hive.items())
    options = f", hive_partitioning = true, hive_types = {{{types}}}" if hive else ""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        files = stored.file_uris()
        query = f"SELECT {columns} FROM read_parquet($1{options})"
        found: Any = engine.sql(query, params=[files])
        return list(found.to_arrow_table().to_pylist())


def _comparable(rows: Any) -> list[str]:
    return sorted(repr(_plain(row)) for row in rows)


def _plain(value: Any) -> Any:
    """Engines name structs, maps and instants otherwise; what they hold must be equal."""
    if isinstance(value, Row):
        value = value.asDict()
    if isinstance(value, dict):
        return sorted((key, _plain(each)) for key, each in value.items())
    if isinstance(value, list) and value and type(value[0]) is tuple:
        return sorted((key, _plain(each)) for key, each in value)  # a map of Arrow
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.astimezone(UTC) if isinstance(value, datetime) else value
