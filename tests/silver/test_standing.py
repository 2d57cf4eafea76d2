"""Rows as they stand, found by the days that they lie on."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from silver.standing import days_of, standing_of, standing_on

FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)


class Revision(NamedTuple):
    """A row of some table of Silver."""

    identity: str
    revision: int
    event_date: date


REVISIONS = [
    Revision("as it came", 0, FIRST),
    Revision("corrected", 0, FIRST),
    Revision("corrected", 1, FIRST),
    Revision("moved", 0, FIRST),
    Revision("moved", 1, SECOND),
    Revision("of the second day", 0, SECOND),
]


def revisions(spark: SparkSession, rows: list[Revision]) -> DataFrame:
    return spark.createDataFrame(rows, "identity string, revision int, event_date date")


def keys(spark: SparkSession, *identities: str) -> DataFrame:
    return spark.createDataFrame([(identity,) for identity in identities], "identity string")


def told(rows: DataFrame) -> set[tuple[str, int]]:
    return {(row.identity, row.revision) for row in rows.collect()}


def test_a_row_stands_on_the_day_of_its_greatest_revision_alone(spark: SparkSession) -> None:
    found = standing_on(revisions(spark, REVISIONS), F.col("event_date") == FIRST)
    assert told(found) == {("as it came", 0), ("corrected", 1)}


def test_without_a_later_revision_all_stand(spark: SparkSession) -> None:
    firsts = [row for row in REVISIONS if row.revision == 0]
    found = standing_on(revisions(spark, firsts), F.col("event_date") == FIRST)
    assert told(found) == {("as it came", 0), ("corrected", 0), ("moved", 0)}


def test_days_of_rows_are_those_of_all_their_revisions(spark: SparkSession) -> None:
    table = revisions(spark, REVISIONS)
    assert days_of(table, keys(spark, "moved")) == {FIRST, SECOND}
    assert days_of(table, keys(spark, "unheard of")) == set()


def test_a_row_is_found_by_its_identity_wherever_it_lies(spark: SparkSession) -> None:
    table = revisions(spark, REVISIONS)
    assert told(standing_of(table, keys(spark, "moved", "as it came", "unheard of"))) == {
        ("moved", 1),
        ("as it came", 0),
    }
    assert told(standing_of(table, keys(spark, "unheard of"))) == set()
