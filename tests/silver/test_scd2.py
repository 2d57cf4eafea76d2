"""Policies are in force without gap or overlap, in whatever order they were delivered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from lakehouse.tables import SILVER_POLICIES
from silver.scd2 import policy_versions, standing_rates

_POLICY = (
    "policy_id string, policy_name string, policy_data string, effective_date timestamp,"
    " coordinates string, delivery_date date, path string, file_revision int, row_number bigint"
)
_RATE = (
    "rate_date date, base string, currency string, rate decimal(18,8),"
    " coordinates string, delivery_date date, path string, file_revision int, row_number bigint"
)


Delivery = tuple[Any, ...]
Interval = tuple[int, int | None, str, int]
"""From which day of March until which, the content, the version. Expected in order of version."""


def a_policy(start: int, data: str, delivered: int, row: int = 1) -> Delivery:
    """A policy from that day of March on, delivered on that day of March."""
    return (
        "a name", data, datetime(2026, 3, start, tzinfo=UTC), f"file:{delivered}#{row}",
        date(2026, 3, delivered), f"{delivered}.csv", 0, row,
    )  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Deliveries that stand, what silver.policies held before, and what it holds then."""

    delivered: list[Delivery]
    expected: list[Interval]
    published: list[Interval] = field(default_factory=list)


CASES = {
    "alone": Case([a_policy(1, "one", delivered=1)], [(1, None, "one", 1)]),
    "out of order": Case(
        [a_policy(5, "later", delivered=1), a_policy(2, "sooner", delivered=3)],
        [(5, None, "later", 1), (2, 5, "sooner", 2)],
    ),
    "backdated": Case(
        [
            a_policy(1, "one", delivered=1),
            a_policy(7, "two", delivered=2),
            a_policy(4, "backdated", delivered=9),
        ],
        [(1, 4, "one", 1), (7, None, "two", 2), (4, 7, "backdated", 3)],
    ),
    "same start again: the later recorded stands, the other is in force never more": Case(
        [a_policy(1, "wrong", delivered=1), a_policy(1, "right", delivered=2)],
        [(1, 1, "wrong", 1), (1, None, "right", 2)],
    ),
    "a repetition is no version": Case(
        [a_policy(1, "one", delivered=1), a_policy(1, "one", delivered=2)],
        [(1, None, "one", 1)],
    ),
    "same file: the later row": Case(
        [a_policy(1, "wrong", delivered=1, row=1), a_policy(1, "right", delivered=1, row=2)],
        [(1, 1, "wrong", 1), (1, None, "right", 2)],
    ),
    "said again after another: it stands again under its own number": Case(
        [
            a_policy(1, "one", delivered=1),
            a_policy(1, "other", delivered=2),
            a_policy(1, "one", delivered=3),
        ],
        [(1, None, "one", 1), (1, 1, "other", 2)],
    ),
    "a corrected drop takes a version back: others keep their numbers": Case(
        [a_policy(1, "corrected", delivered=1), a_policy(5, "two", delivered=2)],
        [(1, 1, "one", 1), (5, None, "two", 2), (1, 5, "corrected", 3)],
        published=[(1, 5, "one", 1), (5, None, "two", 2)],
    ),
    "an earlier day that was complete late gets the next number": Case(
        [a_policy(3, "late", delivered=1), a_policy(5, "one", delivered=2)],
        [(5, None, "one", 1), (3, 5, "late", 2)],
        published=[(5, None, "one", 1)],
    ),
    "all was taken back": Case([], [(1, 1, "one", 1)], published=[(1, None, "one", 1)]),
    "what was taken back comes back": Case(
        [a_policy(1, "one", delivered=4)], [(1, None, "one", 1)], published=[(1, 1, "one", 1)]
    ),
}


@pytest.fixture(scope="module")
def versions(spark: SparkSession) -> dict[str, list[Row]]:
    """The versions of each case: its name is the policy_id, so one query judges all."""
    delivered = [(name, *row) for name, case in CASES.items() for row in case.delivered]
    published = [
        (
            name, "a name", data, datetime(2026, 3, start, tzinfo=UTC),
            end and datetime(2026, 3, end, tzinfo=UTC), version,
            datetime(2026, 3, 1, tzinfo=UTC), "file:as published",
        )
        for name, case in CASES.items()
        for start, end, data, version in case.published
    ]  # fmt: skip
    found: dict[str, list[Row]] = {name: [] for name in CASES}
    rows = policy_versions(
        spark.createDataFrame(delivered, _POLICY),
        spark.createDataFrame(published, SILVER_POLICIES.schema),
    )
    for row in rows.collect():
        found[row.policy_id].append(row)
    return found


def intervals_of(rows: list[Row]) -> list[Interval]:
    return [
        (
            row.effective_date.day,
            row.effective_to and row.effective_to.day,
            row.policy_data,
            row.version,
        )
        for row in sorted(rows, key=lambda row: row.version)
    ]


@pytest.mark.parametrize("name", CASES)
def test_versions_follow_each_other(versions: dict[str, list[Row]], name: str) -> None:
    assert intervals_of(versions[name]) == CASES[name].expected


@pytest.mark.parametrize("name", CASES)
def test_a_published_number_never_means_another_content(
    versions: dict[str, list[Row]], name: str
) -> None:
    now = {version: (start, data) for start, _, data, version in intervals_of(versions[name])}
    for start, _, data, version in CASES[name].published:
        assert now[version] == (start, data)


def test_a_version_was_recorded_at_midnight_of_its_first_delivery(
    versions: dict[str, list[Row]],
) -> None:
    found = [
        (row.recorded_at, row.coordinates)
        for name in ("a repetition is no version", "all was taken back")
        for row in versions[name]
    ]
    assert found == [
        (datetime(2026, 3, 1), "file:1#1"),
        (datetime(2026, 3, 1), "file:as published"),
    ]


def test_a_rate_that_is_delivered_again_replaces_the_first(spark: SparkSession) -> None:
    def a_rate(rate: str, delivered: int) -> tuple[Any, ...]:
        day = date(2026, 3, delivered)
        return (
            date(2026, 3, 1), "EUR", "USD", Decimal(rate), f"{delivered}", day, "x", 0, 1,
        )  # fmt: skip

    delivered = spark.createDataFrame([a_rate("1.2", 3), a_rate("1.1", 2)], _RATE)
    rates = standing_rates(delivered).collect()
    assert [(row.rate, row.coordinates) for row in rates] == [(Decimal("1.20000000"), "3")]
