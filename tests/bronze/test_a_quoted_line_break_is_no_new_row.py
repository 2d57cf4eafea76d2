"""CSV as RFC 4180 has it: a quoted cell may hold line breaks; a stray quote costs its own line."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pytest import param

from bronze.csv_records import MOST_LINES
from bronze.drops import raw_rows
from bronze.landing import Landing
from tests.bronze.landing_folder import HEADER, a_row, deliver

PLAIN = [a_row(f"{number},{number},EUR,x") for number in range(1, 4)]
NOTE = a_row('7,100,EUR,"first\nsecond"')


def rows_of(spark: SparkSession, landing: Path) -> list[tuple[int, str]]:
    ((day,), _) = Landing(spark, str(landing)).listed()
    rows = raw_rows(spark, day.files).select("row_number", "raw").collect()
    return sorted((row["row_number"], row["raw"]) for row in rows)


@pytest.mark.parametrize(
    "records",
    [
        param([PLAIN[0], NOTE, PLAIN[1]], id="one break"),
        param([NOTE, NOTE, NOTE], id="one behind the other"),
        param([a_row('1,1,EUR,"a\r\nb\rc"'), PLAIN[0]], id="other breaks"),
        param([a_row('1,1,EUR,"a\n\n\nb"'), PLAIN[0]], id="blank lines in it"),
        param([a_row('1,1,EUR,"say ""a,\n"" b"'), PLAIN[0]], id="quotes and commas in it"),
        param([a_row('"1\n1",1,EUR,"a\nb"'), PLAIN[0]], id="two cells"),
        param([a_row(f'1,1,EUR,"a\n{PLAIN[0]}\nb"'), PLAIN[1]], id="what looks like a row in it"),
        param([a_row('1,1,EUR,"a, ""b"""'), PLAIN[0]], id="quotes without a break"),
    ],
)
def test_a_record_is_one_row_as_a_csv_reader_has_it(
    records: list[str], spark: SparkSession, tmp_path: Path
) -> None:
    content = "\n".join([HEADER, *records, ""])
    deliver(str(tmp_path), "a.csv", content)
    deliver(str(tmp_path), "b.csv.gz", gzip.compress(content.encode()))
    found = rows_of(spark, tmp_path)
    assert [raw for _, raw in found] == sorted(records * 2, key=records.index)
    cells = [next(csv.reader(io.StringIO(raw, newline=""))) for _, raw in found[::2]]
    assert cells == list(csv.reader(io.StringIO(content, newline="")))[1:]


def test_a_row_has_the_number_of_its_first_line(spark: SparkSession, tmp_path: Path) -> None:
    deliver(str(tmp_path), "a.csv", "\n".join([HEADER, PLAIN[0], NOTE, "", PLAIN[1], ""]))
    assert rows_of(spark, tmp_path) == [(1, PLAIN[0]), (2, NOTE), (5, PLAIN[1])]


@pytest.mark.parametrize(
    "records",
    [
        param([a_row('1,1,EUR,5" pipe'), *PLAIN], id="in a cell"),
        param([a_row('1,1,EUR,"open'), *PLAIN], id="a cell that never closes"),
        param([a_row('1,1,EUR,5" pipe'), NOTE, PLAIN[0]], id="before a record of two lines"),
        param([NOTE, a_row('1,1,EUR,5" pipe'), PLAIN[0]], id="behind one"),
        param([PLAIN[0], a_row('1,1,EUR,5" a'), a_row('1,1,EUR,5" b'), PLAIN[1]], id="two of them"),
    ],
)
def test_a_stray_quote_costs_no_other_row(
    records: list[str], spark: SparkSession, tmp_path: Path
) -> None:
    deliver(str(tmp_path), "a.csv", "\n".join([HEADER, *records, ""]))
    assert [raw for _, raw in rows_of(spark, tmp_path)] == records


def test_a_file_whose_quote_closes_far_behind_is_read_by_its_lines(
    spark: SparkSession, tmp_path: Path
) -> None:
    lines = ['1,1,EUR,"a', *(["x"] * MOST_LINES), a_row('b"')]
    deliver(str(tmp_path), "a.csv", "\n".join([HEADER, *lines, ""]))
    assert [raw for _, raw in rows_of(spark, tmp_path)] == lines


def test_a_byte_order_mark_is_no_part_of_a_row(spark: SparkSession, tmp_path: Path) -> None:
    deliver(str(tmp_path), "a.csv", "\ufeff" + "\n".join([HEADER, PLAIN[0]]))
    deliver(str(tmp_path), "b.json", '\ufeff{"event_id": "1"}\r\n\r\n{"event_id": "2"}\r\n')
    assert rows_of(spark, tmp_path) == [
        (1, PLAIN[0]),
        (1, '{"event_id": "1"}'),
        (3, '{"event_id": "2"}'),
    ]


def test_bytes_that_are_no_text_stay_as_they_are(spark: SparkSession, tmp_path: Path) -> None:
    deliver(str(tmp_path), "a.csv", HEADER.encode() + b"\r\n" + b"1,\xe4\r\n" + b"2,\xff")
    ((day,), _) = Landing(spark, str(tmp_path)).listed()
    rows = raw_rows(spark, day.files).orderBy("row_number")
    found = [bytes(row[0]) for row in rows.select(rows["raw"].cast("binary")).collect()]
    assert found == [b"1,\xe4", b"2,\xff"]
