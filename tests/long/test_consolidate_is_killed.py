"""consolidate killed before, amid and behind its MERGE: Gold is the fold of Silver all the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gold.account import CONTRIBUTING
from gold.following import newest_gold_version
from gold.money import contribution_items
from gold.prove_history import prove_history
from gold.record_history import record_history
from lakehouse.context import Lakehouse
from lakehouse.fold.precedence import load_precedence
from lakehouse.fold.proof import wrong_transactions
from lakehouse.fold.spark import derivation
from lakehouse.fold.transitions import load_transitions
from lakehouse.tables import (
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
)
from tests.faults.world import killed
from tests.gold.as_of import remembered, travelled
from tests.gold.rows import append
from tests.long.test_consolidate_folds_silver_into_gold import (
    a_batch_row,
    a_live_event,
    a_settlement,
    consolidated,
    rows_of,
    version_of,
)

pytestmark = pytest.mark.timeout(600)

Opener = Callable[[str], Lakehouse]


def test_killed_anywhere_gold_is_the_fold_of_silver_and_history_is_gold(lake_for: Opener) -> None:
    silver = lake_for("enrich_live")
    # every row is new
    append(silver, SILVER_LIVE_TRANSACTIONS, a_live_event("paid"), a_live_event("declined"))
    killed("consolidate", "amid", GOLD_TRANSACTIONS, 1)
    silver.read(GOLD_TRANSACTIONS)
    assert version_of(silver) == 0, "killed before its commit"
    # rows change, come, and leave the day on which they waited
    append(silver, SILVER_MONEY_EVENTS, a_settlement("paid"), a_settlement("early"))
    killed("consolidate", "behind", GOLD_TRANSACTIONS, 1)
    first = version_of(silver)
    assert first > 0, "killed behind its commit"
    append(silver, SILVER_BATCH_TRANSACTIONS, a_batch_row("early"), a_batch_row("paid"))
    append(silver, SILVER_MONEY_EVENTS, a_settlement("paid", revision=1, withdrawn=True))
    killed("consolidate", "before", GOLD_TRANSACTIONS, 1)
    killed("consolidate", "amid", GOLD_TRANSACTIONS, 1)
    assert version_of(silver) == first, "killed before its commit"

    gold = lake_for("consolidate")
    consolidated(gold)
    assert version_of(gold) == first + 1, "what came again changes nothing"
    assert rows_of(gold).keys() == {"paid", "declined", "early"}
    assert_is_the_fold_of_silver(gold)

    history = lake_for("record_history")
    record_history(history)
    versions = range(newest_gold_version(gold) + 1)
    assert remembered(history, versions) == travelled(history, versions)
    assert prove_history(history).breaks == []


def assert_is_the_fold_of_silver(gold: Lakehouse) -> None:
    """Gold has each contribution of Silver once, and says what they say."""
    rows, rules = gold.read(GOLD_TRANSACTIONS), gold.config.rules
    silver = [(kind, gold.read(kind.table)) for kind in CONTRIBUTING]
    differing = contribution_items(silver, rows).where("kind IS NOT NULL")
    assert differing.collect() == []
    derived = derivation(load_precedence(rules.precedence), load_transitions(rules.transitions))
    assert wrong_transactions(rows, derived).collect() == []
