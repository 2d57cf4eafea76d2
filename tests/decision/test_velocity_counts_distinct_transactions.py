"""Velocity equals an independent answer in plain Python, whatever the order and the repetition."""

from __future__ import annotations

import os
import random
from datetime import timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.decision import decide, load_rules
from tests.conftest import NOON, ROOT
from tests.decision.builders import (
    a_payment,
    a_policy,
    payments_frame,
    policy_book,
    scores_frame,
)

RULES = load_rules(ROOT / "conf" / "decision.yaml")
SEED = int(os.environ.get("DECISION_SEED", random.randrange(1_000_000)))
WINDOWS = {"v1": 7, "v2": 60, "v3": 3600, "v4": 9_999_999_999_999}


def _limit(policy_id: str, seconds: Any, **facts: Any) -> dict[str, Any]:
    data = {"rule": "velocity_limit", "max_count": 3, "window_seconds": seconds}
    return a_policy(policy_id, data, **facts)


def _events(rng: random.Random) -> list[dict[str, Any]]:
    """Bursts of few users on a coarse clock: ties of time, and several events per transaction."""
    events = []
    for number in range(400):
        seconds = rng.choice([rng.randrange(90), rng.randrange(90), rng.randrange(9000)])
        events.append(
            a_payment(
                f"t{rng.randrange(250)}",
                identity=f"event-{number}",
                user_id=f"user-{rng.randrange(4)}",
                timestamp=NOON + timedelta(seconds=seconds - 4500, milliseconds=rng.choice([0, 1])),
                transaction_status=rng.choice(["AUTHORIZED", "PENDING", "DECLINED"]),
            )
        )
    return events


def _count(payment: dict[str, Any], events: list[dict[str, Any]], seconds: int) -> int:
    others = {
        event["transaction_id"]
        for event in events
        if event["user_id"] == payment["user_id"]
        and event["transaction_status"] != "DECLINED"
        and (event["timestamp"], event["transaction_id"])
        < (payment["timestamp"], payment["transaction_id"])
        and (payment["timestamp"] - event["timestamp"]).total_seconds() <= seconds
    }
    return len(others | {payment["transaction_id"]})


def test_counts_equal_the_plain_answer_in_any_order(spark: SparkSession) -> None:
    rng = random.Random(SEED)
    events = _events(rng)
    policies = [_limit(name, seconds) for name, seconds in WINDOWS.items()]
    # live sees events one by one and again; batch sees them all
    repeated = [*events, *rng.sample(events, 100)]
    rng.shuffle(repeated)
    decided = decide(
        payments_frame(spark, events),
        earlier=payments_frame(spark, repeated).repartition(3),
        scores=scores_frame(spark, []),
        policies=policy_book(spark, policies),
        rules=RULES,
    ).collect()
    found = {
        row.identity: {counted.policy_id: counted["count"] for counted in row.velocity}
        for row in decided
    }
    expected = {
        event["identity"]: {
            name: _count(event, events, seconds) for name, seconds in WINDOWS.items()
        }
        for event in events
    }
    assert found == expected, f"DECISION_SEED={SEED}"
    assert len(decided) == len(events)
    assert max(counts["v3"] for counts in expected.values()) > 10, "the data shows nothing"


@pytest.mark.parametrize(
    "policies, seconds",
    [
        pytest.param([], 0, id="no policy"),
        pytest.param([_limit("a", 60), _limit("b", 3600)], 3600, id="the longest"),
        pytest.param([_limit("a", 60), _limit("b", "soon")], 60, id="unreadable ones count not"),
        pytest.param([_limit("a", 0)], 0, id="no window"),
        pytest.param([_limit("a", 60, effective_to=NOON)], 60, id="also one that has ended"),
    ],
)
def test_the_longest_window_says_how_far_back_history_matters(
    spark: SparkSession, policies: list[dict[str, Any]], seconds: int
) -> None:
    assert policy_book(spark, policies).longest_window_seconds == seconds
