"""The platform's Gold equals an independent plain-Python answer, row for row."""

from __future__ import annotations

import pytest

from tests.e2e.comparison import differences
from tests.e2e.conftest import TIMEOUT_SECONDS, Platform

pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS)


def test_gold_of_a_generated_week_equals_plain_python(platform: Platform) -> None:
    found = differences(platform, platform.sheets)
    assert not found, "\n".join(found[:40])
