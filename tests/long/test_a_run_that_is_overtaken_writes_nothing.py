"""A run that lost its lease between its check and its commit, and another that committed before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.consolidate import fold_into_gold, heal_gold
from gold.contributions import live_contributions, money_contributions
from lakehouse.context import Lakehouse
from lakehouse.errors import OvertakenError
from lakehouse.fold.precedence import load_precedence
from lakehouse.fold.spark import Derivation, derivation
from lakehouse.fold.transitions import load_transitions
from lakehouse.tables import (
    GOLD_TRANSACTIONS,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
)
from tests.gold.rows import frame
from tests.gold.stalled import begun, committing, stalled
from tests.long.test_consolidate_folds_silver_into_gold import (
    a_live_event,
    a_settlement,
    rows_of,
    version_of,
)


@pytest.fixture
def lake(lake_for: Callable[[str], Lakehouse]) -> Lakehouse:
    """An empty lake."""
    return lake_for("consolidate")


@pytest.fixture
def derived(lake: Lakehouse) -> Derivation:
    """The project's own rules."""
    rules = lake.config.rules
    return derivation(load_precedence(rules.precedence), load_transitions(rules.transitions))


def test_what_was_overtaken_is_not_written_and_comes_in_when_it_comes_again(
    lake: Lakehouse, derived: Derivation
) -> None:
    paid = payments(lake, "t-1", "t-2")
    with pytest.raises(OvertakenError, match=r"gold\.transactions"):
        fold_into_gold(stalled(lake, lambda: fold_into_gold(lake, paid, derived)), paid, derived)
    assert rows_of(lake).keys() == {"t-1", "t-2"}, "no row is there twice"

    # what another run has added is not replaced by what was before it
    first, second = settlements(lake, "t-1", "a"), settlements(lake, "t-1", "b")
    with pytest.raises(OvertakenError):
        fold_into_gold(stalled(lake, lambda: fold_into_gold(lake, first, derived)), second, derived)
    assert rows_of(lake)["t-1"].settled_amount == 1000
    fold_into_gold(lake, second, derived)
    assert rows_of(lake)["t-1"].settled_amount == 2000


def test_healing_is_overtaken_and_compaction_overtakes_nobody(
    lake: Lakehouse, derived: Derivation
) -> None:
    fold_into_gold(lake, payments(lake, "t-1", "t-2"), derived)
    wrong = [{**row.asDict(recursive=True), "amount": 7} for row in rows_of(lake).values()]
    lake.append(frame(lake.spark, GOLD_TRANSACTIONS, wrong), to=GOLD_TRANSACTIONS)
    money = settlements(lake, "t-1", "a")
    with pytest.raises(OvertakenError):
        heal_gold(stalled(lake, lambda: fold_into_gold(lake, money, derived)), derived)

    fold_into_gold(lake, payments(lake, "t-3"), derived)  # a second file of that day
    heal_gold(stalled(lake, lambda: compact(lake)), derived)
    healed = rows_of(lake)
    assert {row.amount for row in healed.values()} == {1000}
    assert healed["t-1"].settled_amount == 1000


def test_of_two_runs_on_either_side_of_a_compaction_one_commits(
    lake: Lakehouse, derived: Derivation
) -> None:
    fold_into_gold(lake, payments(lake, "t-1"), derived)
    fold_into_gold(lake, payments(lake, "t-2"), derived)  # a second file of that day
    paid = payments(lake, "t-3")
    with begun(lambda first: fold_into_gold(first, paid, derived), lake) as finish_the_first:
        compact(lake)
        # the later run has read a greater version, and neither has read what the other commits
        with pytest.raises(OvertakenError):
            fold_into_gold(stalled(lake, finish_the_first), paid, derived)
    assert rows_of(lake).keys() == {"t-1", "t-2", "t-3"}, "no row is there twice"


def test_what_is_committed_while_a_run_commits_overtakes_it_as_well(
    lake: Lakehouse, derived: Derivation
) -> None:
    fold_into_gold(lake, payments(lake, "t-1"), derived)
    fold_into_gold(lake, payments(lake, "t-2"), derived)  # a second file of that day
    money = settlements(lake, "t-1", "a")

    def fold(first: Lakehouse) -> None:
        fold_into_gold(first, money, derived)

    def fold_another() -> None:
        fold_into_gold(lake, payments(lake, "t-3"), derived)

    for other in (fold_another, partial(compact, lake)):
        with committing(fold, lake) as finish_the_first:
            other()
            with pytest.raises(OvertakenError, match="Nothing is lost"):
                finish_the_first()
        assert rows_of(lake)["t-1"].settled_amount == 0
    fold(lake)
    assert rows_of(lake)["t-1"].settled_amount == 1000


def compact(lake: Lakehouse) -> None:
    before = version_of(lake)
    lake.writable(GOLD_TRANSACTIONS).optimize().executeCompaction()
    assert version_of(lake) > before


def payments(lake: Lakehouse, *ids: str) -> DataFrame:
    rows = frame(lake.spark, SILVER_LIVE_TRANSACTIONS, [a_live_event(each) for each in ids])
    return live_contributions(rows.withColumn("_commit_version", F.lit(1)))


def settlements(lake: Lakehouse, transaction_id: str, identity: str) -> DataFrame:
    event = a_settlement(transaction_id, identity=identity)
    rows = frame(lake.spark, SILVER_MONEY_EVENTS, [event])
    return money_contributions(rows.withColumn("_commit_version", F.lit(1)))
