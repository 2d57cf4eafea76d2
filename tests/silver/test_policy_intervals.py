"""However policies come in, on each day one version is in force; a book that is broken is seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from lakehouse.errors import PolicyIntervalsError
from lakehouse.tables import SILVER_POLICIES
from silver.scd2 import check_intervals, policy_versions

_DELIVERED = (
    "policy_id string, policy_name string, policy_data string, effective_date timestamp,"
    " coordinates string, delivery_date date, path string, file_revision int, row_number bigint"
)
_DAYS = range(1, 9)

Change = tuple[int, str]
"""From which day of March on, and what."""
History = list[Change]
"""Changes of one policy in the order they were recorded, one a day."""

histories = st.lists(st.tuples(st.sampled_from(_DAYS), st.sampled_from("abc")), max_size=6)


def march(day: int) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC)


def in_force(history: History, day: int) -> str | None:
    """What holds on a day, in plain Python: of what has begun the latest start, as said last."""
    starts = {start: data for start, data in history if start <= day}
    return starts[max(starts)] if starts else None


def delivered(spark: SparkSession, changes: Sequence[tuple[str, int, int, str]]) -> DataFrame:
    """Rows as delivered: policy, day of delivery, day from which on, content."""
    rows = [
        (
            policy, "a name", data, march(start), f"file:{day}#{policy}",
            date(2026, 3, day), f"{day}.csv", 0, 1,
        )
        for policy, day, start, data in changes
    ]  # fmt: skip
    return spark.createDataFrame(rows, _DELIVERED)


def nothing(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([], SILVER_POLICIES.schema)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(histories, min_size=40, max_size=60))
def test_on_each_day_the_version_is_in_force_that_plain_python_names(
    spark: SparkSession, of_policies: list[History]
) -> None:
    changes = [
        (f"p{number:02}", day, start, data)
        for number, history in enumerate(of_policies)
        for day, (start, data) in enumerate(history, start=1)
    ]
    # half of it was published before the rest came: numbers are kept, intervals rebuilt
    first = policy_versions(
        delivered(spark, [change for change in changes if change[1] <= 3]), nothing(spark)
    )
    before = spark.createDataFrame(first.collect(), SILVER_POLICIES.schema)
    versions = policy_versions(delivered(spark, changes), before).localCheckpoint()
    check_intervals(versions)
    rows = versions.collect()
    for number, history in enumerate(of_policies):
        own = [row for row in rows if row.policy_id == f"p{number:02}"]
        assert len({row.version for row in own}) == len(own)
        for day in _DAYS:
            instant = march(day).replace(tzinfo=None)
            holding = [
                row.policy_data
                for row in own
                if row.effective_date <= instant
                and (row.effective_to is None or instant < row.effective_to)
            ]
            expected = in_force(history, day)
            assert holding == ([expected] if expected is not None else [])


def book(spark: SparkSession, **of_policies: list[tuple[int, int | None]]) -> DataFrame:
    """A policy book of these intervals, from a day of March until another."""
    rows: list[tuple[Any, ...]] = [
        (policy, "a name", "{}", march(start), end and march(end), version, march(1), "file:x")
        for policy, intervals in of_policies.items()
        for version, (start, end) in enumerate(intervals, start=1)
    ]
    return spark.createDataFrame(rows, SILVER_POLICIES.schema)


@pytest.mark.parametrize(
    "intervals",
    [
        pytest.param([(1, 3), (4, None)], id="a gap"),
        pytest.param([(1, 5), (4, None)], id="an overlap"),
        pytest.param([(1, None), (4, None)], id="two until further notice"),
        pytest.param([(1, 3), (3, 9)], id="an end without a successor"),
        pytest.param([(1, 4), (1, 4), (4, None)], id="one start twice"),
    ],
)
def test_versions_that_overlap_or_leave_a_gap_are_refused_by_policy(
    spark: SparkSession, intervals: list[tuple[int, int | None]]
) -> None:
    sound = [(1, 3), (3, 3), (3, None)]
    with pytest.raises(PolicyIntervalsError, match="versions of broken overlap or leave a gap"):
        check_intervals(book(spark, sound=sound, broken=intervals, taken_back=[(2, 2)]))


def test_a_policy_that_was_replaced_from_its_first_instant_on_is_no_gap(
    spark: SparkSession,
) -> None:
    check_intervals(book(spark, replaced=[(1, 1), (1, 4), (4, None)], taken_back=[(2, 2)]))
