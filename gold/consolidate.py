"""silver.* -> gold.transactions: union what is new with what is known, derive, MERGE complete rows.

A batch may come again after a crash: its union is then what Gold already has, and nothing is
written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from gold.consolidation import (
    LOCATED,
    Place,
    changes,
    days_of_interest,
    days_to_search,
    in_places,
    replaces,
    within,
)
from gold.contributions import (
    batch_contributions,
    live_contributions,
    money_contributions,
    score_contributions,
)
from lakehouse.context import Lakehouse
from lakehouse.fold.precedence import load_precedence
from lakehouse.fold.spark import Derivation, derivation, reduce_contributions
from lakehouse.job import run
from lakehouse.tables import (
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    SILVER_OFFLINE_SCORES,
)

_SOURCES = (
    (SILVER_LIVE_TRANSACTIONS, live_contributions),
    (SILVER_BATCH_TRANSACTIONS, batch_contributions),
    (SILVER_MONEY_EVENTS, money_contributions),
    (SILVER_FRAUD_SCORES, score_contributions),
    (SILVER_OFFLINE_SCORES, score_contributions),
)
_BROADCAST_UP_TO = 500_000  # transaction ids: some 50 MB in each executor


def consolidate(lake: Lakehouse) -> StreamingQuery:
    """Fold what is new in Silver into Gold."""
    derived = derivation(load_precedence(lake.config.rules.precedence))
    streams = [made_of(lake.stream(table, with_versions=True)) for table, made_of in _SOURCES]
    contributions = reduce(DataFrame.unionByName, streams)
    return lake.each_batch(contributions, lambda rows, _: fold_into_gold(lake, rows, derived))


def fold_into_gold(lake: Lakehouse, rows: DataFrame, derived: Derivation) -> None:
    """Bring contributions, (transaction_id, contribution), into Gold by at most one commit."""
    with _kept(reduce_contributions(rows)) as new:
        interest = days_of_interest(new).collect()
        if not interest:
            return
        gold, keys = lake.read(GOLD_TRANSACTIONS), new.select("transaction_id")
        if sum(day.sets for day in interest) <= _BROADCAST_UP_TO:
            keys = F.broadcast(keys)
        stretches = days_to_search([(day.day, day.is_own) for day in interest], lake.config.gold)
        located = gold.where(within(stretches)).join(keys, "transaction_id", "left_semi")
        existing = gold.where(in_places(_places(located))).join(keys, "transaction_id", "left_semi")
        with _kept(changes(new, existing, derived)) as changed:
            _commit(lake, changed)


def _commit(lake: Lakehouse, changed: DataFrame) -> None:
    old = changed.select("located_date", "located_region").distinct().collect()
    replaced = {(row.located_date, row.located_region) for row in old if row.located_date}
    if old and not replaced:
        # nothing to match: the same rows as by a MERGE, without reading Gold again
        new = changed.drop(*LOCATED).repartition(*GOLD_TRANSACTIONS.partitioned_by)
        lake.append(new, to=GOLD_TRANSACTIONS)
    elif old:
        columns: dict[str, str | Column] = {name: f"s.{name}" for name in GOLD_TRANSACTIONS.columns}
        (
            lake.writable(GOLD_TRANSACTIONS)
            .alias("t")
            .merge(changed.alias("s"), replaces(replaced))
            .whenMatchedDelete("s.is_removal")
            .whenMatchedUpdate(set=columns)
            .whenNotMatchedInsert("NOT s.is_removal", values=columns)
            .execute()
        )


def _places(located: DataFrame) -> set[Place]:
    found = located.select("event_date", "region").distinct().collect()
    return {(row.event_date, row.region) for row in found}


@contextmanager
def _kept(rows: DataFrame) -> Iterator[DataFrame]:
    kept = rows.persist()
    try:
        yield kept
    finally:
        kept.unpersist()


if __name__ == "__main__":
    run(consolidate)
