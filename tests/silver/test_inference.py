"""However a service fails, asking it ends: on time, with what was answered, and without a fault."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest import param

from lakehouse.config import CircuitBreakerSettings, Config, ScoringSettings
from silver.circuit_breaker import CircuitBreaker
from silver.inference import Batch, answers
from tests.silver.clock import Clock
from tests.silver.inference_api import Answer, Transactions, good, running

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n"

With = Callable[..., ScoringSettings]


@pytest.fixture
def settings_with(config: Config) -> With:
    """Settings that name only what matters: one request at a time, hardly a pause, patience."""

    def settings(**changed: Any) -> ScoringSettings:
        usual = {"concurrency": 1, "attempts": 2, "backoff_seconds": 0.001}
        return config.scoring.model_copy(update=usual | changed)

    return settings


def a_breaker(failures: int = 100, clock: Clock | None = None) -> CircuitBreaker:
    settings = CircuitBreakerSettings(failures=failures, open_seconds=30)
    return CircuitBreaker(settings, clock or Clock())


def batches(count: int) -> Iterator[Batch]:
    return ([{"transaction_id": str(number)}] for number in range(count))


def answered(
    count: int, settings: ScoringSettings, breaker: CircuitBreaker | None = None
) -> set[int]:
    """Ask for so many batches: the numbers of those with an answer."""
    found = answers(batches(count), settings, breaker or a_breaker())
    return {int(batch[0]["transaction_id"]) for batch, _ in found}


def test_each_batch_comes_back_with_its_own_answer(settings_with: With) -> None:
    with running() as api:
        found = list(answers(batches(9), settings_with(url=api.url, concurrency=3), a_breaker()))
    pairs = {
        (batch[0]["transaction_id"], answer["scores"][0]["transaction_id"])
        for batch, answer in found
    }
    assert pairs == {(str(number), str(number)) for number in range(9)}


def test_as_many_requests_as_configured_are_in_flight_and_never_more(settings_with: With) -> None:
    together, lock, in_flight = threading.Barrier(3), threading.Lock(), [0, 0]

    def answer(transactions: Transactions) -> bytes:
        with lock:
            in_flight[0] += 1
            in_flight[1] = max(in_flight)
        together.wait(timeout=10)  # fewer than three would wait for ever
        with lock:
            in_flight[0] -= 1
        return good(transactions)

    with running(answer) as api:
        assert len(answered(9, settings_with(url=api.url, concurrency=3))) == 9
    assert in_flight == [0, 3]


def test_no_more_batches_are_taken_than_there_is_room_for(settings_with: With) -> None:
    taken = []

    def partition() -> Iterator[Batch]:
        for batch in batches(100):
            taken.append(batch)
            yield batch

    with running() as api:
        coming = answers(partition(), settings_with(url=api.url, concurrency=2), a_breaker())
        next(coming)
        assert len(taken) == 3
        coming.close()


def test_who_stops_listening_waits_for_nobody(settings_with: With) -> None:
    with running() as api:
        api.answer = lambda asked: good(asked) if len(api.asked) == 1 else api.hang(asked)
        patient = settings_with(
            url=api.url, concurrency=2, read_timeout_seconds=3600, total_deadline_seconds=3600
        )
        coming = answers(batches(9), patient, a_breaker())
        next(coming)
        coming.close()
    assert len(api.asked) <= 2


def test_past_the_deadline_nobody_is_asked_and_all_are_taken(settings_with: With) -> None:
    rest, breaker = batches(50), a_breaker(failures=1)
    with running() as api:
        api.answer = api.hang
        hurried = settings_with(url=api.url, concurrency=2, total_deadline_seconds=1)
        assert list(answers(rest, hurried, breaker)) == []
    assert len(api.asked) <= 2
    assert next(rest, None) is None
    # a second is less than an answer may take: nothing is known of the service
    assert breaker.is_closed


def test_a_request_that_the_deadline_cuts_counts_if_it_had_its_time(settings_with: With) -> None:
    breaker = a_breaker(failures=1)
    with running() as api:
        api.answer = api.hang
        hurried = settings_with(
            url=api.url, read_timeout_seconds=0.6, total_deadline_seconds=1, attempts=2
        )
        assert answered(1, hurried, breaker) == set()
    assert not breaker.is_closed


def dripping(head: bytes) -> Answer:
    def answer(_: Transactions) -> Iterator[bytes]:
        yield head
        while True:
            time.sleep(0.02)
            yield b" "

    return answer


@pytest.mark.parametrize(
    "answer",
    [param(dripping(HEAD + b"X-Slow:"), id="head"), param(dripping(HEAD + b"\r\n"), id="body")],
)
def test_a_service_that_drips_has_not_answered(settings_with: With, answer: Answer) -> None:
    breaker = a_breaker(failures=1)
    with running(answer) as api:
        impatient = settings_with(
            url=api.url,
            connect_timeout_seconds=0.2,
            read_timeout_seconds=0.2,
            total_deadline_seconds=3600,
        )
        assert answered(1, impatient, breaker) == set()
    assert len(api.asked) == 2
    assert not breaker.is_closed


def test_an_answer_without_an_end_is_nonsense(settings_with: With) -> None:
    def endless(_: Transactions) -> Iterator[bytes]:
        yield HEAD + b"\r\n"
        while True:
            yield b" " * 2**20

    breaker = a_breaker(failures=1)
    with running(endless) as api:
        assert answered(2, settings_with(url=api.url), breaker) == set()
    assert len(api.asked) == 2
    assert breaker.is_closed


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failing_service_is_tried_again_as_often_as_configured(
    settings_with: With, status: int
) -> None:
    with running(status=status) as api:
        assert answered(2, settings_with(url=api.url, attempts=3)) == set()
    assert len(api.asked) == 2 * 3


def test_a_hanging_service_is_tried_again(settings_with: With) -> None:
    with running() as api:
        api.answer = api.hang
        assert answered(1, settings_with(url=api.url, read_timeout_seconds=0.2)) == set()
    assert len(api.asked) == 2


def test_a_service_that_recovers_between_two_attempts_is_heard(settings_with: With) -> None:
    with running(status=503) as api:

        def recovering(transactions: Transactions) -> bytes:
            api.status = 200 if len(api.asked) > 1 else 503
            return good(transactions)

        api.answer = recovering
        assert answered(2, settings_with(url=api.url)) == {0, 1}


@pytest.mark.parametrize(
    ("retry_after", "attempts"),
    [
        param("0", 2, id="at once"),
        param("3600", 1, id="longer than the longest pause"),
        param("9" * 400, 1, id="for ever"),
        param("Wed, 21 Oct 2026 07:28:00 GMT", 2, id="a date"),
        param("-1", 2, id="nonsense"),
    ],
)
def test_nobody_is_asked_before_the_time_it_named(
    settings_with: With, retry_after: str, attempts: int
) -> None:
    with running(status=503) as api:
        api.headers = {"Retry-After": retry_after}
        assert answered(1, settings_with(url=api.url)) == set()
    assert len(api.asked) == attempts


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_payments_follow_no_redirection(settings_with: With, status: int) -> None:
    with running() as elsewhere, running(status=status) as api:
        api.headers = {"Location": elsewhere.url}
        assert answered(1, settings_with(url=api.url)) == set()
    assert len(api.asked) == 1
    assert elsewhere.asked == []


def test_payments_take_no_way_over_a_proxy(
    settings_with: With, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with running() as api:
        assert answered(1, settings_with(url=api.url)) == {0}


def test_a_dead_service_is_left_alone_until_a_probe_is_answered(settings_with: With) -> None:
    clock = Clock()
    breaker = a_breaker(failures=3, clock=clock)
    with running(status=503) as api:
        settings = settings_with(url=api.url, attempts=1)
        assert answered(9, settings, breaker) == set()
        assert len(api.asked) == 3
        assert answered(9, settings, breaker) == set()
        assert len(api.asked) == 3
        clock.now += 30
        assert answered(9, settings, breaker) == set()
        assert len(api.asked) == 3 + 1
        api.status = 200
        clock.now += 29
        assert answered(9, settings, breaker) == set()
        clock.now += 1
        assert answered(9, settings, breaker) == set(range(9))


def test_all_batches_wait_for_the_probe_and_follow_its_answer(settings_with: With) -> None:
    clock = Clock()
    breaker = a_breaker(failures=1, clock=clock)
    breaker.unanswered()
    clock.now += 30
    with running() as api:
        wide = settings_with(url=api.url, concurrency=4)
        assert answered(9, wide, breaker) == set(range(9))
    assert breaker.is_closed


def test_an_empty_partition_asks_nobody(settings_with: With) -> None:
    assert answered(0, settings_with(url="http://127.0.0.1:1/score")) == set()
