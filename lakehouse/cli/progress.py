"""How a stream under way goes, from what Spark tells of its query anyway: no number costs a job."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql.streaming import StreamingQuery

_MOST_NOTES = 10_000


@dataclass(frozen=True)
class Told:
    """What a query tells: of its last micro-batch (None before the first), and what it does now."""

    progress: Mapping[str, Any] | None
    status: Mapping[str, Any]

    @classmethod
    def by(cls, query: StreamingQuery) -> Told:
        """Ask it."""
        # its status first: what it says of nothing new is then no younger than the progress
        status = query.status
        return cls(query.lastProgress, status)

    @property
    def is_idle(self) -> bool:
        """Whether its last look found nothing new."""
        return not self.status["isDataAvailable"]

    @property
    def has_all(self) -> bool:
        """Whether it waits, having looked and found nothing new."""
        return self.is_idle and str(self.status["message"]).startswith("Waiting")

    @property
    def batch(self) -> int | None:
        """Number of its last micro-batch."""
        return self.progress["batchId"] if self.progress else None

    @property
    def seconds(self) -> float | None:
        """How long that took, from looking for new records to the commit."""
        return self.progress["durationMs"]["triggerExecution"] / 1000 if self.progress else None

    @property
    def rate(self) -> float:
        """Records per second that came for its last micro-batch; 0 since nothing comes."""
        if self.progress is None or self.is_idle:
            return 0.0
        # Spark knows none where there was no trigger before
        return float(self.progress.get("inputRowsPerSecond") or 0.0)

    def landed(self) -> dict[int, int]:
        """Of a stream that reads a topic: the next offset of each partition."""
        return {
            int(partition): int(offset)
            for source in self._sources()
            for offsets in (source["endOffset"] or {}).values()
            for partition, offset in offsets.items()
        }

    def next_version(self, path: str) -> int | None:
        """Of a stream that reads tables: the next version of the table at `path`."""
        for source in self._sources():
            if source["description"].rstrip("]").endswith(path) and source["endOffset"]:
                return int(source["endOffset"]["reservoirVersion"])
        return None

    def landed_through(self, now: datetime, interval: timedelta) -> datetime | None:
        """Of a stream that reads a topic: what arrived up to then has been committed."""
        if self.has_all:
            # it looked within the last interval
            return now - interval
        if any(source["endOffset"] != source["latestOffset"] for source in self._sources()):
            return None  # more was there than one micro-batch takes
        return datetime.fromisoformat(self.progress["timestamp"]) if self.progress else None

    def _sources(self) -> list[Mapping[str, Any]]:
        return self.progress["sources"] if self.progress else []


class Arrivals:
    """Up to when what has arrived stands in a table, version by version.

    By the clock of this machine, not by the events' own times: those may be of any week.
    """

    def __init__(self) -> None:
        self._notes: deque[tuple[int, datetime]] = deque(maxlen=_MOST_NOTES)

    def note(self, version: int, through: datetime | None) -> None:
        """What arrived up to `through` stands in this version."""
        if through is not None:
            self._notes.append((version, through))

    def through(self, next_version: int | None) -> datetime | None:
        """Up to when a reader has everything that will read `next_version` next."""
        if next_version is None:
            return None
        # a reader goes forwards: what is before the newest note that it has is wanted no more
        while len(self._notes) > 1 and self._notes[1][0] < next_version:
            self._notes.popleft()
        found = self._notes[0] if self._notes else None
        return found[1] if found and found[0] < next_version else None
