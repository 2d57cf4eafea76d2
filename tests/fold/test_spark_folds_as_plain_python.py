"""The Spark compilation equals the pure form, on shuffled, repeated, revised, withdrawn sets."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from pydantic import BaseModel
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from lakehouse.fold import pure
from lakehouse.fold.rules import contribution_type
from lakehouse.fold.spark import derive, reduce_contributions, union_sets
from lakehouse.records.gold import Contribution
from lakehouse.tables import GOLD_TRANSACTIONS
from tests.fold.contributions import a_random_contribution, the_precedence

_GOLD = GOLD_TRANSACTIONS.schema
_SETS = 300
_ROWS = StructType(
    [StructField("transaction_id", StringType()), StructField("contribution", contribution_type())]
)


def test_spark_folds_as_plain_python(spark: SparkSession) -> None:
    random = Random(3)
    delivered = {
        f"t-{n}": [a_random_contribution(random) for _ in range(random.randint(1, 12))]
        for n in range(_SETS)
    }
    halves: tuple[list[tuple[str, Any]], ...] = ([], [])
    for transaction_id, contributions in delivered.items():
        for contribution in contributions * 2:
            halves[random.randint(0, 1)].append((transaction_id, _as_row(contribution)))
    for half in halves:
        random.shuffle(half)
    left, right = (_sets(spark, half) for half in halves)

    others = right.withColumnRenamed("contributions", "others")
    both = left.join(others, "transaction_id", "full")
    united = union_sets(_or_empty("contributions"), _or_empty("others"))
    rows = derive(both.select("transaction_id", united.alias("contributions")), the_precedence())

    assert rows.columns == GOLD_TRANSACTIONS.columns
    actual = {row["transaction_id"]: _plain(row) for row in rows.collect()}
    for transaction_id, contributions in delivered.items():
        expected = pure.derive(transaction_id, pure.union((), contributions), the_precedence())
        assert actual[transaction_id] == _plain(expected)


def test_the_types_are_those_of_the_table(spark: SparkSession) -> None:
    rows = derive(_sets(spark, []), the_precedence())
    actual = {field.name: field.dataType.simpleString() for field in rows.schema}
    assert actual == {field.name: field.dataType.simpleString() for field in _GOLD}


def _sets(spark: SparkSession, rows: list[tuple[str, Any]]) -> DataFrame:
    return reduce_contributions(spark.createDataFrame(rows, _ROWS))


def _or_empty(column: str) -> Column:
    return F.coalesce(column, F.array())


def _as_row(contribution: Contribution) -> tuple[Any, ...]:
    values = (getattr(contribution, name) for name in contribution_type().fieldNames())
    return tuple(tuple(dict(v).values()) if isinstance(v, BaseModel) else v for v in values)


def _plain(value: Any) -> Any:
    """Spark's rows and the pure form's records as equal plain values."""
    if isinstance(value, Row):
        return {name: _plain(item) for name, item in value.asDict().items()}
    if isinstance(value, BaseModel):
        return {name: _plain(item) for name, item in value}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC)  # a collected timestamp is in this machine's zone
    return value
