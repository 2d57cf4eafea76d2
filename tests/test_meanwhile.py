"""Queries run beside each other as if the caller ran them, and none outlives its block."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event, current_thread
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.meanwhile import meanwhile
from lakehouse.monitoring import heard_by


def test_work_runs_beside_the_caller_who_gets_its_answer(spark: SparkSession) -> None:
    asked = Event()

    def answered() -> str:
        assert asked.wait(timeout=60), "the caller never came to set it"
        return current_thread().name

    with meanwhile() as start:
        answer = start(answered)
        asked.set()
        assert answer() != current_thread().name


def test_a_query_has_the_properties_of_its_caller(spark: SparkSession) -> None:
    # by the group of jobs Spark stops a stream's queries
    context = spark.sparkContext
    context.setLocalProperty("lakehouse.test", "of the caller")
    try:
        with meanwhile() as start:
            found = start(lambda: context.getLocalProperty("lakehouse.test"))()
    finally:
        context.setLocalProperty("lakehouse.test", "")
    assert found == "of the caller"


def test_an_error_is_raised_where_the_answer_is_asked_for(spark: SparkSession) -> None:
    def failing() -> int:
        raise ValueError("of the work")

    with meanwhile() as start:
        answer = start(failing)
        with pytest.raises(ValueError, match="of the work"):
            answer()


def test_what_was_started_has_ended_when_the_block_ends(spark: SparkSession) -> None:
    may_end, ended = Event(), Event()

    def slow() -> None:
        may_end.wait(timeout=60)
        ended.set()

    with pytest.raises(RuntimeError, match="of the caller"), meanwhile() as start:
        start(slow)
        may_end.set()
        raise RuntimeError("of the caller")
    assert ended.is_set()


@pytest.mark.parametrize("is_asked", [False, True])
def test_an_error_that_another_one_hides_is_logged_by_its_kind(
    spark: SparkSession, is_asked: bool
) -> None:
    lines: list[Mapping[str, Any]] = []

    def hear(event: str, fields: Mapping[str, Any]) -> bool:
        lines.append({"event": event, **fields})
        return True

    def failing() -> int:
        raise ValueError("of the work")

    with heard_by(hear), pytest.raises((RuntimeError, ValueError)), meanwhile() as start:
        answer = start(failing)
        if is_asked:
            answer()
        raise RuntimeError("of the caller")
    hidden = [{"event": "failed beside another fault", "error": "ValueError"}]
    assert lines == ([] if is_asked else hidden)
