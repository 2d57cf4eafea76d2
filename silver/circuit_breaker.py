"""A circuit breaker: whoever did not answer several requests in a row is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

from lakehouse.config import CircuitBreakerSettings


class CircuitBreaker:
    """Closed, it lets every request through; open, none; after `open_seconds` one, the probe.

    An answer closes it. A probe that is not answered opens it for as long again, and so does one
    of which nothing is heard. For one thread. A library would be one more locked dependency for
    these lines.
    """

    def __init__(
        self, settings: CircuitBreakerSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock  # seconds
        self._unanswered_in_a_row = 0
        self._next_probe: float | None = None

    @property
    def is_closed(self) -> bool:
        """Whether requests may go out side by side."""
        return self._next_probe is None

    def lets_through(self) -> bool:
        """Whether a request may go out now; whoever is told so sends it."""
        if self._next_probe is None:
            return True
        if self._clock() < self._next_probe:
            return False
        self._open()  # to all others, while this probe is out
        return True

    def answered(self) -> None:
        """Note an answer."""
        self._unanswered_in_a_row = 0
        self._next_probe = None

    def unanswered(self) -> None:
        """Note a request that has no answer after all its attempts."""
        self._unanswered_in_a_row += 1
        if self._unanswered_in_a_row >= self._settings.failures:
            self._open()

    def _open(self) -> None:
        self._next_probe = self._clock() + self._settings.open_seconds


@cache
def breaker_of(
    url: str,  # noqa: ARG001  the cache tells services apart by it
    settings: CircuitBreakerSettings,
) -> CircuitBreaker:
    """The one of this process for a service.

    Spark keeps a Python worker from one micro-batch to the next, with one task and one thread at
    a time: the next micro-batch in this worker does not wait for a dead service again.
    """
    return CircuitBreaker(settings)
