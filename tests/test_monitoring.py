"""Monitoring never fails a job, says nothing that is not allowed, and has the last word."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping

import pytest
from pyspark.errors import PySparkException, PythonException
from pytest import param

from lakehouse.errors import ConfigError, UnknownJobError
from lakehouse.monitoring import about, configure_logging, finish, heard_by, log, told, watched

Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """Log lines that were written so far."""
    configure_logging()
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_field_that_is_not_allowed_is_dropped(lines: Lines) -> None:
    log("pushed", job="sync_dynamodb", rows=3, user_id="u-1", payload="{...}", token="tok")
    (line,) = lines()
    assert line.pop("timestamp")
    assert line == {"event": "pushed", "level": "info", "job": "sync_dynamodb", "rows": 3}


@pytest.mark.usefixtures("lines")
def test_a_job_goes_on_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", closed)
        with watched("audit"):
            log("goes on", rows=1)


@pytest.mark.usefixtures("lines")
def test_a_job_goes_on_where_a_field_is_no_json() -> None:
    log("goes on", counts={("a", "tuple"): 1})


def test_a_listener_hears_what_is_allowed_and_its_own_fault_is_nobodys(lines: Lines) -> None:
    heard: list[tuple[str, dict[str, object]]] = []

    def shows_pushed(event: str, fields: Mapping[str, object]) -> bool:
        heard.append((event, dict(fields)))
        return event == "pushed"

    def broken(event: str, _: Mapping[str, object]) -> bool:
        raise KeyError(event)

    with heard_by(broken), heard_by(shows_pushed):
        log("pushed", rows=3, payload="{...}")
        log("enriched", rows=2)
    log("enriched", rows=1)
    assert heard == [("pushed", {"rows": 3}), ("enriched", {"rows": 2})]
    # what a listener shows itself is written nowhere else
    assert [(line["event"], line["rows"]) for line in lines()] == [("enriched", 2), ("enriched", 1)]


def test_a_failed_run_is_logged_by_the_class_of_its_fault(lines: Lines) -> None:
    with pytest.raises(ValueError, match="a payload"), watched("audit"):
        raise ValueError("a payload")
    started, failed = lines()
    assert (started["event"], failed["event"], failed["error"]) == (
        "started",
        "failed",
        "ValueError",
    )
    assert "a payload" not in json.dumps(failed)


@pytest.mark.parametrize(
    "fault, line",
    [
        param(UnknownJobError("x", ["audit"]), "there is no job 'x'. Jobs: audit.", id="ours"),
        param(
            ValueError("\n  first\nsecond"),
            "ValueError: first (--debug shows the stack trace)",
            id="foreign",
        ),
        param(
            OSError("An error occurred while calling o7.collect.\n: it broke\n\tat Scala"),
            "OSError: it broke (--debug shows the stack trace)",
            id="of the JVM",
        ),
        param(
            PySparkException(
                "[CAST_INVALID_INPUT] The value 'u-1' of the type \"STRING\" cannot be cast: [U1]"
            ),
            "PySparkException: [CAST_INVALID_INPUT] (--debug shows the stack trace)",
            id="of Spark",
        ),
        param(
            PySparkException(
                "Task 0 lost: org.apache.spark.SparkException: [CAST_INVALID_INPUT] u-1\n"
                "Caused by: org.apache.spark.SparkRuntimeException: [USER_RAISED] of [U1]"
            ),
            "PySparkException: [CAST_INVALID_INPUT], org.apache.spark.SparkRuntimeException, "
            "[USER_RAISED] (--debug shows the stack trace)",
            id="of a task",
        ),
        param(
            PythonException(
                "An exception was thrown\nTraceback (most recent call last):\n"
                "ValueError: of u-1\nCaused by: java.io.EOFException: u-1"
            ),
            "PythonException: ValueError, java.io.EOFException (--debug shows the stack trace)",
            id="of a worker",
        ),
        param(
            KeyError(),
            "KeyError: it says nothing more (--debug shows the stack trace)",
            id="silent",
        ),
    ],
)
def test_every_fault_is_told_in_one_line(fault: Exception, line: str) -> None:
    assert told(fault) == line


@pytest.mark.parametrize(
    "fault, code", [(ConfigError("conf.yaml", ["wrong"]), 2), (RuntimeError("broken"), 1)]
)
def test_a_process_ends_with_the_code_of_its_fault(
    capsys: pytest.CaptureFixture[str], fault: Exception, code: int
) -> None:
    def work() -> None:
        raise fault

    with pytest.raises(SystemExit) as end:
        finish(work, debug=False)
    assert end.value.code == code
    shown = capsys.readouterr().err
    assert shown.startswith("error: ") and shown.count("\n") == 1


def test_each_line_says_what_it_is_about_and_its_own_words_stand(lines: Lines) -> None:
    with watched("audit", "r1"):
        with about(job="audit", run_id="r1", batch=7):
            log("pushed", table="gold.transactions", version=3, user_id="u-1")
        log("elsewhere", job="another", seconds=9.0)
    log("outside")
    said = lines()
    for line in said:
        line.pop("timestamp"), line.pop("level")
    assert [line["event"] for line in said] == [
        "started", "pushed", "elsewhere", "finished", "outside",
    ]  # fmt: skip
    assert all(isinstance(line.pop("seconds"), float) for line in said[:-1])
    assert said[0] == {"event": "started", "job": "audit", "run_id": "r1"}
    assert said[1] == {
        "event": "pushed", "job": "audit", "run_id": "r1", "batch": 7,
        "table": "gold.transactions", "version": 3,
    }  # fmt: skip
    assert said[2] == {"event": "elsewhere", "job": "another", "run_id": "r1"}
    assert said[4] == {"event": "outside"}
