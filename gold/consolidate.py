"""silver.* -> gold.transactions: union what is new with what is known, derive, MERGE complete rows.

A batch may come again after a crash: its union is then what Gold already has, and nothing is
written. `--heal` reads nothing new: it looks at all of Gold, and mends what `lakehouse prove gold`
finds there.
"""

from __future__ import annotations

from functools import reduce
from typing import Annotated

import typer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from gold.consolidation import (
    LOCATED,
    Place,
    changes,
    days_of_interest,
    days_to_search,
    healed,
    in_places,
    is_stray,
    replaces,
    strays,
    within,
)
from gold.contributions import (
    batch_contributions,
    live_contributions,
    money_contributions,
    score_contributions,
)
from lakehouse.context import Lakehouse
from lakehouse.delta import ensured
from lakehouse.fold.precedence import load_precedence
from lakehouse.fold.proof import wrong_transactions
from lakehouse.fold.spark import Derivation, derivation, reduce_contributions
from lakehouse.fold.transitions import load_transitions
from lakehouse.frames import broadcast_if_few, keeping
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


def consolidate(
    lake: Lakehouse,
    heal: Annotated[
        bool,
        typer.Option("--heal", help="Mend rows of Gold that are doubled or not as derived; end."),
    ] = False,
) -> StreamingQuery | None:
    """Fold what is new in Silver into Gold; or heal Gold and end, whatever the trigger."""
    rules = lake.config.rules
    derived = derivation(load_precedence(rules.precedence), load_transitions(rules.transitions))
    if heal:
        heal_gold(lake, derived)
        return None
    streams = [made_of(lake.stream(table, with_versions=True)) for table, made_of in _SOURCES]
    contributions = reduce(DataFrame.unionByName, streams)
    return lake.each_batch(contributions, lambda rows, _: fold_into_gold(lake, rows, derived))


def fold_into_gold(lake: Lakehouse, rows: DataFrame, derived: Derivation) -> None:
    """Bring contributions, (transaction_id, contribution), into Gold by at most one commit.

    Raises:
        OvertakenError: another run has changed Gold meanwhile; these have to come again.
    """
    # kept as rows: a cached plan over Gold would be planned anew by the commit that changes Gold
    with keeping() as keep:
        new = keep(reduce_contributions(rows))
        interest = days_of_interest(new).collect()
        if not interest:
            return
        behind, gold = lake.turn(GOLD_TRANSACTIONS), lake.read(GOLD_TRANSACTIONS)
        keys = new.select("transaction_id", is_stray())
        if sum(day.sets for day in interest) <= _BROADCAST_UP_TO:
            keys = F.broadcast(keys)
        stretches = days_to_search([(day.day, day.is_own) for day in interest], lake.config.gold)
        located = gold.where(within(stretches)).join(keys, "transaction_id")
        near = located.groupBy("event_date", "region").agg(strays().alias("strays")).collect()
        places = {(place.event_date, place.region) for place in near}
        if sum(place.strays for place in near) != sum(day.strays for day in interest):
            # their own row, on the waiting day, would be the second one of the payment
            known = located.select("transaction_id")
            lost = keep(keys.where("is_stray").join(known, "transaction_id", "left_anti"))
            far = gold.where(~within(stretches)).join(broadcast_if_few(lost), "transaction_id")
            places |= _places(far)
        existing = gold.where(in_places(places)).join(keys, "transaction_id", "left_semi")
        _commit(lake, keep(changes(new, existing, derived)), behind)


def heal_gold(lake: Lakehouse, derived: Derivation) -> None:
    """Make each transaction one row, derived from all that its rows know, by at most one commit.

    Raises:
        OvertakenError: another run has changed Gold meanwhile.
    """
    with keeping() as keep:
        behind, gold = lake.turn(GOLD_TRANSACTIONS), lake.read(GOLD_TRANSACTIONS)
        wrong = keep(wrong_transactions(gold, derived)).select("transaction_id")
        rows = gold.join(broadcast_if_few(wrong), "transaction_id", "left_semi")
        _commit(lake, keep(healed(rows, derived)), behind)


def _commit(lake: Lakehouse, changed: DataFrame, behind: int) -> None:
    kinds = changed.select(*LOCATED).distinct().collect()
    if not kinds:
        return
    replaced = {(kind.located_date, kind.located_region) for kind in kinds if kind.located_date}
    gold = lake.writable(GOLD_TRANSACTIONS, behind)
    # with nothing to replace, nothing of Gold is read again
    merge = gold.alias("t").merge(changed.alias("s"), replaces(replaced))
    if any(kind.is_removal for kind in kinds):
        merge = merge.whenMatchedDelete("s.is_removal")
    if replaced:
        merge = merge.whenMatchedUpdateAll()
    # all columns of Gold, that is: those of LOCATED are none of it
    with ensured(gold.toDF().sparkSession, GOLD_TRANSACTIONS.name):
        merge.whenNotMatchedInsertAll("NOT s.is_removal").execute()


def _places(located: DataFrame) -> set[Place]:
    found = located.select("event_date", "region").distinct().collect()
    return {(row.event_date, row.region) for row in found}


if __name__ == "__main__":
    run(consolidate)
