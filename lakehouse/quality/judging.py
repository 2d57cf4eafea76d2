"""What measured figures mean: pure Python over plain numbers, the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import assert_never

from lakehouse.quality.measures import Measurement
from lakehouse.quality.rules import Anomaly, Gate
from lakehouse.records.codes import CheckVerdict, Engine, GateSeverity

Past = Sequence[float]
"""Values of one check of earlier days of delivery, oldest first."""
Figure = tuple[str, str, str]
"""A check by id, what it measures, and over which rows: what changes one of them has no past."""

# of normally distributed values, the standard deviation in median absolute deviations
_DEVIATION_OF_MAD = 1.4826
_NOTHING_BEYOND = 1e-9  # rounding of two engines is no difference


@dataclass(frozen=True)
class Bounds:
    """Where a figure has to lie, both ends inclusive; None is open."""

    low: float | None
    high: float | None

    def hold(self, value: float) -> bool:
        """Whether a figure lies there, but for rounding."""
        slack = _NOTHING_BEYOND * max(1.0, abs(value))
        return not (
            (self.low is not None and value < self.low - slack)
            or (self.high is not None and value > self.high + slack)
        )

    def __str__(self) -> str:
        """In words."""
        if self.low is None:
            return f"at most {self.high:g}"
        if self.high is None:
            return f"at least {self.low:g}"
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Outcome:
    """One check of one batch, judged."""

    check_id: str
    measure: str
    over: str
    severity: GateSeverity
    value: float | None
    expected: str | None
    verdict: CheckVerdict
    reason: str | None
    engine: Engine

    @property
    def figure(self) -> Figure:
        """Of which figure it is a value."""
        return self.check_id, self.measure, self.over

    @property
    def holds_batch(self) -> bool:
        """Whether the batch may not go on because of it."""
        return self.verdict is CheckVerdict.FAILED and self.severity is GateSeverity.ERROR


def judged(check: Gate | Anomaly, measurement: Measurement, past: Past) -> Outcome:
    """Judge one check by what was measured; `past` is read by an anomaly only."""
    value = measurement.values.get(check.measure)
    bounds = _bounds(check, past)
    verdict, reason = _verdict(check, measurement, value, bounds, past)
    return Outcome(
        check_id=check.id,
        measure=check.measure.name,
        over=check.over,
        severity=check.severity,
        value=value,
        expected=None if bounds is None else str(bounds),
        verdict=verdict,
        reason=reason,
        engine=measurement.engine,
    )


def usual(past: Past, anomaly: Anomaly) -> Bounds | None:
    """Where a figure lies on a usual day; None while too few days are known."""
    known = past[-anomaly.last_days :]
    if len(known) < anomaly.min_days:
        return None
    middle = median(known)
    deviation = _DEVIATION_OF_MAD * median(abs(value - middle) for value in known)
    reach = max(anomaly.deviations * deviation, anomaly.tolerance * abs(middle), anomaly.margin)
    return Bounds(middle - reach, middle + reach)


def _bounds(check: Gate | Anomaly, past: Past) -> Bounds | None:
    match check:
        case Gate():
            return Bounds(check.at_least, check.at_most)
        case Anomaly():
            return usual(past, check)
    assert_never(check)


def _verdict(
    check: Gate | Anomaly,
    measurement: Measurement,
    value: float | None,
    bounds: Bounds | None,
    past: Past,
) -> tuple[CheckVerdict, str | None]:
    if fault := measurement.faults.get(check.measure):
        what = f"{check.message}: {check.measure.name} cannot be computed: {fault}"
        return CheckVerdict.FAILED, what
    if check.measure not in measurement.values:
        return CheckVerdict.SKIPPED, "only Deequ measures it, and its jar is absent"
    if value is None:
        return CheckVerdict.NO_ROWS, "there is nothing to measure"
    if bounds is None:
        assert isinstance(check, Anomaly)
        days = f"{len(past)} of {check.min_days} earlier days are known"
        return CheckVerdict.NO_HISTORY, days
    if bounds.hold(value):
        return CheckVerdict.PASSED, None
    return CheckVerdict.FAILED, f"{check.message}: {value:g}, expected {bounds}"


def figure_of(check: Gate | Anomaly) -> Figure:
    """Which figure a check looks at."""
    return check.id, check.measure.name, check.over


def past_of(check: Gate | Anomaly, earlier: Sequence[Mapping[Figure, float | None]]) -> Past:
    """A check's values in those of earlier days, oldest first; days without one are no days."""
    found = (values.get(figure_of(check)) for values in earlier)
    return [value for value in found if value is not None]
