"""Scores as they come: by a file of figures, the newest half minute still on its way."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lakehouse.alerts.evaluating import judged_by_figures
from lakehouse.alerts.rules import load_alert_rules
from lakehouse.metrics.file_store import FileOfFigures
from lakehouse.metrics.points import Metric, Point
from tests.alerts.score_months import FOUND_WITHIN, HOUR, START, THRESHOLD_BIN, VALUES, a_month
from tests.conftest import ROOT

TABLE = "silver.live_transactions"
LATE = timedelta(seconds=30)  # a score is decided, committed and sent by then
# all that the rule looks back on but for whole hours: window and level before it
BY_THE_MINUTE = 2 * HOUR


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def points(minute: int, scores: Any) -> list[Point]:
    """What `enrich_live` tells of scores by hundredths, of one minute."""
    values = {float(VALUES[place]): int(scores[place]) for place in np.flatnonzero(scores)}
    suspicious = float(scores[THRESHOLD_BIN:].sum())
    return [
        Point(Metric.FRAUD_SCORE, TABLE, at(minute), values),
        Point(Metric.SUSPICIOUS_SCORES, TABLE, at(minute), {suspicious: 1}),
    ]


class Stream:
    """Sends the scores of a month, each half a minute after its event."""

    def __init__(self, scores: Any, figures: FileOfFigures) -> None:
        self._scores, self._figures = scores, figures
        self._chance = np.random.default_rng(1)
        self._halves: dict[int, Any] = {}

    def send_hours(self, until: int) -> None:
        """All before that minute, an hour to a point: it is compared by hours alone."""
        sums = self._scores[:until].reshape(-1, HOUR, 101).sum(1)
        self._figures.send([p for n, hour in enumerate(sums) for p in points(n * HOUR, hour)])

    def send_minute(self, minute: int) -> None:
        """One whole minute."""
        self._figures.send(points(minute, self._scores[minute]))

    def send_first_half(self, minute: int) -> None:
        """What of it has come by its end."""
        half = self._chance.binomial(self._scores[minute], 0.5)
        self._halves[minute] = half
        self._figures.send(points(minute, half))

    def send_second_half(self, minute: int) -> None:
        """The rest of it."""
        self._figures.send(points(minute, self._scores[minute] - self._halves[minute]))


# of months that the rule was not tuned by, and no other test has seen
@pytest.mark.parametrize("seed", [9401, 9402])
@pytest.mark.parametrize("second", [0, 45])
def test_a_doubled_share_is_found_within_five_minutes_of_event_time(
    tmp_path: Path, seed: int, second: int
) -> None:
    """By a check at the begin of each minute, which lacks the newest half, or by one late in it,
    which has all of an older window.
    """
    rules = load_alert_rules(ROOT / "conf" / "alerts.yaml")
    figures = FileOfFigures(tmp_path / "metrics.sqlite", keep_days=8, keep_score_days=35)
    month = a_month(seed, days=12, planted=1)
    (spike,) = month.spikes
    stream, first = Stream(month.scores, figures), (spike - BY_THE_MINUTE) // HOUR * HOUR
    stream.send_hours(first)
    for minute in range(first, spike - 1):
        stream.send_minute(minute)
    stream.send_first_half(spike - 1)

    found: dict[timedelta, str] = {}
    for minute in range(spike, spike + FOUND_WITHIN + 1):
        now = at(minute) + timedelta(seconds=second)
        if second >= LATE.total_seconds():
            stream.send_second_half(minute - 1)
        for breach in judged_by_figures(rules, figures, now).breaches:
            found[now - at(spike)] = breach.rule
        if second < LATE.total_seconds():
            stream.send_second_half(minute - 1)
        stream.send_first_half(minute)
    within = timedelta(minutes=FOUND_WITHIN)
    assert {rule for after, rule in found.items() if after <= within} == {"abnormal_fraud_scores"}
    assert min(found) > timedelta(0), "before it there was nothing to find"
