"""The Spark compilation equals the pure form, on shuffled, repeated, revised, withdrawn sets."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from pydantic import BaseModel
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from gold.consolidation import LOCATED, changes
from lakehouse.fold import pure
from lakehouse.fold.rules import contribution_type
from lakehouse.fold.spark import derivation, reduce_contributions
from lakehouse.records.gold import Contribution
from lakehouse.tables import GOLD_TRANSACTIONS
from tests.fold.contributions import a_random_contribution, the_precedence, the_transitions
from tests.gold.rows import frame

_SETS = 150
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
    derived = derivation(the_precedence(), the_transitions())

    known = derived(_sets(spark, halves[0])).localCheckpoint()
    changed = changes(_sets(spark, halves[1]), known, derived).drop(*LOCATED)

    assert known.columns == changed.columns == GOLD_TRANSACTIONS.columns
    assert _types(known) == _types(changed) == _types(frame(spark, GOLD_TRANSACTIONS, []))
    rows = [*known.collect(), *changed.collect()]
    folded = {row["transaction_id"]: _plain(row) for row in rows}
    for transaction_id, contributions in delivered.items():
        expected = pure.derive(
            transaction_id, pure.union((), contributions), the_precedence(), the_transitions()
        )
        assert folded[transaction_id] == _plain(expected)


def _sets(spark: SparkSession, rows: list[tuple[str, Any]]) -> DataFrame:
    return reduce_contributions(spark.createDataFrame(rows, _ROWS))


def _types(rows: DataFrame) -> dict[str, str]:
    return {field.name: field.dataType.simpleString() for field in rows.schema}


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
