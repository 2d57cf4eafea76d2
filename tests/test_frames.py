"""Rows at hand are the same rows, whatever is in them; and they are few."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import frames
from lakehouse.frames import fetched, fetching, keeping

SCHEMA = (
    "id string, at timestamp, day date, amount decimal(15,2), payload binary, "
    "extra map<string,string>, flags array<struct<name:string,fired:boolean>>, score double"
)
ROWS = [
    ("a", datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC), date(2026, 3, 29),
     Decimal("-0.01"), b"\xff\x00", {"note": "kept", "é": None}, [("F", True), (None, None)], 0.1),
    ("b", datetime(1582, 10, 10, 12, tzinfo=UTC), date(1582, 10, 10),
     Decimal("9999999999999.99"), b"", {}, [], float("nan")),
    (None, datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), date(1, 1, 1),
     None, None, None, None, None),
]  # fmt: skip


@pytest.fixture
def rows(spark: SparkSession) -> DataFrame:
    """Values that a detour by other classes than Spark's own would change."""
    return spark.createDataFrame(ROWS, SCHEMA).repartition(2)


def test_rows_at_hand_are_the_rows(rows: DataFrame) -> None:
    found = fetched(rows)
    assert found is not None
    assert found.schema == rows.schema
    shown = [
        F.struct("*").cast("string"),
        F.unix_micros("at"),
        F.unix_date("day"),
        F.hex("payload"),
    ]
    assert sorted(map(str, found.select(*shown).collect())) == sorted(
        map(str, rows.select(*shown).collect())
    )


def test_they_are_computed_once(rows: DataFrame, spark: SparkSession) -> None:
    counted = spark.sparkContext.accumulator(0)

    def count(row: object) -> object:
        counted.add(1)
        return row

    found = fetched(spark.createDataFrame(rows.rdd.map(count), rows.schema))
    assert found is not None
    assert found.count() + found.where("id = 'a'").count() == 4
    assert counted.value == 3


def test_more_than_few_are_kept_otherwise(rows: DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[DataFrame] = []

    def keep(many: DataFrame) -> DataFrame:
        kept.append(many)
        return many

    fetching(keep)(rows)
    assert kept == []
    monkeypatch.setattr(frames, "AT_HAND", 2)
    assert fetched(rows) is None
    assert fetching(keep)(rows) is rows
    assert kept == [rows]


@pytest.mark.parametrize("heavy", ["payload", "id", "extra"])
def test_a_heavy_row_is_not_brought_to_the_driver(rows: DataFrame, heavy: str) -> None:
    megabyte = F.repeat(F.lit("x"), 1_000_000)
    values = {
        "payload": megabyte.cast("binary"),
        "id": megabyte,
        "extra": F.create_map(F.lit("note"), megabyte),
    }
    assert fetched(rows.withColumn(heavy, values[heavy])) is None


def test_a_fault_of_a_query_stays_one(rows: DataFrame) -> None:
    failing = rows.withColumn("id", F.raise_error(F.lit("as planned")))
    with pytest.raises((PySparkException, Py4JJavaError), match="as planned"):
        fetching(lambda many: many)(failing)


def test_what_is_too_much_to_be_at_hand_is_computed_once_and_now(
    rows: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "AT_HAND", 0)
    with keeping() as keep:
        drawn = fetching(keep)(rows.select(F.expr("reflect('java.util.UUID', 'randomUUID')")))
        first, second = drawn.collect(), drawn.collect()
    assert sorted(first) == sorted(second)
