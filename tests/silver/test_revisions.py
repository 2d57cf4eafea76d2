"""An identity gets a next revision when it changed, vanished or came back, and only then."""

from __future__ import annotations

from datetime import date

import pytest
from pyspark.sql import SparkSession

from lakehouse.schema import Long, Record
from lakehouse.tables import Table
from silver.revisions import chosen, differs, latest, next_revisions


class Parcel(Record):
    """A contribution as small as one can be."""

    identity: str
    revision: int
    withdrawn: bool
    content: str | None
    weight: Long


PARCELS = Table("silver.parcels", Parcel, written_by="nobody")
_WANTED = "identity string, content string, weight bigint"


Fact = tuple[object, ...]

CASES: dict[str, tuple[list[Fact], list[Fact], list[Fact]]] = {
    # wanted (content, weight), known and appended (revision, withdrawn, content, weight)
    "new: revision 0": ([("x", 1)], [], [(0, False, "x", 1)]),
    "changed": ([("y", 1)], [(0, False, "x", 1)], [(1, False, "y", 1)]),
    "changed to null": ([(None, 1)], [(0, False, "x", 1)], [(1, False, None, 1)]),
    "null as before": ([(None, 1)], [(0, False, None, 1)], []),
    "equal in what is compared": ([("x", 2)], [(0, False, "x", 1)], []),
    "vanished: withdrawn with its facts as last known": (
        [],
        [(3, False, "x", 1)],
        [(4, True, "x", 1)],
    ),
    "vanished already": ([], [(4, True, "x", 1)], []),
    "came back": ([("x", 1)], [(4, True, "x", 1)], [(5, False, "x", 1)]),
}


@pytest.fixture(scope="module")
def appended(spark: SparkSession) -> dict[str, list[Fact]]:
    """What each case appends: its name is the identity, so one query judges all."""
    wanted = [(case, *row) for case, (rows, _, _) in CASES.items() for row in rows]
    known = [(case, *row) for case, (_, rows, _) in CASES.items() for row in rows]
    rows = next_revisions(
        spark.createDataFrame(wanted, _WANTED),
        spark.createDataFrame(known, PARCELS.schema),
        differs("content"),
        PARCELS,
    )
    found: dict[str, list[Fact]] = {case: [] for case in CASES}
    for identity, *fact in rows.collect():
        found[identity].append(tuple(fact))
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_next_revision(appended: dict[str, list[Fact]], case: str) -> None:
    assert appended[case] == CASES[case][-1]


def test_the_greatest_revision_stands(spark: SparkSession) -> None:
    rows = [("a", 0, False, "x", 1), ("a", 1, True, "x", 1), ("b", 0, False, "y", 1)]
    found = latest(spark.createDataFrame(rows, PARCELS.schema)).collect()
    assert sorted((row.identity, row.revision) for row in found) == [("a", 1), ("b", 0)]


def test_the_declared_order_chooses_and_a_missing_sequence_is_least(
    spark: SparkSession,
) -> None:
    rows = spark.createDataFrame(
        [
            ("a", date(2026, 3, 2), None, "no sequence"),
            ("a", date(2026, 3, 2), 1, "wins"),
            ("a", date(2026, 3, 1), 9, "delivered sooner"),
        ],
        "identity string, delivery_date date, sequence int, raw string",
    )
    found = chosen(rows, ("identity",), ("delivery_date", "sequence")).collect()
    assert [row.raw for row in found] == ["wins"]
