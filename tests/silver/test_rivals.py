"""What came concerns rows of other days, too: those are read, and they alone."""

from __future__ import annotations

from datetime import date

import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pytest import param

from lakehouse.tables import DROPS
from silver.contents import Manifest
from silver.drops import Drops, Source
from tests.silver.deliveries import transaction_id

EARLY, MIDDLE, LATE = (f"transactions/date=2026-03-{day:02}/a.jsonl" for day in (3, 4, 5))
WANTED, OTHER = transaction_id(1), transaction_id(2)
REFUSED = " is wrong"
ORDER = ("delivery_date", "file_revision", "row_number")

File = tuple[str, int, list[str]]
"""A path, a revision, and the transactions in it."""


def chosen_from(spark: SparkSession, files: list[File], new: str) -> dict[str, str]:
    """Which path has the standing row of each touched transaction, if one has."""
    rows = [
        (date.fromisoformat(path[18:28]), path, f"sha {path} {revision}", revision, number, "json",
         None, f'{{"id": "{text}"}}', 0)
        for path, revision, texts in files
        for number, text in enumerate(texts, start=1)
    ]  # fmt: skip
    bronze = spark.createDataFrame(rows, DROPS["transactions"].schema)
    published = bronze.select(F.concat(F.lit("of "), text_id()).alias("identity"))
    came = frozenset((path, revision) for path, revision, _ in files if path == new)
    drops = Drops.of(
        Source(
            bronze,
            lambda rows, _: rows.transform(by_id),
            keep=lambda frame: frame,
            named_by="transaction_id",
            published=published,
        ),
        Manifest(frozenset((path, revision) for path, revision, _ in files)),
        came,
        came,
    )
    return {row.transaction_id: row.path for row in drops.chosen(ORDER).collect()}


def by_id(rows: DataFrame) -> DataFrame:
    """A contract with one field; a row that says it is refused is so."""
    nothing = F.array().cast("array<struct<rule_id:string,reason:string>>")
    refused = F.array(F.struct(F.lit("no").alias("rule_id"), F.lit("no").alias("reason")))
    is_refused = F.col("raw").contains(REFUSED)
    return rows.withColumns(
        {
            "violations": F.when(is_refused, refused).otherwise(nothing),
            "transaction_id": text_id(),
            "identity": F.concat(F.lit("of "), text_id()),
        }
    )


def text_id() -> Column:
    """The one field."""
    return F.lower(F.substring(F.get_json_object("raw", "$.id"), 1, 36))


@pytest.mark.parametrize("files, new, standing", [
    param([(EARLY, 0, [WANTED]), (LATE, 0, [WANTED])], LATE, {WANTED: LATE},
          id="the later delivery stands"),
    param([(EARLY, 0, [WANTED]), (LATE, 0, [WANTED])], EARLY, {WANTED: LATE},
          id="also if the earlier one came last"),
    param([(EARLY, 0, [WANTED, OTHER]), (LATE, 0, [WANTED]), (LATE, 1, [])], LATE, {WANTED: EARLY},
          id="what a correction has no longer stands as it was delivered before"),
    param([(EARLY, 0, [WANTED]), (EARLY, 1, [OTHER]), (LATE, 0, [WANTED]), (LATE, 1, [])], LATE, {},
          id="but not in what was superseded itself"),
    param([(EARLY, 0, [WANTED]), (MIDDLE, 0, [OTHER, WANTED]), (LATE, 0, [WANTED]), (LATE, 1, [])],
          LATE, {WANTED: MIDDLE}, id="the latest of the others"),
    param([(EARLY, 0, [WANTED.upper()]), (LATE, 0, [WANTED]), (LATE, 1, [])], LATE, {WANTED: EARLY},
          id="in capitals"),
    param([(EARLY, 0, ["\\u0030" + WANTED[1:]]), (LATE, 0, [WANTED]), (LATE, 1, [])], LATE,
          {WANTED: EARLY}, id="or escaped"),
    param([(EARLY, 0, [WANTED]), (LATE, 0, [WANTED + REFUSED])], LATE, {WANTED: EARLY},
          id="a refused row leaves what was delivered before"),
    param([(EARLY, 0, [WANTED]), (LATE, 0, [WANTED, WANTED + REFUSED])], LATE, {WANTED: LATE},
          id="unless a good one stands beside it"),
])  # fmt: skip
def test_a_touched_row_stands_where_it_was_delivered_last(
    spark: SparkSession, files: list[File], new: str, standing: dict[str, str]
) -> None:
    assert chosen_from(spark, files, new) == standing
