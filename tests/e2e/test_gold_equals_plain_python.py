"""The platform's Gold equals an independent plain-Python answer, row for row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date

import pytest
from pyspark.sql import Row

from tests.e2e.comparison import differences, gold_rows
from tests.e2e.oracle import Money, expected_money
from tests.e2e.platform import TIMEOUT_SECONDS, Platform

pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS)


def test_gold_of_a_generated_week_equals_plain_python(platform: Platform) -> None:
    found = differences(platform, platform.sheets)
    assert not found, "\n".join(found[:40])


def test_counts_close_at_every_step(platform: Platform) -> None:
    lines = platform.steps
    assert len({line["step"] for line in lines}) >= 8
    unexplained = [line["differences"] for line in lines if line["unexplained"]]
    assert unexplained == []
    fed = sum(line["delivered"] for line in lines if line["step"].startswith("bronze.transactions"))
    assert fed == platform.fed


def test_money_closes_by_day_currency_and_type_as_plain_python_adds_it_up(
    platform: Platform,
) -> None:
    money = expected_money(platform.sheets)
    for step in ("bronze.drops_money_events -> silver.money_events",
                 "silver.money_events -> gold.transactions"):  # fmt: skip
        assert _amounts(platform.steps, step, "accepted_amount") == _added_up(money)
    paid_in = {row["transaction_id"]: row["currency"] for row in gold_rows(platform)}
    summed = [event for event in money if paid_in[event.transaction_id] == event.currency]
    step = "gold.transactions: money events -> totals"
    assert _amounts(platform.steps, step, "accepted_amount") == _added_up(summed)
    named = {
        name
        for line in platform.steps
        if line["step"] == step
        for each in line["differences"]
        for name in each["names"]
    }
    outside = {event.transaction_id for event in money} - {e.transaction_id for e in summed}
    assert outside and outside <= named


Line = tuple[date, str, str]


def _added_up(money: Sequence[Money]) -> dict[Line, int]:
    sums: dict[Line, int] = Counter()
    for event in money:
        sums[event.at.date(), event.currency, event.kind] += event.amount
    return dict(sums)


def _amounts(lines: Sequence[Row], step: str, column: str) -> dict[Line, int]:
    return {
        (line["day"], line["currency"], line["event_type"]): int(line[column])
        for line in lines
        if line["step"] == step and line[column]
    }
