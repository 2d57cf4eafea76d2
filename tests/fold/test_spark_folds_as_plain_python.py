"""The Spark compilation equals the pure form, on shuffled, repeated, revised, withdrawn sets."""

from __future__ import annotations

import os
from random import Random
from typing import Any

from pydantic import BaseModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from gold.consolidation import LOCATED, changes
from lakehouse.fold import pure
from lakehouse.fold.rules import ExceptionRule, contribution_type
from lakehouse.fold.spark import derivation, reduce_contributions
from lakehouse.records.gold import Contribution
from lakehouse.tables import GOLD_TRANSACTIONS
from tests.fold.contributions import a_random_contribution, the_precedence, the_transitions
from tests.fold.plain import plain
from tests.gold.rows import frame

_SEED = int(os.environ.get("LAKEHOUSE_TEST_SEED", "3"))
_SETS, _BATCHES = 200, 3
_ROWS = StructType(
    [StructField("transaction_id", StringType()), StructField("contribution", contribution_type())]
)

Delivered = dict[str, list[Contribution]]


def test_spark_folds_as_plain_python(spark: SparkSession) -> None:
    print(f"replay with LAKEHOUSE_TEST_SEED={_SEED}")
    random = Random(_SEED)
    rules = the_precedence(), the_transitions()
    derived = derivation(*rules)
    delivered = {
        f"t-{n}": [a_random_contribution(random) for _ in range(random.randint(1, 12))]
        for n in range(_SETS)
    }
    expected = {
        transaction_id: pure.derive(transaction_id, pure.union((), contributions), *rules)
        for transaction_id, contributions in delivered.items()
    }
    told = {rule for row in expected.values() for rule in row["exceptions"]}
    assert told == set(ExceptionRule), "these sets show every rule"

    gold = frame(spark, GOLD_TRANSACTIONS, [])
    for batch in _cut_at_random(delivered, random):
        changed = changes(_sets(spark, batch), gold, derived).drop(*LOCATED)
        assert changed.columns == GOLD_TRANSACTIONS.columns
        assert _types(changed) == _types(gold)
        unchanged = gold.join(changed, "transaction_id", "left_anti")
        gold = unchanged.unionByName(changed).localCheckpoint()

    folded = {row["transaction_id"]: plain(row) for row in gold.collect()}
    assert folded.keys() == expected.keys()
    for transaction_id, row in expected.items():
        assert folded[transaction_id] == plain(row)


def _cut_at_random(delivered: Delivered, random: Random) -> list[list[tuple[str, Any]]]:
    """Each contribution twice, in any order, each time in any of the batches."""
    batches: list[list[tuple[str, Any]]] = [[] for _ in range(_BATCHES)]
    for transaction_id, contributions in delivered.items():
        for contribution in contributions * 2:
            random.choice(batches).append((transaction_id, _as_row(contribution)))
    for batch in batches:
        random.shuffle(batch)
    return batches


def _sets(spark: SparkSession, rows: list[tuple[str, Any]]) -> DataFrame:
    return reduce_contributions(spark.createDataFrame(rows, _ROWS))


def _types(rows: DataFrame) -> dict[str, str]:
    return {field.name: field.dataType.simpleString() for field in rows.schema}


def _as_row(contribution: Contribution) -> tuple[Any, ...]:
    values = (getattr(contribution, name) for name in contribution_type().fieldNames())
    return tuple(tuple(dict(v).values()) if isinstance(v, BaseModel) else v for v in values)
