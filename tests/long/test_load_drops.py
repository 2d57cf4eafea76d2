"""landing/ -> Bronze: each content of each file once, what cannot be trusted is held."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bronze.drops import raw_rows
from bronze.landing import Landing
from bronze.load_drops import load_drops
from lakehouse import delta
from lakehouse.context import Lakehouse
from lakehouse.errors import LandingNotListedError
from lakehouse.tables import BRONZE_DROP_FILES, DROPS
from tests.bronze.landing_folder import HEADER, a_row, csv, deliver

MONEY_EVENTS = DROPS["money_events"]


def sorted_rows(frame: DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """File name and columns of each row."""
    name = F.element_at(F.split("path", "/"), -1)
    return sorted(tuple(row) for row in frame.select(name, *columns).collect())


def control(rows: int, **amount: str) -> str:
    return json.dumps({"rows": rows, "amount": amount})


@pytest.fixture
def lake(lake_for: Callable[[str], Lakehouse]) -> Lakehouse:
    return lake_for("load_drops")


def test_every_format_lands_what_is_damaged_is_held_and_again_is_nothing(
    lake: Lakehouse, tmp_path: Path
) -> None:
    landing = lake.config.lake.landing
    name = "a [1]+b.csv"
    deliver(landing, name, csv('1,100,EUR,"x, y"', "", "2,200,USD,pan 4111 1111 1111 1111"))
    deliver(landing, "b.csv.gz", gzip.compress(csv("4111111111111111,300,EUR,z").encode()))
    deliver(landing, "c.json", '{"event_id": "4", "amount": 1.00}\n{"event_id"\n')
    texts = ", ".join(f"{column} string" for column in HEADER.split(",") if column != "amount")
    table = lake.spark.createDataFrame([(5, "5", *["z"] * 5)], f"amount long, {texts}")
    table.coalesce(1).write.parquet(str(tmp_path / "written"))
    parquet = next((tmp_path / "written").glob("*.parquet")).read_bytes()
    deliver(landing, "d [1].parquet", parquet)
    deliver(landing, "cut.csv.gz", gzip.compress(csv(*["1,1,EUR,"] * 99).encode())[:-20])
    deliver(landing, "broken.parquet", b"PAR1 nonsense PAR1")
    deliver(landing, "empty.json", "")
    deliver(landing, "sheet.xls", "x")
    load_drops(lake)

    rows = lake.read(MONEY_EVENTS)
    found = sorted_rows(rows, "row_number", "redactions", "header", "raw")
    token = found[1][-1].partition("pan ")[2].partition(",")[0]
    assert found == [
        (name, 1, 0, HEADER, a_row('1,100,EUR,"x, y"')),
        (name, 3, 1, HEADER, a_row(f"2,200,USD,pan {token}")),
        # an id may look like a card
        ("b.csv.gz", 1, 0, HEADER, a_row("4111111111111111,300,EUR,z")),
        ("c.json", 1, 0, None, '{"event_id": "4", "amount": 1.00}'),
        ("c.json", 2, 0, None, '{"event_id"'),
        (
            "d [1].parquet",
            1,
            0,
            None,
            '{"amount":5,"event_id":"5","currency":"z","note":"z","transaction_id":"z",'
            '"event_type":"z","timestamp":"z"}',
        ),
    ]
    assert token.startswith("tok_")
    files = sorted_rows(lake.read(BRONZE_DROP_FILES), "verdict", "row_count", "reason")
    assert [file[:3] for file in files if file[1] == "LOADED"] == [
        (name, "LOADED", 2),
        ("b.csv.gz", "LOADED", 1),
        ("c.json", "LOADED", 2),
        ("d [1].parquet", "LOADED", 1),
    ]
    held = {file[0] for file in files if file[1] == "HELD"}
    assert held == {"broken.parquet", "cut.csv.gz", "empty.json", "sheet.xls"}

    paths = [delta.path_of(lake.config, table) for table in (MONEY_EVENTS, BRONZE_DROP_FILES)]

    def versions() -> list[int]:
        return [delta.latest_version(lake.spark, path) for path in paths]

    rows_at, files_at = versions()
    load_drops(lake)
    assert versions() == [rows_at, files_at]
    # the same bytes again, at another time: that is written down, and looked at no second time
    os.utime(deliver(landing, "c.json", '{"event_id": "4", "amount": 1.00}\n{"event_id"\n'), (1, 1))
    load_drops(lake)
    load_drops(lake)
    assert versions() == [rows_at, files_at + 1]


def _of_another_run(lake: Lakehouse) -> Lakehouse:
    # one run looks once whether a table is there
    return Lakehouse(lake.config, lake.spark, lake.job, lake.trigger, lake.lease, lake.clock)


def test_a_day_waits_for_its_totals_and_a_correction_is_a_revision(lake: Lakehouse) -> None:
    landing = lake.config.lake.landing
    deliver(landing, "a.csv", csv("1,100,EUR,"))
    deliver(landing, "b.json", '{"amount": "200.00", "currency": "EUR"}\n')
    deliver(landing, "_CONTROL.json", control(2, EUR="301"))
    load_drops(lake)
    assert lake.read(MONEY_EVENTS).isEmpty()
    reason = "_CONTROL.json says 301 EUR, the files have 300.00"
    files = lake.read(BRONZE_DROP_FILES)
    assert sorted_rows(files, "verdict", "reason") == [
        ("a.csv", "HELD", reason),
        ("b.json", "HELD", reason),
    ]

    deliver(landing, "_CONTROL.json", control(2, EUR="300"))
    load_drops(lake)
    # a run that died between its two commits leaves the rows, and a manifest without them
    shutil.rmtree(delta.path_of(lake.config, BRONZE_DROP_FILES))
    lake = _of_another_run(lake)
    load_drops(lake)
    assert len(sorted_rows(lake.read(MONEY_EVENTS))) == 2
    files = lake.read(BRONZE_DROP_FILES)
    assert sorted_rows(files, "verdict") == [("a.csv", "LOADED"), ("b.json", "LOADED")]

    deliver(landing, "a.csv", csv("1,90,EUR,corrected"))
    deliver(landing, "_CONTROL.json", control(2, EUR="290"))
    load_drops(lake)
    assert sorted_rows(lake.read(MONEY_EVENTS), "file_revision", "raw") == [
        ("a.csv", 0, a_row("1,100,EUR,")),
        ("a.csv", 1, a_row("1,90,EUR,corrected")),
        ("b.json", 0, '{"amount": "200.00", "currency": "EUR"}'),
    ]


def test_rows_are_numbered_over_the_blocks_of_a_file(spark: SparkSession, tmp_path: Path) -> None:
    deliver(str(tmp_path), "a.csv", csv(*(f"{n},{n},EUR," for n in range(1, 2001))))
    setting = "spark.sql.files.maxPartitionBytes"
    before = str(spark.conf.get(setting))
    spark.conf.set(setting, "10000")
    try:
        ((day,), _) = Landing(spark, str(tmp_path)).listed()
        rows = raw_rows(spark, day.files).select("row_number", "raw").collect()
    finally:
        spark.conf.set(setting, before)
    assert sorted(tuple(row) for row in rows) == [
        (n, a_row(f"{n},{n},EUR,")) for n in range(1, 2001)
    ]


def test_hidden_files_are_none_and_files_in_wrong_places_are_named(
    spark: SparkSession, tmp_path: Path
) -> None:
    landing = Landing(spark, str(tmp_path))
    assert landing.listed() == ([], [])
    deliver(str(tmp_path), ".b.csv.partial", "x")
    deliver(str(tmp_path), "b.csv", "x")
    deliver(str(tmp_path), "c.csv", "x", day="2026-02-30")
    deliver(str(tmp_path), "_temporary/d.csv", "x", done=False)
    (tmp_path / "loose.csv").touch()
    ((day,), misplaced) = landing.listed()
    assert [file.path for file in day.files] == ["money_events/date=2026-03-08/b.csv"]
    assert [(file.path, file.kind) for file in misplaced] == [
        ("loose.csv", ""),
        ("money_events/date=2026-02-30/c.csv", "money_events"),
        ("money_events/date=2026-03-08/_temporary/d.csv", "money_events"),
    ]


def test_a_landing_that_cannot_be_listed_is_named(spark: SparkSession) -> None:
    with pytest.raises(LandingNotListedError, match="nowhere://landing cannot be listed"):
        Landing(spark, "nowhere://landing")
