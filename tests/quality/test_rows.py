"""Row rules: all that are broken, in their order, and the quarantine they lead to."""

from __future__ import annotations

from datetime import date

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.quality import RowRule, is_accepted, quarantined, with_violations
from lakehouse.tables import SILVER_QUARANTINE_LIVE


def test_every_broken_rule_is_named_in_order_and_null_is_not_broken(spark: SparkSession) -> None:
    rules = [
        RowRule("big", "x is big", F.col("x") > 1),
        RowRule("huge", "x is huge", F.col("x") > 10),
    ]
    numbers = spark.createDataFrame([(0,), (5,), (50,), (None,)], "x int")
    found = numbers.transform(with_violations, rules)
    assert [[v.rule_id for v in row.violations] for row in found.collect()] == [
        [], ["big"], ["big", "huge"], [],
    ]  # fmt: skip
    again = found.transform(with_violations, [RowRule("any", "any", F.lit(True))])
    row = again.where("x = 5").first()
    assert row is not None
    assert [violation.rule_id for violation in row.violations] == ["big", "any"]
    assert again.where(is_accepted()).isEmpty()


def test_refused_rows_go_to_quarantine_with_what_is_known_of_them(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [("kafka:t/0/1", b"{", date(2026, 3, 9), 1), ("kafka:t/0/2", b"{}", date(2026, 3, 9), 0)],
        "coordinates string, payload binary, quarantine_date date, x int",
    )
    judged = rows.transform(with_violations, [RowRule("one", "x is one", F.col("x") == 1)])
    (row,) = quarantined(judged, "bronze.transactions").collect()
    assert row.asDict() == {
        "source_table": "bronze.transactions", "coordinates": "kafka:t/0/1", "rule_ids": ["one"],
        "reasons": ["x is one"], "identity": None, "transaction_id": None,
        "payload": bytearray(b"{"), "quarantine_date": date(2026, 3, 9),
    }  # fmt: skip
    assert list(row.asDict()) == SILVER_QUARANTINE_LIVE.columns
