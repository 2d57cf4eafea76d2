"""The place of figures that the config names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from lakehouse.config import Config, FiguresInFile
from lakehouse.metrics.cloudwatch import CloudWatchFigures
from lakehouse.metrics.file_store import FileOfFigures
from lakehouse.metrics.points import Metric, Point, Stat


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
