"""Where consolidation looks for rows that exist, as literal stretches of days."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from gold.consolidation import days_of_interest, days_to_search
from gold.contributions import money_contributions
from lakehouse.config import GoldSettings
from lakehouse.fold.spark import reduce_contributions
from lakehouse.tables import SILVER_MONEY_EVENTS, WAITING_DAY
from tests.gold.rows import frame
from tests.long.test_consolidate_folds_silver_into_gold import a_settlement

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
        pytest.param(
            [(date.min, True), (_DAY, True), (date.max, False)],
            [(_DAY - _WEEK, _DAY + _WEEK), (date.max - _HORIZON, date.max)],
            id="days at which time ends",
        ),
    ],
)
def test_it_looks_around_each_day(
    interest: list[tuple[date, bool]], stretches: list[tuple[date, date]]
) -> None:
    assert days_to_search(interest, _SETTINGS) == [_WAITING, *stretches]


def test_a_day_that_no_payment_can_have_is_as_none(spark: SparkSession) -> None:
    told = frame(spark, SILVER_MONEY_EVENTS, [a_settlement(each) for each in ("absurd", "dated")])
    # once, Silver took any date
    day = F.when(F.col("transaction_id") == "absurd", F.expr("DATE'0000-02-29'")).otherwise(_DAY)
    events = told.withColumns({"transaction_date": day, "_commit_version": F.lit(1)})
    asked = days_of_interest(reduce_contributions(money_contributions(events))).collect()
    paid_on = date(2026, 3, 10)
    assert {(row.day, row.is_own) for row in asked} == {(paid_on, False), (_DAY, True)}
