"""`lakehouse status --watch`: the figures that jobs have sent, as they come; runs no Spark."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from lakehouse.cli.terminal import Picture, pictures
from lakehouse.config import Config, FiguresInFile
from lakehouse.errors import ConfigError
from lakehouse.metrics.places import figures_in_file
from lakehouse.metrics.points import UNITS, Metric, Stat
from lakehouse.runs import JobRun, newest_of_each_job, run_store_of

_REFRESH_SECONDS = 2.0
_LOOK_BACK = timedelta(hours=1)
_RUN_DAYS = 8
# a minute adds them up; of all others the mean is told, and the upper quantile where they differ
_COUNTED = frozenset(
    metric for metric in Metric if metric not in UNITS and metric not in {
        Metric.CONSUMER_LAG, Metric.VERSIONS_BEHIND, Metric.UNEXPLAINED_ROWS, Metric.DRIFTED_ITEMS,
        Metric.WAITING_MONEY,
    }
) | {Metric.BYTES}  # fmt: skip

Newest = tuple[Metric, str, datetime, Stat]


def watch(config: Config, pause: Callable[[float], None] = time.sleep) -> None:
    """Show the newest figures in place of the last ones, until Ctrl-C.

    Raises:
        ConfigError: the figures of this lake are not on this machine.
    """
    settings = config.metrics.to
    if not isinstance(settings, FiguresInFile):
        raise ConfigError("metrics.to", ["the figures are in CloudWatch: look at its dashboard"])
    figures, runs = figures_in_file(config, settings), run_store_of(config)
    with pictures() as show:
        while True:
            now = datetime.now(UTC)
            begun = runs.since((now - timedelta(days=_RUN_DAYS)).date(), now.date())
            newest = figures.newest(now - _LOOK_BACK)
            show(figures_picture(config.lake.root, begun, newest, now))
            pause(_REFRESH_SECONDS)


def figures_picture(
    root: str, runs: Iterable[JobRun], newest: Sequence[Newest], now: datetime
) -> Picture:
    """One row per subject: a job with its last run, a table, a partition, an age."""
    last = newest_of_each_job(runs)
    told: dict[str, list[str]] = defaultdict(list)
    minutes: dict[str, datetime] = {}
    for metric, subject, at, stat in newest:
        # that a run is alive says its state
        if metric != Metric.ALIVE:
            told[subject].append(f"{metric} {_value(metric, stat)}")
            minutes[subject] = max(at, minutes.get(subject, at))
    rows = [
        [subject, _state(last.get(subject)), minutes.get(subject), ", ".join(told[subject])]
        for subject in sorted({*told, *last})
    ]
    return Picture(
        f"lakehouse: {root}",
        ("job, table or partition", "last run", "minute (UTC)", "figures of that minute"),
        rows,
        [f"{now:%H:%M:%S} UTC; figures of the last hour; Ctrl-C ends it"],
        "; ".join(f"{subject}: {figures or state}" for subject, state, _, figures in rows)
        or "no figures yet: run a job",
    )


def _state(run: JobRun | None) -> str | None:
    if run is None:
        return None
    seconds = "" if run.seconds is None else f" in {run.seconds:.1f} s"
    return f"{run.outcome}{seconds}" + (f": {run.error}" if run.error else "")


def _value(metric: Metric, stat: Stat) -> str:
    if metric in _COUNTED:
        return f"{stat.total:,.0f}"
    if stat.count > 1 and stat.high != stat.mean:
        return f"{stat.mean:,.4g} (p95 {stat.high:,.4g})"
    return f"{stat.mean:,.4g}"
