"""Client of the inference API: batches go out side by side, bounded in time; some are answered."""

from __future__ import annotations

import asyncio
import json
from asyncio import FIRST_COMPLETED, Task
from collections.abc import AsyncIterator, Generator, Iterable
from itertools import chain
from typing import Any

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_random_exponential,
)

from lakehouse.config import ScoringSettings
from silver.circuit_breaker import CircuitBreaker

_MOST_ANSWER_BYTES = 16 * 2**20

Batch = list[dict[str, Any]]
Answered = tuple[Batch, Any]


class _UnansweredError(Exception):
    """An attempt brought no answer, and a later one may; not before `retry_after` seconds."""

    def __init__(self, retry_after: float = 0.0) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


def answers(
    batches: Iterable[Batch], settings: ScoringSettings, breaker: CircuitBreaker
) -> Generator[Answered, None, None]:
    """Ask for each batch of transactions: those that were answered, as parsed JSON, as they come.

    A batch has no answer when the service is down, slow, refuses it or talks nonsense, when the
    breaker is open, and when `total_deadline_seconds` have passed since the first batch was there.
    Never fails for a fault of the service. Takes all batches, and holds no more of them than
    `concurrency` and the next. Leaves no request behind, not when abandoned either.
    """
    rest = iter(batches)
    first = next(rest, None)
    if first is None:
        return  # most partitions of a small micro-batch: no loop, no client
    with asyncio.Runner() as runner:
        coming = _answers(chain([first], rest), settings, breaker)
        while (answered := runner.run(_next(coming))) is not None:
            yield answered


async def _next(coming: AsyncIterator[Answered]) -> Answered | None:
    return await anext(coming, None)


async def _answers(
    batches: Iterable[Batch], settings: ScoringSettings, breaker: CircuitBreaker
) -> AsyncIterator[Answered]:
    in_flight: set[Task[Answered | None]] = set()
    async with _client(settings) as http:
        talk = _Conversation(http, settings, breaker)
        # to the end, even when nothing is asked any more: Spark ends a worker that leaves input
        # unread, and the breaker with it
        for batch in batches:
            # while the breaker is not closed, what is in flight decides about the rest
            while in_flight and (len(in_flight) >= settings.concurrency or not breaker.is_closed):
                done, in_flight = await asyncio.wait(in_flight, return_when=FIRST_COMPLETED)
                for answered in filter(None, (each.result() for each in done)):
                    yield answered
            if talk.is_in_time() and breaker.lets_through():
                in_flight.add(asyncio.create_task(talk.ask(batch)))
        for each in asyncio.as_completed(in_flight):
            if (last := await each) is not None:
                yield last


def _client(settings: ScoringSettings) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        timeout=httpx.Timeout(
            settings.read_timeout_seconds, connect=settings.connect_timeout_seconds
        ),
        limits=httpx.Limits(max_keepalive_connections=settings.concurrency),
        # a few bytes that unpack to gigabytes are asked of nobody
        headers={"Accept-Encoding": "identity"},
        # neither a proxy of the machine nor a redirection of the service: payments go to the
        # configured address only
        trust_env=False,
        follow_redirects=False,
    )


class _Conversation:
    """All requests of one partition: their one deadline runs from here."""

    def __init__(
        self, http: httpx.AsyncClient, settings: ScoringSettings, breaker: CircuitBreaker
    ) -> None:
        self._http = http
        self._settings = settings
        self._breaker = breaker
        self._now = asyncio.get_running_loop().time
        self._deadline = self._now() + settings.total_deadline_seconds

    def is_in_time(self) -> bool:
        """Whether the deadline is still ahead."""
        return self._now() < self._deadline

    async def ask(self, batch: Batch) -> Answered | None:
        """Ask for one batch, and tell the breaker; None where there is no sensible answer."""
        begun = self._now()
        try:
            async with asyncio.timeout_at(self._deadline):
                answer: Any = await self._attempts()(self._post, batch)
        except _UnansweredError:
            self._breaker.unanswered()
            return None
        except TimeoutError:
            # what the deadline cut short says something of the service only if it had its time
            if self._deadline - begun >= self._settings.read_timeout_seconds:
                self._breaker.unanswered()
            return None
        self._breaker.answered()
        return None if answer is None else (batch, answer)

    def _attempts(self) -> AsyncRetrying:
        jitter = wait_random_exponential(
            self._settings.backoff_seconds, max=self._settings.max_backoff_seconds
        )

        def pause(state: RetryCallState) -> float:
            fault = state.outcome.exception() if state.outcome else None
            asked_for = fault.retry_after if isinstance(fault, _UnansweredError) else 0.0
            return max(jitter(state), asked_for)

        def is_enough(state: RetryCallState) -> bool:
            is_last = state.attempt_number >= self._settings.attempts
            is_too_long = state.upcoming_sleep > self._settings.max_backoff_seconds
            return is_last or is_too_long or self._now() + state.upcoming_sleep >= self._deadline

        return AsyncRetrying(
            retry=retry_if_exception_type(_UnansweredError),
            stop=is_enough,
            wait=pause,
            reraise=True,
        )

    async def _post(self, batch: Batch) -> Any:
        """One attempt: the parsed answer, or None where the service answered with nonsense.

        Raises:
            _UnansweredError: no whole answer in time, or a failure of the service.
        """
        # httpx counts each read of a socket anew: a server that drips would never be late
        longest = self._settings.connect_timeout_seconds + self._settings.read_timeout_seconds
        body = {"transactions": batch}
        try:
            async with (
                asyncio.timeout(longest),
                self._http.stream("POST", str(self._settings.url), json=body) as response,
            ):
                if _is_failing(response):
                    raise _UnansweredError(_retry_after(response))
                is_answer = response.status_code == httpx.codes.OK
                content = await _content(response) if is_answer else b""
        except (httpx.HTTPError, TimeoutError) as fault:
            raise _UnansweredError from fault
        try:
            # NaN and Infinity are not JSON: as null they are no score
            return json.loads(content, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            return None


def _is_failing(response: httpx.Response) -> bool:
    return response.status_code >= 500 or response.status_code == httpx.codes.TOO_MANY_REQUESTS


def _retry_after(response: httpx.Response) -> float:
    """Seconds; a date, the other form of RFC 9110, counts as none."""
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isascii() and seconds.isdigit() else 0.0


async def _content(response: httpx.Response) -> bytes:
    """The body; nothing for one that is longer than any answer."""
    content = bytearray()
    async for part in response.aiter_raw():
        content += part
        if len(content) > _MOST_ANSWER_BYTES:
            return b""
    return bytes(content)
