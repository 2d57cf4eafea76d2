"""Whether every row of Gold, as of one version, is what its contributions say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.config import Config
from lakehouse.delta import check_schema, exists, latest_version, path_of
from lakehouse.errors import TableNotFoundError
from lakehouse.fold.precedence import load_precedence
from lakehouse.fold.proof import GoldFault, counting_withdrawn, faults, wrong_transactions
from lakehouse.fold.spark import derivation
from lakehouse.fold.transitions import load_transitions
from lakehouse.frames import broadcast_if_few, keeping
from lakehouse.tables import GOLD_TRANSACTIONS

_MOST_NAMED = 20


@dataclass(frozen=True)
class FoundFault:
    """One kind of fault: how many transactions have it, the first of them, and what differs."""

    fault: str
    transactions: int
    first: Sequence[str]  # transaction ids, in order, `_MOST_NAMED` at most
    columns: Sequence[str]  # that differ in one of the transactions, sorted


@dataclass(frozen=True)
class GoldProof:
    """What was found in all of `gold.transactions` as of a version."""

    version: int
    rows: int
    faults: Sequence[FoundFault]

    @property
    def holds(self) -> bool:
        """Whether each transaction is one row, and each row is derived from its contributions."""
        return not self.faults


def prove_gold(spark: SparkSession, config: Config) -> GoldProof:
    """Derive every row again, and compare all columns.

    Raises:
        TableNotFoundError: nothing was consolidated yet.
    """
    path = path_of(config, GOLD_TRANSACTIONS)
    if not exists(spark, path):
        raise TableNotFoundError(GOLD_TRANSACTIONS.name, GOLD_TRANSACTIONS.written_by)
    # several queries read it, and consolidation may go on meanwhile
    version = latest_version(spark, path)
    gold = spark.read.format("delta").option("versionAsOf", version).load(path)
    check_schema(gold, GOLD_TRANSACTIONS)
    rules = config.rules
    derived = derivation(load_precedence(rules.precedence), load_transitions(rules.transitions))
    with keeping() as keep:
        wrong = keep(wrong_transactions(gold, derived))
        ids = broadcast_if_few(wrong.select("transaction_id"))
        wrong_rows = gold.join(ids, "transaction_id", "left_semi")
        found = keep(faults(wrong, counting_withdrawn(wrong_rows, derived)))
        return GoldProof(version, gold.count(), _summaries(found))


def _summaries(found: DataFrame) -> list[FoundFault]:
    counted = found.groupBy("fault").agg(
        F.count(F.lit(1)).alias("transactions"),
        F.array_sort(F.array_distinct(F.flatten(F.collect_set("columns")))).alias("columns"),
    )
    of_kind: Mapping[str, tuple[int, list[str]]] = {
        row.fault: (row.transactions, row.columns) for row in counted.collect()
    }
    return [
        FoundFault(str(kind), of_kind[kind][0], _first(found, kind), of_kind[kind][1])
        for kind in GoldFault
        if kind in of_kind
    ]


def _first(found: DataFrame, kind: GoldFault) -> list[str]:
    of_kind = found.where(F.col("fault") == str(kind)).orderBy("transaction_id")
    return [row.transaction_id for row in of_kind.limit(_MOST_NAMED).collect()]
