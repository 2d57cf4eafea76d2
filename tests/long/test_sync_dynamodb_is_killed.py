"""sync_dynamodb killed in the middle of its pushes, before a store that throttles and forgets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from random import Random
from uuid import uuid4

import pytest
from pyspark.sql import SparkSession

from gold.compare_serving import compare_serving
from gold.sync_dynamodb import sync_dynamodb
from lakehouse.config import Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.job import execute
from lakehouse.lease import held_lease
from lakehouse.serving import lookup
from lakehouse.serving_table import ensure_table
from lakehouse.tables import GOLD_TRANSACTIONS
from tests.conftest import LOCAL, NOON, ROOT, SHORT_LIFE, override
from tests.faulty_dynamodb import Fault, in_front_of
from tests.gold.rows import a_gold_row, append, merge_gold

SEED = int(os.environ.get("LAKEHOUSE_TEST_SEED", "1"))
PAYMENTS = [f"t{number:03d}" for number in range(120)]
ROUNDS = 3
_FOREVER = 280


def test_killed_at_any_write_nothing_is_lost_and_nothing_goes_backwards(
    served: Config, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"replay with LAKEHOUSE_TEST_SEED={SEED}")
    rng = Random(SEED)
    override(monkeypatch, {"DYNAMODB__TABLE": f"killed-{uuid4().hex[:8]}"})
    config = Config.load(LOCAL)
    ensure_table(config.dynamodb)
    amounts = dict.fromkeys(PAYMENTS, 1_000)
    with held_lease(config, "consolidate") as lease:
        gold = Lakehouse(config, spark, "consolidate", Trigger("once", 1), lease, lambda: NOON)
        append(gold, GOLD_TRANSACTIONS, *[a_gold_row(each, amount="1000") for each in PAYMENTS])
        for round_ in range(ROUNDS):
            _killed_at(config, nth=rng.randrange(1, len(PAYMENTS)))
            newest = _versions(config)
            changed = rng.sample(PAYMENTS, 40)
            amounts |= dict.fromkeys(changed, 2000 + round_)
            merge_gold(gold, *[a_gold_row(each, amount=str(amounts[each])) for each in changed])
            _killed_at(config, nth=rng.randrange(1, 40))
            after = _versions(config)
            assert all(after[each] >= version for each, version in newest.items())
    execute(sync_dynamodb, config, trigger="once")
    report = execute(compare_serving, config, trigger="once")
    assert (report.compared, report.drifting) == (len(PAYMENTS), 0)
    stored = {each: lookup(config.dynamodb, each) for each in PAYMENTS}
    assert {each: item and item["gold"]["amount"] for each, item in stored.items()} == amounts


def _killed_at(config: Config, nth: int) -> None:
    """Run the job, whose process group dies at its n-th write, if it has as many to do."""
    rng, pids, seen = Random(f"{SEED} {nth}"), list[int](), 0
    faults = [Fault.NONE] * 6 + [Fault.THROTTLED, Fault.SERVER_ERROR, Fault.REPLY_LOST]

    def plan(_transaction_id: str, _attempt: int) -> Fault:
        nonlocal seen
        seen += 1
        if seen == nth:
            os.killpg(pids[0], signal.SIGKILL)
        return rng.choice(faults)

    with in_front_of(config.dynamodb, plan) as (through, _):
        reached = {"LAKEHOUSE__DYNAMODB__ENDPOINT_URL": str(through.endpoint_url)}
        words = [sys.executable, "-m", "gold.sync_dynamodb", "--config", str(LOCAL)]
        with subprocess.Popen(
            [*words, "--trigger", "once"], cwd=ROOT, env=os.environ | SHORT_LIFE | reached,
            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            pids.append(process.pid)
            _, said = process.communicate(timeout=_FOREVER)
    assert process.returncode == -signal.SIGKILL, f"it was not killed: {said[-2000:]!r}"
    assert seen >= nth


def _versions(config: Config) -> dict[str, int]:
    items = {each: lookup(config.dynamodb, each) for each in PAYMENTS}
    return {each: item["gold_version"] for each, item in items.items() if item}
