"""Counts and sums equal an independent plain answer, whatever the order and the repetition."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
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


def _sum_limit(policy_id: str, seconds: Any, **limits: Any) -> dict[str, Any]:
    limit = {"max_amount": 5000, "currency": "EUR"} | limits
    return a_policy(policy_id, {"rule": "velocity_limit", "window_seconds": seconds} | limit)


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
                amount=str(rng.randrange(1, 3000)),
                currency=rng.choice(["EUR", "EUR", "USD"]),
            )
        )
    return events


def _answer(
    payment: dict[str, Any], events: list[dict[str, Any]], seconds: int
) -> tuple[int, Decimal | None]:
    """Count, and sum in EUR of a payment in EUR."""
    others = [
        event
        for event in events
        if event["user_id"] == payment["user_id"]
        and event["transaction_status"] != "DECLINED"
        and event["transaction_id"] != payment["transaction_id"]
        and (event["timestamp"], event["transaction_id"])
        < (payment["timestamp"], payment["transaction_id"])
        and (payment["timestamp"] - event["timestamp"]).total_seconds() <= seconds
    ]
    greatest: dict[str, Decimal] = {}
    for event in others:
        if event["currency"] == "EUR":
            known = greatest.get(event["transaction_id"], Decimal(0))
            greatest[event["transaction_id"]] = max(known, event["amount"])
    amount = payment["amount"] + sum(greatest.values()) if payment["currency"] == "EUR" else None
    return len({event["transaction_id"] for event in others}) + 1, amount


@pytest.mark.parametrize("is_repeated", [True, False], ids=["earlier again", "earlier at once"])
@pytest.mark.parametrize("is_few", [True, False], ids=["few policies", "many policies"])
def test_counts_and_sums_equal_the_plain_answer_in_any_order(
    spark: SparkSession, is_repeated: bool, is_few: bool
) -> None:
    rng = random.Random(SEED)
    events = _events(rng)
    policies = [_sum_limit(name, seconds) for name, seconds in WINDOWS.items()]
    policies.append(_limit("count only", 60))
    # live sees events one by one and again; batch sees them all
    repeated = [*events, *rng.sample(events, 100)] if is_repeated else []
    rng.shuffle(repeated)
    book = policy_book(spark, policies)
    decided = decide(
        payments_frame(spark, events),
        earlier=payments_frame(spark, repeated).repartition(3),
        scores=scores_frame(spark, []),
        policies=book if is_few else replace(book, each=()),
        rules=RULES,
    ).collect()
    found = {
        row.identity: {
            counted.policy_id: (counted["count"], counted["amount"]) for counted in row.velocity
        }
        for row in decided
    }
    expected: dict[str, dict[str, tuple[int, Decimal | None]]] = {
        event["identity"]: {
            name: _answer(event, events, seconds) for name, seconds in WINDOWS.items()
        }
        | {"count only": (_answer(event, events, 60)[0], None)}
        for event in events
    }
    assert found == expected, f"DECISION_SEED={SEED}"
    assert len(decided) == len(events)
    assert max(counts["v3"][0] for counts in expected.values()) > 10, "the data shows nothing"


@pytest.mark.parametrize(
    "policies, seconds",
    [
        pytest.param([], 0, id="no policy"),
        pytest.param([_limit("a", 60), _limit("b", 3600)], 3600, id="the longest"),
        pytest.param([_limit("a", 60), _limit("b", "soon")], 60, id="unreadable ones count not"),
        pytest.param([_limit("a", 60), _sum_limit("b", 3600)], 3600, id="of a sum"),
        pytest.param([_sum_limit("a", 60, currency=None)], 0, id="a sum of no currency"),
        pytest.param([_limit("a", 0)], 0, id="no window"),
        pytest.param([_limit("a", 60, effective_to=NOON)], 60, id="also one that has ended"),
    ],
)
def test_the_longest_window_says_how_far_back_history_matters(
    spark: SparkSession, policies: list[dict[str, Any]], seconds: int
) -> None:
    assert policy_book(spark, policies).longest_window_seconds == seconds
