"""What jobs log of their work, as figures: no job says anything twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from lakehouse.metrics.points import Metric, Point, point

WAITING = "waiting "
"""Begins the names of counts of money events whose payment is not known, by age."""
HELD = "held "
"""Begins the names of counts of delivered batches that a gate holds, by kind."""

_STANDINGS: Mapping[str, tuple[Metric, ...]] = {
    "NEW": (Metric.DELIVERED, Metric.DECIDED),
    "ACCEPTED": (Metric.DELIVERED,),
    "UNSCORED": (Metric.UNSCORED,),
    "DUPLICATE": (Metric.DELIVERED, Metric.DUPLICATES),
    "REFUSED": (Metric.DELIVERED, Metric.QUARANTINED),
    "CONFLICT": (Metric.DELIVERED, Metric.QUARANTINED),
}
_VERDICTS: Mapping[str, Metric] = {
    "batch unusual": Metric.BATCHES_UNUSUAL,
    "batch released": Metric.BATCHES_RELEASED,
}


def points_of(event: str, fields: Mapping[str, Any], now: datetime) -> list[Point]:
    """The figures in one line that a job logs; none in most."""
    job = str(fields.get("job", ""))
    if event in _VERDICTS:
        # the delivered batch is KIND/date=DAY: of each kind there is one figure
        kind = str(fields.get("table", "")).partition("/")[0]
        return [point(_VERDICTS[event], kind, now, 1)]
    return [
        point(metric, subject or job, now, value)
        for metric, subject, value in _FIGURES.get(event, _nothing)(fields)
    ]


_Figures = list[tuple[Metric, str, float]]


def _nothing(_: Mapping[str, Any]) -> _Figures:
    return []


def _enriched(fields: Mapping[str, Any]) -> _Figures:
    return [*_delivered(fields), *_pushed(fields)]


def _delivered(fields: Mapping[str, Any]) -> _Figures:
    """What became of deliveries: counts whose names are a table and a standing."""
    found: _Figures = []
    for name, count in fields["counts"].items():
        table, _, standing = name.rpartition(" ")
        found += [(metric, table, count) for metric in _STANDINGS.get(standing, ())]
    return found


def _pushed(fields: Mapping[str, Any]) -> _Figures:
    counts = fields["counts"]
    return [
        (Metric.ITEMS_WRITTEN, "", fields["rows"]),
        (Metric.ITEMS_REFUSED, "", counts.get("refused", 0)),
        (Metric.ITEMS_OVERSIZED, "", counts.get("oversized", 0)),
        (Metric.ITEMS_THROTTLED, "", counts.get("throttled", 0)),
    ]


def _reconciled(fields: Mapping[str, Any]) -> _Figures:
    counts = fields["counts"]
    waiting = [
        (Metric.WAITING_MONEY, name.removeprefix(WAITING), count)
        for name, count in counts.items()
        if name.startswith(WAITING)
    ]
    # 0 is a figure too: it says that a break is mended
    return [(Metric.UNEXPLAINED_ROWS, "all steps", counts["unexplained"]), *waiting]


def _judged(fields: Mapping[str, Any]) -> _Figures:
    held = {name.removeprefix(HELD): count for name, count in fields["counts"].items()}
    return [(Metric.BATCHES_HELD, kind, count) for kind, count in held.items()]


def _compared(fields: Mapping[str, Any]) -> _Figures:
    counts = fields["counts"]
    if fields["job"] == "compare_serving":
        return [(Metric.DRIFTED_ITEMS, "", sum(counts.values()))]
    # what is counted by day is how much was compared
    causes = {name: count for name, count in counts.items() if " " not in name}
    return [(Metric.PATH_DIFFERENCES, cause, count) for cause, count in causes.items()]


def _sampled(fields: Mapping[str, Any]) -> _Figures:
    drifting = sum(fields["counts"].values())
    # that a sample shows nothing does not say that what the last one showed is mended
    return [(Metric.DRIFTED_ITEMS, "", drifting)] if drifting else []


_FIGURES: Mapping[str, Callable[[Mapping[str, Any]], _Figures]] = {
    "enriched": _enriched,
    "drops": _delivered,
    "built": _delivered,
    "pushed": _pushed,
    "reconciled": _reconciled,
    "compared": _compared,
    "sampled": _sampled,
    "judged": _judged,
}
