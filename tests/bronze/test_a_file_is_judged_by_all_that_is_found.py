"""Which fault of a file counts where several are found, and what of it lands beside its rows."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from bronze.control import Totals
from bronze.drops import drop_rows
from bronze.faults import CHANGING, Fault
from bronze.judging import (
    MOST_MISPLACED,
    judged_day,
    merged,
    misplaced_judgements,
)
from bronze.landing import LandedDay, LandedFile
from bronze.manifest import Content, Judgement, Release
from lakehouse.records.codes import DropFault, Verdict

FILE = LandedFile("money_events/date=2026-03-08/a.csv", "file:/a.csv", 10, 1000)
CONTENT = Content(FILE.path, "A", 0)
HEADER = Fault(DropFault.WRONG_HEADER, "no event_id")
FOREIGN = Fault(DropFault.FOREIGN_ENCODING, "9 of 9 rows are not UTF-8")
DAMAGED = Fault(DropFault.DAMAGED, "the file cannot be read")
UNREADABLE = Fault(DropFault.UNREADABLE, "access denied")


@pytest.mark.parametrize(
    ("head", "read", "second_look", "counts"),
    [
        pytest.param(HEADER, FOREIGN, None, HEADER, id="the head knows best"),
        pytest.param(None, FOREIGN, None, FOREIGN, id="only its rows tell"),
        pytest.param(HEADER, DAMAGED, None, DAMAGED, id="what has no rows is not hidden"),
        pytest.param(HEADER, DAMAGED, CHANGING, CHANGING, id="what changed is looked at again"),
    ],
)
def test_of_several_faults_one_counts(
    head: Fault | None, read: Fault | None, second_look: Fault | None, counts: Fault
) -> None:
    found = [{FILE.path: fault} if fault else {} for fault in (head, read, second_look)]
    assert merged(*found) == {FILE.path: counts}


def judged(
    fault: Fault | None, released: Release | None = None, control: Fault | None = None
) -> Judgement:
    day = LandedDay("money_events", (FILE,), None, True)
    totals, faults = {FILE.path: Totals(rows=2)}, {FILE.path: fault} if fault else {}
    (judgement,) = judged_day(day, control, {FILE.path: CONTENT}, totals, faults, released)
    return judgement


def test_nobody_releases_what_has_no_rows_to_load() -> None:
    asked = Release(CONTENT, "please")
    assert judged(HEADER, asked).verdict == Verdict.LOADED
    assert judged(DAMAGED, asked).verdict == Verdict.HELD


def test_of_a_file_that_changed_no_row_is_counted() -> None:
    for fault in (CHANGING, UNREADABLE):
        assert (judged(fault).row_count, judged(fault).content) == (0, None)
    assert judged(HEADER).row_count == 2


def test_a_control_file_that_nobody_can_read_holds_its_day() -> None:
    unreadable = Fault(DropFault.CONTROL_UNREADABLE, "access denied")
    assert judged(None, control=unreadable).fault == unreadable
    assert judged(None, Release(CONTENT, "they rang"), unreadable).verdict == Verdict.LOADED


def test_of_files_in_wrong_places_the_first_are_named() -> None:
    files = [LandedFile(f"loose {n:03}.csv", "", 1, 1) for n in range(MOST_MISPLACED + 1)]
    named = misplaced_judgements(files)
    assert [judgement.file for judgement in named] == files[:MOST_MISPLACED]
    assert {(j.verdict, j.file.kind, j.file.delivery_date) for j in named} == {("HELD", "", None)}


def test_a_row_in_the_place_of_a_header_lands_without_its_card_number(spark: SparkSession) -> None:
    card, key = "4111111111111111", b"a key"
    rows = spark.createDataFrame(
        [(FILE.path, 1, "csv", f"e-1,t-1,{card}", "e-2,t-2,x"), (FILE.path, 2, "csv", "id", "e-3"),
         (FILE.path, 3, "json", None, "{}")],
        "path string, row_number long, format string, header string, raw string",
    )  # fmt: skip
    landed = drop_rows(rows, [CONTENT], key).orderBy("row_number").collect()
    assert landed[0]["header"].startswith("e-1,t-1,tok_")
    assert card not in landed[0]["header"]
    assert [row["header"] for row in landed[1:]] == ["id", None]
