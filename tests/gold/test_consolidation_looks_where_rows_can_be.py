"""Where consolidation looks for rows that exist, as literal stretches of days."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from gold.consolidation import days_to_search
from lakehouse.config import GoldSettings
from lakehouse.tables import WAITING_DAY

_SETTINGS = GoldSettings(locate_window_days=7, dispute_horizon_days=180)
_DAY = date(2026, 3, 9)
_WAITING = (WAITING_DAY, WAITING_DAY)
_WEEK, _HORIZON = timedelta(days=7), timedelta(days=180)


@pytest.mark.parametrize(
    "interest, stretches",
    [
        pytest.param([], [], id="nothing but the waiting day"),
        pytest.param([(_DAY, True)], [(_DAY - _WEEK, _DAY + _WEEK)], id="around its own day"),
        pytest.param(
            [(_DAY, False)], [(_DAY - _HORIZON, _DAY + _WEEK)], id="over the dispute horizon"
        ),
        pytest.param(
            [(_DAY, True), (_DAY + timedelta(days=15), True)],
            [(_DAY - _WEEK, _DAY + timedelta(days=22))],
            id="stretches that touch are one",
        ),
        pytest.param(
            [(_DAY, True), (_DAY + timedelta(days=16), True)],
            [(_DAY - _WEEK, _DAY + _WEEK), (_DAY + timedelta(days=9), _DAY + timedelta(days=23))],
            id="stretches apart stay apart",
        ),
    ],
)
def test_it_looks_around_each_day(
    interest: list[tuple[date, bool]], stretches: list[tuple[date, date]]
) -> None:
    assert days_to_search(interest, _SETTINGS) == [_WAITING, *stretches]
