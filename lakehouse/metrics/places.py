"""The place of figures that the config names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lakehouse.config import Config, FiguresInFile
from lakehouse.metrics.file_store import FileOfFigures
from lakehouse.metrics.hearing import points_of
from lakehouse.metrics.points import Metric, Point, Stat, point
from lakehouse.metrics.sending import Sender
from lakehouse.monitoring import heard_by

if TYPE_CHECKING:
    from lakehouse.metrics.meter import Meter


class Figures(Protocol):
    """Figures, written and read again."""

    def send(self, points: Sequence[Point]) -> int:
        """Add points; how many of them it can never take."""

    def subjects(self, metric: Metric) -> Sequence[str]:
        """Of which subjects it has values."""

    def stats(
        self, metric: Metric, subject: str, since: datetime, until: datetime, each: timedelta
    ) -> Sequence[Stat]:
        """Per span of `each` from `since` on, to `until` (exclusive); spans without values lack."""


def figures_of(config: Config) -> Figures:
    """The place of a lake's figures."""
    if isinstance(config.metrics.to, FiguresInFile):
        return figures_in_file(config, config.metrics.to)
    # a tenth of a second to import, and a laptop has no use for it
    from lakehouse.metrics.cloudwatch import CloudWatchFigures

    return CloudWatchFigures(config.metrics.to)


def figures_in_file(config: Config, settings: FiguresInFile) -> FileOfFigures:
    """The file of a lake on this machine."""
    path = Path(config.lake.operations) / "metrics.sqlite"
    return FileOfFigures(path, settings.keep_days, settings.keep_score_days)


@contextmanager
def metered(
    config: Config,
    job: str,
    run_id: str = "",
    opened: Callable[[Config], Figures] = figures_of,
) -> Iterator[Meter]:
    """While the block runs, send the figures of what a job logs and meters, and that it is alive.

    At its end, how long that took and whether it failed. Their place is `opened` once.
    """
    # a job's own, with Spark: who only reads figures starts where there is none
    from lakehouse.metrics.meter import Meter

    settings = config.metrics

    @cache
    def place() -> Figures:
        return opened(config)

    def send(points: Sequence[Point]) -> int:
        # opened in the sender's thread: a job does not wait for a client, nor fail by one
        return place().send(points)

    sender = Sender(job, send, settings.flush_seconds, settings.queue_points)

    def ends(topic: str) -> Mapping[int, int]:
        # a job that reads no topic has no use for a client
        from lakehouse.kafka import topic_now

        return topic_now(config.kafka, topic).end

    meter = Meter(job, run_id, sender.take, ends)
    sender.every_time(lambda: [point(Metric.ALIVE, job, datetime.now(UTC), 1)])
    sender.every_time(meter.tick)

    def hear(event: str, fields: Mapping[str, Any]) -> bool:
        if fields.get("job") == job:
            sender.take(points_of(event, fields, datetime.now(UTC)))
        return False

    begun = datetime.now(UTC)
    with sender.running(), heard_by(hear):
        is_failed = True
        try:
            yield meter
            is_failed = False
        finally:
            now = datetime.now(UTC)
            sender.take([
                point(Metric.RUN_SECONDS, job, now, (now - begun).total_seconds()),
                point(Metric.RUNS_FAILED, job, now, int(is_failed)),
            ])  # fmt: skip
