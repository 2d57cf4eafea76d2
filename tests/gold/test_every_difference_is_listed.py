"""The file of an account has each transaction that differs, beyond those that a line names."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from pyspark.sql import SparkSession

from gold.items import ITEM
from gold.lines import MOST_NAMED, differences_of
from gold.listing import LISTED, differing, require_folder, write_list
from tests.conftest import NOON

ITEM_TYPES = (
    "step string, day date, currency string, event_type string, name string, key string, "
    "at timestamp, bucket string, rows long, amount decimal(25,2), kind string, cases long, "
    "gap decimal(25,2)"
)


def test_all_that_differs_is_listed_each_with_its_own_age(
    spark: SparkSession, tmp_path: Path
) -> None:
    many = MOST_NAMED + 5
    rows = [
        ("a -> b", date(2026, 3, 1), "EUR", "SETTLED", f"t-{n:02}", None,
         NOON - timedelta(days=n, hours=1), None, 1, Decimal(7), "MISSING", 1, Decimal(7))
        for n in range(many)
    ]  # fmt: skip
    nowhere = ("a -> b", None, None, None, "file", None, None, "held", 1, None, "HELD", 1, None)
    fine = (*rows[0][:7], "accepted", 1, Decimal(7), None, None, None)
    items = spark.createDataFrame([*rows, nowhere, fine], ITEM_TYPES).select(*ITEM)
    named = {row["kind"]: row["names"] for row in differences_of(items).collect()}
    assert len(named["MISSING"]) == MOST_NAMED

    file = tmp_path / "differences.csv"
    assert write_list(differing(items, NOON), file) == many + 1
    listed = list(csv.DictReader(file.read_text().splitlines()))
    assert tuple(listed[0]) == LISTED
    assert [(row["name"], row["explained"]) for row in listed] == [
        ("file", "yes"),
        *((f"t-{n:02}", "NO") for n in range(many)),
    ]
    assert [row["age_days"] for row in listed] == ["", *map(str, range(many))]
    assert (listed[-1]["event_time_utc"], listed[-1]["amount"]) == ("2026-02-13T11:00:00Z", "7.00")


def test_a_file_in_a_folder_that_is_not_there_is_refused_before_anything_is_counted(
    tmp_path: Path,
) -> None:
    with pytest.raises(typer.BadParameter, match="there is no folder"):
        require_folder(tmp_path / "nowhere" / "differences.csv")
