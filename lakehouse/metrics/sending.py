"""Figures leave by a thread of their own, from a bounded queue: a job never waits for them."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from lakehouse.errors import FiguresLeftError
from lakehouse.metrics.points import Metric, Point, merged, point

_LAST_SECONDS = 10.0  # the end of a run waits no longer for its last figures

Send = Callable[[Sequence[Point]], int]
"""Sends points, and says how many of them are lost for good; or raises, and none was sent, unless
it says by `FiguresLeftError` which are left."""
Take = Callable[[Sequence[Point]], None]
Tick = Callable[[], Sequence[Point]]


class Sender:
    """Takes points at once, or drops them; sends them every so many seconds.

    What cannot be sent is kept for the next time as far as the queue is long; what is beyond is
    counted in `DroppedPoints`. `ticks` give points of their own before each sending.
    """

    def __init__(self, name: str, send: Send, seconds: float, queue_points: int) -> None:
        self._name, self._send, self._seconds, self._most = name, send, seconds, queue_points
        self._queue: queue.SimpleQueue[Point] = queue.SimpleQueue()
        self._dropped = 0
        self._ticks: list[Tick] = []
        self._over, self._wanted = threading.Event(), threading.Event()
        self._waiting: list[Point] = []
        self._thread = threading.Thread(target=self._run, name=f"metrics-{name}", daemon=True)

    def take(self, points: Sequence[Point]) -> None:
        """Queue points; those that the queue has no place for are lost, and counted."""
        for each in points:
            if self._queue.qsize() >= self._most:
                self._dropped += 1
            else:
                self._queue.put(each)

    def every_time(self, tick: Tick) -> None:
        """Ask for points before each sending, in the sender's thread."""
        self._ticks.append(tick)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send while the block runs, and once more behind it, for some seconds at most."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join(_LAST_SECONDS)

    def _run(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._over.wait(self._seconds)
            # whatever happens here is no fault of the job
            with suppress(Exception):
                self._once()

    def _once(self) -> None:
        for tick in tuple(self._ticks):
            with suppress(Exception):
                self.take(tick())
        points = self._waiting + list(self._taken())
        if self._dropped:
            points.append(point(Metric.DROPPED_POINTS, self._name, _now(), self._dropped))
            self._dropped = 0
        packed = pack(points)
        self._waiting = []
        try:
            self._dropped += self._send(packed)
        except FiguresLeftError as fault:
            # what was sent would count twice
            self._dropped += fault.lost
            self._keep(fault.left)
        except Exception:
            self._keep(packed)

    def _keep(self, left: Sequence[Point]) -> None:
        """Have points wait for the next time, the newest of them as far as the queue is long."""
        self._dropped += max(0, len(left) - self._most)
        self._waiting = [*left[-self._most :]]

    def _taken(self) -> Iterator[Point]:
        while True:
            try:
                yield self._queue.get_nowait()
            except queue.Empty:
                return


def pack(points: Sequence[Point]) -> list[Point]:
    """One point of each metric, subject and minute, with the values of all."""
    packed: dict[tuple[Metric, str, datetime], dict[float, int]] = {}
    for each in points:
        key = (each.metric, each.subject, each.at)
        packed[key] = merged(packed.get(key, Counter()), each.values)
    return [Point(*key, values) for key, values in packed.items()]


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
