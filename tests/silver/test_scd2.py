"""Policies are in force without gap or overlap, in whatever order they were delivered."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession

from silver.scd2 import policy_versions, standing_rates

_POLICY = (
    "policy_id string, policy_name string, policy_data string, effective_date timestamp,"
    " coordinates string, delivery_date date, path string, file_revision int, row_number bigint"
)
_RATE = (
    "rate_date date, base string, currency string, rate decimal(18,8),"
    " coordinates string, delivery_date date, path string, file_revision int, row_number bigint"
)


def a_policy(start: int, data: str, delivered: int, row: int = 1) -> tuple[Any, ...]:
    """A version of policy `p` from that day of March on, delivered on that day of March."""
    return (
        "p", "a name", data, datetime(2026, 3, start, tzinfo=UTC),
        f"file:{delivered}#{row}", date(2026, 3, delivered), f"{delivered}.csv", 0, row,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("delivered", "expected"),
    [
        pytest.param(
            [a_policy(1, "one", delivered=1)],
            [(1, None, "one", 1)],
            id="alone",
        ),
        pytest.param(
            [a_policy(5, "later", delivered=1), a_policy(2, "sooner", delivered=3)],
            [(2, 5, "sooner", 2), (5, None, "later", 1)],
            id="out of order",
        ),
        pytest.param(
            [
                a_policy(1, "one", delivered=1),
                a_policy(7, "two", delivered=2),
                a_policy(4, "backdated", delivered=9),
            ],
            [(1, 4, "one", 1), (4, 7, "backdated", 3), (7, None, "two", 2)],
            id="backdated",
        ),
        pytest.param(
            [a_policy(1, "wrong", delivered=1), a_policy(1, "right", delivered=2)],
            [(1, None, "right", 2)],
            id="same start again: the later recorded stands under a number of its own",
        ),
        pytest.param(
            [a_policy(1, "one", delivered=1), a_policy(1, "one", delivered=2)],
            [(1, None, "one", 1)],
            id="a repetition is no version",
        ),
        pytest.param(
            [
                a_policy(1, "wrong", delivered=1, row=1),
                a_policy(1, "right", delivered=1, row=2),
            ],
            [(1, None, "right", 2)],
            id="same file: the later row",
        ),
    ],
)
def test_versions_follow_each_other(
    spark: SparkSession,
    delivered: list[tuple[Any, ...]],
    expected: list[tuple[Any, ...]],
) -> None:
    versions = policy_versions(spark.createDataFrame(delivered, _POLICY)).collect()
    intervals = [
        (
            row.effective_date.day,
            row.effective_to and row.effective_to.day,
            row.policy_data,
            row.version,
        )
        for row in versions
    ]
    assert sorted(intervals) == expected


def test_a_version_was_recorded_at_midnight_of_its_delivery(
    spark: SparkSession,
) -> None:
    late = spark.createDataFrame([a_policy(1, "one", delivered=8)], _POLICY)
    row = policy_versions(late).selectExpr("string(recorded_at)", "coordinates").first()
    assert row is not None
    assert tuple(row) == ("2026-03-08 00:00:00", "file:8#1")


def test_a_rate_that_is_delivered_again_replaces_the_first(spark: SparkSession) -> None:
    def a_rate(rate: str, delivered: int) -> tuple[Any, ...]:
        day = date(2026, 3, delivered)
        return (
            date(2026, 3, 1), "EUR", "USD", Decimal(rate), f"{delivered}", day, "x", 0, 1,
        )  # fmt: skip

    delivered = spark.createDataFrame([a_rate("1.2", 3), a_rate("1.1", 2)], _RATE)
    rates = standing_rates(delivered).collect()
    assert [(row.rate, row.coordinates) for row in rates] == [(Decimal("1.20000000"), "3")]
