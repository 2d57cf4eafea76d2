"""Which partitions are worth compacting, how long files are kept, and who has still to read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import SparkSession
from pytest import param

from gold.maintain import MAINTAINED
from gold.maintenance import (
    STATISTICS,
    Partition,
    Version,
    corrections,
    crowded,
    days_of,
    has_expired,
    in_partitions,
    unread,
)
from lakehouse.config import AuditSettings, MaintenanceSettings
from lakehouse.delta import properties_of
from lakehouse.tables import GOLD_TRANSACTIONS, SILVER_FX_RATES

SETTINGS = MaintenanceSettings(target_file_mb=2, small_files=3, partitions_per_run=2)
SMALL, LARGE = 1000, 1024 * 1024
NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
CUTOFF = NOW - timedelta(days=90)


def test_only_partitions_with_many_small_files_are_compacted_the_most_crowded_first(
    spark: SparkSession,
) -> None:
    sizes = {
        ("2026-03-01", "EU"): [SMALL] * 3,
        ("2026-03-02", "EU"): [SMALL] * 2 + [LARGE] * 9,  # large ones are as they should be
        ("2026-03-02", "ASIA"): [SMALL] * 5,
        ("2026-03-03", None): [SMALL] * 4,
    }
    rows = [({"day": day, "region": region}, size) for (day, region), all_sizes in sizes.items()
            for size in all_sizes]  # fmt: skip
    files = spark.createDataFrame(rows, "partitionValues map<string,string>, size long")
    assert crowded(files, ("day", "region"), SETTINGS) == [
        {"day": "2026-03-02", "region": "ASIA"},
        {"day": "2026-03-03", "region": None},
    ]
    whole = spark.createDataFrame(
        [({}, SMALL)] * 3, "partitionValues map<string,string>, size long"
    )
    assert crowded(whole, (), SETTINGS) == [{}]
    assert crowded(whole.limit(2), (), SETTINGS) == []


def test_partitions_are_named_in_sql() -> None:
    partitions: list[Partition] = [
        {"day": "2026-03-02", "region": "O'Higgins"},
        {"day": "2026-03-03", "region": None},
    ]
    assert in_partitions(partitions) == (
        r"(`day` = '2026-03-02' AND `region` = 'O\'Higgins') OR "
        "(`day` = '2026-03-03' AND `region` IS NULL)"
    )


@pytest.mark.parametrize(
    "interval, days",
    [("interval 90 days", 90), ("INTERVAL 1 week", 7), ("interval 36 hours", 1.5), ("", 0)],
)
def test_an_interval_of_delta_in_days(interval: str, days: float) -> None:
    assert days_of(interval) == days


def test_a_table_that_keeps_less_or_counts_other_statistics_is_corrected() -> None:
    declared = properties_of(GOLD_TRANSACTIONS, AuditSettings(horizon_days=90, working_days=7))
    assert corrections(declared, declared) == {}
    retention = "delta.deletedFileRetentionDuration"
    assert corrections(declared | {retention: "interval 1 day"}, declared) == {
        retention: "interval 90 days"
    }
    # to keep longer is nobody's harm
    assert corrections(declared | {retention: "interval 400 days"}, declared) == {}
    less = {name: value for name, value in declared.items() if name != STATISTICS}
    assert corrections(less, declared) == {STATISTICS: "transaction_id,timestamp,updated_at"}
    undeclared = properties_of(SILVER_FX_RATES, AuditSettings(horizon_days=90, working_days=7))
    assert corrections(undeclared, undeclared) == {}


def _version(number: int, days_ago: float, operation: str = "MERGE") -> Version:
    return Version(number, NOW - timedelta(days=days_ago), operation)


@pytest.mark.parametrize(
    "versions, read_through, needed",
    [
        param([_version(1, 100)], 1, None, id="read"),
        param([_version(1, 100)], 0, 1, id="not read, and old"),
        param([_version(1, 88)], 0, None, id="not read, and within the horizon"),
        param([_version(1, 89.5)], 0, 1, id="its files are older than its commit"),
        param([_version(2, 95, "OPTIMIZE"), _version(3, 94, "VACUUM END")], 1, None,
              id="what holds no rows need not be read"),
        param([_version(5, 91), _version(4, 92)], 3, 4, id="the first of several"),
        param([_version(0, 99, "CREATE TABLE")], -1, None, id="an empty table, never read"),
    ],
)  # fmt: skip
def test_a_version_with_rows_that_is_old_and_unread_is_needed(
    versions: list[Version], read_through: int, needed: int | None
) -> None:
    assert unread(versions, read_through, CUTOFF) == needed


def test_without_an_old_version_there_is_nothing_to_delete() -> None:
    assert not has_expired([_version(1, 89)], CUTOFF)
    assert has_expired([_version(1, 91), _version(2, 1)], CUTOFF)


def test_streams_compact_their_own_tables() -> None:
    tables = {table.name for tables in MAINTAINED.values() for table in tables}
    assert {"gold.transactions", "gold.transaction_history", "silver.batch_transactions"} <= tables
    streamed = ("ingest_transactions", "ingest_fraud_scores", "enrich_live")
    assert not set(streamed) & set(MAINTAINED)


@pytest.mark.parametrize(
    "table",
    [t for tables in MAINTAINED.values() for t in tables if STATISTICS in t.properties],
    ids=lambda table: table.name,
)
def test_statistics_are_of_keys_and_times_that_exist(table) -> None:  # type: ignore[no-untyped-def]
    counted = table.properties[STATISTICS].split(",")
    assert set(counted) <= set(table.columns) - set(table.partitioned_by)
    kinds = {table.schema[name].dataType.simpleString() for name in counted}
    assert kinds <= {"string", "timestamp", "bigint", "int"}
