"""An identity gets a next revision when it changed, vanished or came back, and only then."""

from __future__ import annotations

from datetime import date

import pytest
from pyspark.sql import SparkSession

from lakehouse.schema import Long, Record
from lakehouse.tables import Table
from silver.drops import Manifest
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


@pytest.mark.parametrize(
    ("wanted", "known", "appended"),
    [
        pytest.param([("a", "x", 1)], [], [("a", 0, False, "x", 1)], id="new: revision 0"),
        pytest.param(
            [("a", "y", 1)],
            [("a", 0, False, "x", 1)],
            [("a", 1, False, "y", 1)],
            id="changed",
        ),
        pytest.param(
            [("a", None, 1)],
            [("a", 0, False, "x", 1)],
            [("a", 1, False, None, 1)],
            id="changed to null",
        ),
        pytest.param([("a", None, 1)], [("a", 0, False, None, 1)], [], id="null as before"),
        pytest.param(
            [("a", "x", 2)],
            [("a", 0, False, "x", 1)],
            [],
            id="equal in what is compared",
        ),
        pytest.param(
            [],
            [("a", 3, False, "x", 1)],
            [("a", 4, True, "x", 1)],
            id="vanished: withdrawn with its facts as last known",
        ),
        pytest.param([], [("a", 4, True, "x", 1)], [], id="vanished already"),
        pytest.param(
            [("a", "x", 1)],
            [("a", 4, True, "x", 1)],
            [("a", 5, False, "x", 1)],
            id="came back",
        ),
    ],
)
def test_the_next_revision(
    spark: SparkSession,
    wanted: list[tuple[object, ...]],
    known: list[tuple[object, ...]],
    appended: list[tuple[object, ...]],
) -> None:
    rows = next_revisions(
        spark.createDataFrame(wanted, _WANTED),
        spark.createDataFrame(known, PARCELS.schema),
        differs("content"),
        PARCELS,
    )
    assert [tuple(row) for row in rows.collect()] == appended


def test_the_greatest_revision_stands(spark: SparkSession) -> None:
    rows = [("a", 0, False, "x", 1), ("a", 1, True, "x", 1), ("b", 0, False, "y", 1)]
    found = latest(spark.createDataFrame(rows, PARCELS.schema)).collect()
    assert sorted((row.identity, row.revision) for row in found) == [("a", 1), ("b", 0)]


def test_only_the_greatest_loaded_revision_of_a_path_counts(spark: SparkSession) -> None:
    manifest = Manifest.of([("p", 0), ("p", 1), ("q", 0)])
    rows = spark.createDataFrame(
        [("p", 0, "old"), ("p", 1, "new"), ("q", 0, "other")],
        "path string, file_revision int, raw string",
    )
    found = rows.where(~manifest.is_superseded()).collect()
    assert sorted(row.raw for row in found) == ["new", "other"]


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
