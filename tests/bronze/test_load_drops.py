"""landing/ -> Bronze: each content of each file once, what cannot be trusted is held."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyspark.sql import functions as F

from bronze.load_drops import load_drops
from lakehouse import delta
from lakehouse.context import Lakehouse
from lakehouse.tables import BRONZE_DROP_FILES, DROPS, Table

HEADER = "event_id,amount,currency,note"
DAY = "2026-03-08"
PLACE = f"money_events/date={DAY}"


class Drops(NamedTuple):
    """A landing folder, and the job that reads it."""

    lake: Lakehouse
    root: Path

    def deliver(self, name: str, content: str | bytes, *, complete: bool = True) -> None:
        folder = self.root / PLACE
        folder.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)
        if complete:
            (folder / "_SUCCESS").touch()

    def load(self) -> None:
        load_drops(self.lake)

    def rows(self, kind: str = "money_events") -> list[tuple[Any, ...]]:
        """Name, revision, row number and text of each row."""
        name = F.element_at(F.split("path", "/"), -1)
        found = self.lake.read(DROPS[kind]).select(name, "file_revision", "row_number", "raw")
        return sorted(tuple(row) for row in found.collect())

    def files(self) -> list[tuple[Any, ...]]:
        """Name, revision, verdict and row count of each manifest row."""
        name = F.element_at(F.split("path", "/"), -1)
        found = self.lake.read(BRONZE_DROP_FILES)
        chosen = found.select(name, "file_revision", "verdict", "row_count")
        return sorted(tuple(row) for row in chosen.collect())

    def reasons(self) -> list[str]:
        held = self.lake.read(BRONZE_DROP_FILES).where("verdict = 'HELD'")
        return [row["reason"] for row in held.collect()]

    def version(self, table: Table) -> int:
        return delta.latest_version(self.lake.spark, delta.path_of(self.lake.config, table))


@pytest.fixture
def drops(lake_for: Callable[[str], Lakehouse]) -> Drops:
    lake = lake_for("load_drops")
    return Drops(lake, Path(lake.config.lake.landing))


def csv(*lines: str) -> str:
    return "\n".join((HEADER, *lines)) + "\n"


def control(rows: int, **amount: str) -> str:
    return json.dumps({"rows": rows, "amount": amount})


def test_every_format_lands_as_it_was_delivered(drops: Drops, tmp_path: Path) -> None:
    drops.deliver("a.csv", csv('1,100,EUR,"x, y"', "", "2,200,USD,"))
    drops.deliver("b.csv.gz", gzip.compress(csv("3,300,EUR,z").encode()))
    drops.deliver("c.json", '{"event_id": "4", "amount": 1.00}\n{"event_id"\n')
    table = drops.lake.spark.createDataFrame([("5", 5)], "event_id string, amount long")
    table.coalesce(1).write.parquet(str(tmp_path / "written"))
    drops.deliver("d [1].parquet", next((tmp_path / "written").glob("*.parquet")).read_bytes())
    drops.load()
    assert drops.rows() == [
        ("a.csv", 0, 1, '1,100,EUR,"x, y"'),
        ("a.csv", 0, 3, "2,200,USD,"),
        ("b.csv.gz", 0, 1, "3,300,EUR,z"),
        ("c.json", 0, 1, '{"event_id": "4", "amount": 1.00}'),
        ("c.json", 0, 2, '{"event_id"'),
        ("d [1].parquet", 0, 1, '{"event_id":"5","amount":5}'),
    ]
    assert [row[-1] for row in drops.files()] == [2, 1, 2, 1]
    headers = drops.lake.read(DROPS["money_events"]).groupBy("format").agg(F.max("header"))
    assert {tuple(row) for row in headers.collect()} == {
        ("csv", HEADER), ("json", None), ("parquet", None),
    }  # fmt: skip


def test_rows_are_numbered_over_the_blocks_of_a_file(drops: Drops) -> None:
    drops.deliver("a.csv", csv(*(f"{n},{n},EUR," for n in range(1, 2001))))
    setting = "spark.sql.files.maxPartitionBytes"
    before = drops.lake.spark.conf.get(setting)
    drops.lake.spark.conf.set(setting, "5000")
    try:
        drops.load()
    finally:
        drops.lake.spark.conf.set(setting, str(before))
    assert [row[2] for row in drops.rows()] == list(range(1, 2001))
    assert all(raw == f"{number},{number},EUR," for _, _, number, raw in drops.rows())


def test_a_card_number_lands_as_a_token(drops: Drops) -> None:
    drops.deliver("a.csv", csv("4111111111111111,4111111111111111,EUR,pan 4111 1111 1111 1111"))
    drops.load()
    row = drops.lake.read(DROPS["money_events"]).first()
    assert row is not None
    assert row.redactions == 1
    assert "4111 1111" not in row.raw
    assert row.raw.startswith("4111111111111111,4111111111111111,EUR,pan tok_")


def test_a_second_run_writes_nothing(drops: Drops) -> None:
    drops.deliver("a.csv", csv("1,100,EUR,"))
    drops.deliver("b.csv", "")
    drops.load()
    tables = (DROPS["money_events"], BRONZE_DROP_FILES)
    before = [drops.version(table) for table in tables]
    drops.load()
    (drops.root / PLACE / "a.csv").touch()
    drops.load()
    assert [drops.version(table) for table in tables] == before


def test_other_content_at_a_path_is_its_next_revision(drops: Drops) -> None:
    for line in ("1,100,EUR,", "1,90,EUR,corrected", "1,100,EUR,"):
        drops.deliver("a.csv", csv(line))
        drops.load()
    assert drops.rows() == [
        ("a.csv", 0, 1, "1,100,EUR,"),
        ("a.csv", 1, 1, "1,90,EUR,corrected"),
        ("a.csv", 2, 1, "1,100,EUR,"),
    ]


def test_an_incomplete_day_is_left_for_later(drops: Drops) -> None:
    drops.deliver("a.csv", csv("1,100,EUR,"), complete=False)
    drops.load()
    assert drops.files() == []
    drops.deliver("b.csv", csv("2,100,EUR,"))
    drops.load()
    assert [row[0] for row in drops.files()] == ["a.csv", "b.csv"]


def test_what_cannot_be_read_is_held_and_the_rest_goes_on(drops: Drops) -> None:
    drops.deliver("good.csv", csv("1,100,EUR,"))
    drops.deliver("cut.csv.gz", gzip.compress(csv(*["1,1,EUR,"] * 99).encode())[:-20])
    drops.deliver("broken.parquet", b"PAR1 nonsense PAR1")
    drops.deliver("empty.json", "")
    drops.deliver("sheet.xls", "x")
    drops.load()
    assert drops.rows() == [("good.csv", 0, 1, "1,100,EUR,")]
    assert [row[:3] for row in drops.files() if row[2] == "LOADED"] == [("good.csv", 0, "LOADED")]
    reasons = " | ".join(sorted(drops.reasons()))
    for fault in ("gzip file is damaged", "cannot be read", "is empty", "format is unknown"):
        assert fault in reasons


@pytest.mark.parametrize(
    ("totals", "reason"),
    [
        pytest.param(control(3, EUR="300"), "3 rows, the files have 2", id="rows"),
        pytest.param(control(2, EUR="301"), "301 EUR, the files have 300", id="amount"),
        pytest.param(control(2, EUR="300", USD="1"), "1 USD", id="another currency"),
        pytest.param('{"rows": "many"}', "_CONTROL.json is not", id="no totals"),
    ],
)
def test_a_day_that_misses_its_totals_is_held_until_it_meets_them(
    drops: Drops, totals: str, reason: str
) -> None:
    drops.deliver("a.csv", csv("1,100,EUR,"), complete=False)
    drops.deliver("b.json", '{"amount": "200.00", "currency": "EUR"}\n', complete=False)
    drops.deliver("_CONTROL.json", totals)
    drops.load()
    assert drops.rows() == []
    assert len(drops.reasons()) == 2
    assert all(reason in said for said in drops.reasons())
    drops.deliver("_CONTROL.json", control(2, EUR="300"))
    drops.load()
    assert [row[:2] for row in drops.rows()] == [("a.csv", 0), ("b.json", 0)]


def test_a_replaced_file_with_new_totals_loads(drops: Drops) -> None:
    drops.deliver("a.csv", csv("1,100,EUR,"), complete=False)
    drops.deliver("b.csv", csv("2,200,EUR,"), complete=False)
    drops.deliver("_CONTROL.json", control(2, EUR="300"))
    drops.load()
    drops.deliver("b.csv", csv("2,150,EUR,"))
    drops.load()
    assert drops.reasons() == ["_CONTROL.json says 300 EUR, the files have 250.00"]
    drops.deliver("_CONTROL.json", control(2, EUR="250"))
    drops.load()
    assert [row for row in drops.rows() if row[1] == 1] == [("b.csv", 1, 1, "2,150,EUR,")]
    assert len(drops.rows()) == 3


def test_a_run_that_died_before_the_manifest_doubles_nothing(drops: Drops) -> None:
    drops.deliver("a.csv", csv("1,100,EUR,"))
    drops.load()
    # what such a run leaves: the rows, and no manifest
    shutil.rmtree(delta.path_of(drops.lake.config, BRONZE_DROP_FILES))
    rows = drops.rows()
    drops.load()
    assert drops.rows() == rows
    assert drops.files() == [("a.csv", 0, "LOADED", 1)]
