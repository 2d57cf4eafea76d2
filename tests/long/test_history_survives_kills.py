"""record_history killed at any instant of a busy Gold: each version is as time travel has it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from gold.chain import links_of, verify
from gold.following import newest_gold_version
from gold.prove_history import prove_history
from gold.record_history import complete_through, record_history
from lakehouse.context import Lakehouse
from lakehouse.tables import GOLD_HISTORY_CHAIN, GOLD_TRANSACTION_HISTORY
from tests.faults.world import FIRST_SEED, killed
from tests.gold.as_of import remembered, travelled
from tests.gold.busy import busy

pytestmark = pytest.mark.timeout(900)

Opener = Callable[[str], Lakehouse]
# between the two appends: behind history, and before the chain with its head signed already; amid
# an append its files are there, and its commit is not
MOMENTS = (
    ("behind", GOLD_TRANSACTION_HISTORY),
    ("before", GOLD_HISTORY_CHAIN),
    ("amid", GOLD_TRANSACTION_HISTORY),
    ("before", GOLD_TRANSACTION_HISTORY),
    ("amid", GOLD_HISTORY_CHAIN),
    ("behind", GOLD_HISTORY_CHAIN),
)


def test_history_as_of_equals_time_travel_for_every_version_of_a_busy_run(
    lake_for: Opener,
) -> None:
    print(f"replay with LAKEHOUSE_TEST_SEED={FIRST_SEED}")
    rng, gold = random.Random(FIRST_SEED), lake_for("consolidate")
    for moment, table in MOMENTS:
        busy(gold, rng, merges=rng.randint(3, 4))
        version = gold.version(table)
        killed("record_history", moment, table, 1)
        commits = gold.version(table) - version
        assert commits == (1 if moment == "behind" else 0), f"not killed {moment} {table.name}"
    busy(gold, rng, merges=2)
    history = lake_for("record_history")
    record_history(history)

    versions = range(newest_gold_version(gold) + 1)
    assert complete_through(history) == versions[-1] >= 16
    operations = Counter(link.operation for link in links_of(history.read(GOLD_HISTORY_CHAIN)))
    assert operations["OPTIMIZE"] > 0, "a run without compaction proves less"
    assert verify(links_of(history.read(GOLD_HISTORY_CHAIN))) == []
    rows = history.read(GOLD_TRANSACTION_HISTORY).select("gold_version", "transaction_id")
    assert [key for key, count in Counter(map(tuple, rows.collect())).items() if count > 1] == []
    assert remembered(history, versions) == travelled(history, versions)
    assert prove_history(history).breaks == []
