"""The senders' own totals of a day, beside what load_drops has made of the files that lie there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pytest import param

from gold.control import (
    Control,
    LandedFile,
    control_items,
    control_of,
    delivered_controls,
    found_totals,
)
from lakehouse.context import Lakehouse
from lakehouse.tables import BRONZE_DROP_FILES, DROPS
from tests.bronze.landing_folder import deliver
from tests.conftest import NOON
from tests.gold.rows import Row, frame

DAY = date(2026, 3, 8)
PATH = "money_events/date=2026-03-08/a.csv"
TOTALS = "kind string, day date, currency string, rows long, amount decimal(25,2)"
WRITTEN = datetime(2026, 3, 8, 9, tzinfo=UTC)
FILE = LandedFile(PATH, 10, int(WRITTEN.timestamp() * 1000))
CONTROL = Control("money_events", DAY, 2, {"EUR": Decimal(300)}, (FILE,))


def a_judgement(verdict: str, minutes: int = 0, **facts: Any) -> Row:
    return {
        "kind": "money_events", "delivery_date": DAY, "path": PATH, "file_sha256": "s",
        "file_revision": 0, "size_bytes": 10, "modified_at": WRITTEN, "format": "csv",
        "row_count": 2, "verdict": verdict, "judged_at": NOON + timedelta(minutes=minutes),
    } | facts  # fmt: skip


@pytest.mark.parametrize(
    "control, judgements, kind",
    [
        param(CONTROL, [], "UNREAD", id="load_drops has not run since it was delivered"),
        param(CONTROL, [a_judgement("WAITING")], "UNREAD", id="its day is open"),
        param(
            CONTROL,
            [a_judgement("LOADED", size_bytes=9)],
            "UNREAD",
            id="replaced since it was loaded",
        ),
        param(
            CONTROL,
            [a_judgement("LOADED", path=f"{PATH}.csv")],
            "UNREAD",
            id="one more came since the day was loaded",
        ),
        param(CONTROL, [a_judgement("HELD")], "HELD", id="held"),
        param(CONTROL, [a_judgement("LOADED")], "CONTROL_UNMET", id="loaded, and other"),
        param(
            CONTROL,
            [a_judgement("LOADED", release_reason="known")],
            "RELEASED",
            id="let in by a person",
        ),
        param(
            replace(CONTROL, files=()),
            [a_judgement("HELD"), a_judgement("GONE", minutes=1)],
            "CONTROL_UNMET",
            id="held, then taken away",
        ),
        param(
            replace(CONTROL, files=()),
            [a_judgement("WAITING"), a_judgement("GONE", minutes=1)],
            "CONTROL_UNMET",
            id="taken away before it was read",
        ),
        param(replace(CONTROL, files=()), [], "CONTROL_UNMET", id="complete, and without a file"),
        param(
            replace(CONTROL, files=(), is_complete=False),
            [],
            "UNREAD",
            id="its sender still writes",
        ),
    ],
)
def test_totals_that_are_not_met_are_excused_by_what_is_known_of_the_files(
    spark: SparkSession, control: Control, judgements: Sequence[Row], kind: str
) -> None:
    nothing = spark.createDataFrame([], TOTALS)
    files = frame(spark, BRONZE_DROP_FILES, judgements)
    found = control_items(spark, [control], nothing, files).collect()
    assert {(row["currency"], row["kind"]) for row in found} == {("EUR", kind), (None, kind)}
    assert {row["bucket"] for row in found} == {None if kind == "CONTROL_UNMET" else "held"}


def test_totals_that_are_met_need_no_excuse(spark: SparkSession) -> None:
    found = spark.createDataFrame([("money_events", DAY, "EUR", 2, Decimal(300))], TOTALS)
    files = frame(spark, BRONZE_DROP_FILES, [a_judgement("GONE", path="other.csv")])
    told = control_items(spark, [CONTROL], found, files).collect()
    assert {row["kind"] for row in told} == {None}


def test_totals_are_read_beside_the_files_that_lie_there(lake_for: Any) -> None:
    lake: Lakehouse = lake_for("reconcile")
    landing = lake.config.lake.landing
    file = deliver(landing, "a.csv", "x", done=False)
    deliver(landing, "_CONTROL.json", '{"rows": 2}', done=False)
    deliver(landing, ".a.csv.part", "x", done=False)
    deliver(landing, "deeper/b.csv", "x", done=False)
    deliver(landing, "a.csv", "x", day="2026-03-07")  # says nothing of its totals
    deliver(landing, "_CONTROL.json", '{"rows": 2}', kind="unknown")
    lies = LandedFile(PATH, 1, file.stat().st_mtime_ns // 1_000_000)
    assert delivered_controls(lake) == [Control("money_events", DAY, 2, None, (lies,), False)]


def test_what_two_readers_take_for_totals_fits_the_account(spark: SparkSession) -> None:
    greatest = '{"rows": 999999999999, "amount": {"EUR": "99999999999999999999.99", "JPY": -1}}'
    control = control_of("money_events", "2026-03-08", greatest)
    assert control is not None and control.amount is not None
    nothing = spark.createDataFrame([], TOTALS)
    files = frame(spark, BRONZE_DROP_FILES, [])
    several = [replace(control, day=DAY - timedelta(days=days)) for days in range(100)]
    found = control_items(spark, several, nothing, files)
    sums = found.groupBy().agg({"gap": "sum", "cases": "sum"}).collect()
    assert [tuple(sum_ is not None for sum_ in row) for row in sums] == [(True, True)]


def test_rows_that_add_up_to_more_than_anything_holds_are_no_total(spark: SparkSession) -> None:
    header = "amount,currency"
    rows = [
        {
            "delivery_date": DAY, "path": PATH, "file_sha256": "s", "file_revision": 0,
            "row_number": number, "format": "csv", "header": header, "raw": f"{'9' * 20},EUR",
            "redactions": 0,
        }
        for number in range(2000)
    ]  # fmt: skip
    drops = frame(spark, DROPS["money_events"], rows)
    files = frame(spark, BRONZE_DROP_FILES, [a_judgement("LOADED")])
    found = found_totals(drops, files, "money_events").collect()
    assert [(row["rows"], row["amount"]) for row in found] == [(2000, None)]
