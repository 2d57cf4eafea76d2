"""Bounds and anomalies: what a number means, in plain Python."""

from __future__ import annotations

from typing import Any

import pytest
from pytest import param

from lakehouse.quality.judging import Bounds, Figure, figure_of, judged, past_of, usual
from lakehouse.quality.measures import Measurement
from lakehouse.records.codes import CheckVerdict, Engine
from tests.quality.builders import anomaly_of, gate_of, measured

PASSED, FAILED = CheckVerdict.PASSED, CheckVerdict.FAILED


@pytest.mark.parametrize(
    "bounds, value, verdict",
    [
        param({"at_least": 0.5}, 0.5, PASSED, id="the least is good"),
        param({"at_least": 0.5}, 0.49, FAILED, id="less is not"),
        param({"at_most": 3}, 3.0, PASSED, id="the most is good"),
        param({"at_most": 3}, 3.1, FAILED, id="more is not"),
        param({"at_least": 1, "at_most": 3}, 2.0, PASSED, id="between"),
        param({"at_least": 0.3}, 0.1 + 0.2 - 1e-16, PASSED, id="rounding is no difference"),
    ],
)
def test_a_gate_holds_between_its_bounds(
    bounds: dict[str, Any], value: float, verdict: CheckVerdict
) -> None:
    gate = gate_of(**bounds)
    assert judged(gate, measured(gate, value), ()).verdict is verdict


def test_only_a_failed_error_holds_its_batch() -> None:
    for severity, holds in (("error", True), ("warning", False)):
        gate = gate_of(severity=severity, at_least=10)
        outcome = judged(gate, measured(gate, 3), ())
        assert (outcome.verdict, outcome.holds_batch) == (FAILED, holds)
        assert outcome.reason == "the figure: 3, expected at least 10"


def test_what_was_not_measured_is_skipped_and_holds_nothing() -> None:
    gate = gate_of(at_least=10)
    outcome = judged(gate, Measurement(Engine.SQL, {}), ())
    assert (outcome.verdict, outcome.value) == (CheckVerdict.SKIPPED, None)
    assert outcome.reason is not None and "Deequ" in outcome.reason
    assert not outcome.holds_batch


def test_a_figure_of_no_rows_says_nothing() -> None:
    gate = gate_of(at_least=10)
    assert judged(gate, measured(gate, None), ()).verdict is CheckVerdict.NO_ROWS


def test_an_anomaly_has_no_opinion_before_it_has_seen_enough_days() -> None:
    anomaly = anomaly_of(min_days=3)
    outcome = judged(anomaly, measured(anomaly, 1_000_000), (10.0, 10.0))
    assert (outcome.verdict, outcome.reason) == (
        CheckVerdict.NO_HISTORY, "2 of 3 earlier days are known",
    )  # fmt: skip
    assert judged(anomaly, measured(anomaly, 1_000_000), (10.0, 10.0, 10.0)).verdict is FAILED


@pytest.mark.parametrize(
    "past, settings, bounds",
    [
        # median 12, deviations from it 2, 1, 0, 1, 88: their median is 1
        param([10, 11, 12, 13, 100], {"deviations": 2}, (12 - 2.9652, 12 + 2.9652), id="by MAD"),
        param([10, 10, 10], {"tolerance": 0.2}, (8, 12), id="a share of the median"),
        param([0, 0, 0], {"tolerance": 0.2, "margin": 0.05}, (-0.05, 0.05), id="a margin"),
        param([1, 1, 1, 50, 50, 50], {"last_days": 3}, (50, 50), id="the last days only"),
    ],
)
def test_what_is_usual_follows_from_the_days_before(
    past: list[float], settings: dict[str, Any], bounds: tuple[float, float]
) -> None:
    found = usual(past, anomaly_of(**settings))
    assert found is not None and found.low is not None and found.high is not None
    assert (found.low, found.high) == pytest.approx(bounds)


def test_one_day_of_madness_does_not_change_what_is_usual() -> None:
    calm = usual([100, 101, 99, 100, 102], anomaly_of())
    mad = usual([100, 101, 99, 100, 1_000_000], anomaly_of())
    assert calm is not None and mad is not None
    assert not calm.hold(200) and not mad.hold(200)


def test_a_day_without_the_figure_is_no_day() -> None:
    usual_size = anomaly_of()
    figure = figure_of(usual_size)
    earlier: list[dict[Figure, float | None]] = [{figure: 1.0}, {figure: None}, {}, {figure: 3.0}]
    assert past_of(usual_size, earlier) == [1.0, 3.0]


@pytest.mark.parametrize("changes", [
    param({"over": "delivered"}, id="over other rows"),
    param({"measure": {"kind": "completeness", "column": "user_id"}}, id="another measure"),
    param({"rule_id": "other"}, id="another check"),
])  # fmt: skip
def test_a_check_that_was_changed_has_no_past(changes: dict[str, Any]) -> None:
    before = anomaly_of()
    assert past_of(anomaly_of(**changes), [{figure_of(before): 1.0}]) == []


def test_a_figure_that_cannot_be_computed_fails_its_check() -> None:
    gate = gate_of(at_least=10)
    outcome = judged(gate, Measurement(Engine.SQL, {}, {gate.measure: "DIVIDE_BY_ZERO"}), ())
    assert (outcome.verdict, outcome.holds_batch, outcome.value) == (FAILED, True, None)
    assert outcome.reason == "the figure: size cannot be computed: DIVIDE_BY_ZERO"


@pytest.mark.parametrize(
    "bounds, words",
    [
        (Bounds(None, 2.5), "at most 2.5"),
        (Bounds(1, None), "at least 1"),
        (Bounds(0.5, 2), "0.5 to 2"),
    ],
)
def test_bounds_speak_in_words(bounds: Bounds, words: str) -> None:
    assert str(bounds) == words
