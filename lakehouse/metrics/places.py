"""The place of figures that the config names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from lakehouse.config import Config, FiguresInFile
from lakehouse.metrics.cloudwatch import CloudWatchFigures
from lakehouse.metrics.file_store import FileOfFigures
from lakehouse.metrics.hearing import points_of
from lakehouse.metrics.points import Metric, Point, Stat, point
from lakehouse.metrics.sending import Sender
from lakehouse.monitoring import heard_by


class Figures(Protocol):
    """Figures, written and read again."""

    def send(self, points: Sequence[Point]) -> None:
        """Add points."""

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
    return CloudWatchFigures(config.metrics.to)


def figures_in_file(config: Config, settings: FiguresInFile) -> FileOfFigures:
    """The file of a lake on this machine."""
    path = Path(config.lake.operations) / "metrics.sqlite"
    return FileOfFigures(path, settings.keep_days, settings.keep_score_days)


@contextmanager
def metered(config: Config, job: str) -> Iterator[None]:
    """While the block runs, send the figures of what a job logs, and that it is alive."""
    settings = config.metrics

    def send(points: Sequence[Point]) -> None:
        # made in the sender's thread: a job does not wait for a client, nor fail by one
        figures_of(config).send(points)

    sender = Sender(job, send, settings.flush_seconds, settings.queue_points)
    sender.every_time(lambda: [point(Metric.ALIVE, job, datetime.now(UTC), 1)])

    def hear(event: str, fields: Mapping[str, Any]) -> bool:
        if fields.get("job") == job:
            sender.take(points_of(event, fields, datetime.now(UTC)))
        return False

    with sender.running(), heard_by(hear):
        yield
