"""The platform's Gold equals an independent plain-Python answer, row for row."""

from __future__ import annotations

import pytest

from tests.e2e.comparison import differences
from tests.e2e.platform import TIMEOUT_SECONDS, Platform

pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS)


def test_gold_of_a_generated_week_equals_plain_python(platform: Platform) -> None:
    found = differences(platform, platform.sheets)
    assert not found, "\n".join(found[:40])


def test_counts_close_at_every_step(platform: Platform) -> None:
    steps = platform.steps
    assert len(steps) >= 8
    assert [(row["step"], row["unexplained"]) for row in steps if row["unexplained"]] == []
    delivered = {row["step"]: row["delivered"] for row in steps}
    fed = sum(count for step, count in delivered.items() if step.startswith("bronze.transactions"))
    assert fed == platform.fed
