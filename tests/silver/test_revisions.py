"""An identity gets a next revision when it changed, vanished or came back, and only then."""

from __future__ import annotations

from datetime import date

import pytest
from pyspark.sql import Column, SparkSession

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


MOVES: dict[str, tuple[list[Fact], list[Fact], list[Fact]]] = {
    # the content is the owner here: facts as above
    "to another": (
        [("y", 2)],
        [(0, False, "x", 1)],
        [(1, True, "x", 1), (2, False, "y", 2)],
    ),
    "withdrawn, then to another": ([("y", 2)], [(1, True, "x", 1)], [(2, False, "y", 2)]),
    "stays where it is": ([("x", 2)], [(0, False, "x", 1)], [(1, False, "x", 2)]),
    "goes": ([], [(0, False, "x", 1)], [(1, True, "x", 1)]),
    "comes": ([("x", 1)], [], [(0, False, "x", 1)]),
    "as it was": ([("x", 1)], [(0, False, "x", 1)], []),
}


@pytest.fixture(scope="module")
def moved(spark: SparkSession) -> dict[str, list[Fact]]:
    """What each case appends whose rows belong to one who counts them."""
    return appended_of(spark, MOVES, differs("content", "weight"), owner="content")


@pytest.mark.parametrize("case", MOVES)
def test_a_row_that_goes_to_another_owner_is_withdrawn_from_the_first(
    moved: dict[str, list[Fact]], case: str
) -> None:
    assert sorted(moved[case]) == MOVES[case][-1]


@pytest.fixture(scope="module")
def appended(spark: SparkSession) -> dict[str, list[Fact]]:
    """What each case appends, by what its content says."""
    return appended_of(spark, CASES, differs("content"))


def appended_of(
    spark: SparkSession,
    cases: dict[str, tuple[list[Fact], list[Fact], list[Fact]]],
    changed: Column,
    owner: str | None = None,
) -> dict[str, list[Fact]]:
    """What each case appends: its name is the identity, so one query judges all."""
    wanted = [(case, *row) for case, (rows, _, _) in cases.items() for row in rows]
    known = [(case, *row) for case, (_, rows, _) in cases.items() for row in rows]
    rows = next_revisions(
        spark.createDataFrame(wanted, _WANTED),
        spark.createDataFrame(known, PARCELS.schema),
        changed,
        PARCELS,
        owner,
    )
    found: dict[str, list[Fact]] = {case: [] for case in cases}
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
