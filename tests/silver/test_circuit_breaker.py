"""Whoever did not answer several requests in a row is left alone, and tried again after a while."""

from __future__ import annotations

import pytest

from lakehouse.config import CircuitBreakerSettings
from silver.circuit_breaker import CircuitBreaker, breaker_of
from tests.silver.clock import Clock

SETTINGS = CircuitBreakerSettings(failures=3, open_seconds=30)
CLOSED, OPEN = ("side by side", "let through"), ("one by one", "held back")


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until a test moves it."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    """It opens for 30 seconds after three in a row."""
    return CircuitBreaker(SETTINGS, clock)


def state(breaker: CircuitBreaker) -> tuple[str, str]:
    return (
        "side by side" if breaker.is_closed else "one by one",
        "let through" if breaker.lets_through() else "held back",
    )


def opened(breaker: CircuitBreaker) -> CircuitBreaker:
    for _ in range(3):
        breaker.unanswered()
    return breaker


def test_it_opens_at_the_last_of_so_many_in_a_row(breaker: CircuitBreaker) -> None:
    breaker.unanswered()
    breaker.unanswered()
    assert state(breaker) == CLOSED
    breaker.unanswered()
    assert state(breaker) == OPEN


def test_an_answer_begins_the_row_anew(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        breaker.unanswered()
        breaker.unanswered()
        breaker.answered()
    assert state(breaker) == CLOSED


def test_after_a_while_one_request_goes_out_and_its_answer_closes(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    opened(breaker)
    clock.now += 29.9
    assert not breaker.lets_through()
    clock.now += 0.1
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    assert state(breaker) == OPEN
    breaker.answered()
    assert state(breaker) == CLOSED


@pytest.mark.parametrize("is_heard_of", [True, False], ids=["unanswered", "never heard of again"])
def test_a_probe_without_an_answer_opens_it_for_as_long_again(
    breaker: CircuitBreaker, clock: Clock, is_heard_of: bool
) -> None:
    opened(breaker)
    clock.now += 30
    assert breaker.lets_through()
    if is_heard_of:
        breaker.unanswered()
    clock.now += 29.9
    assert not breaker.lets_through()
    clock.now += 0.1
    assert breaker.lets_through()


def test_an_answer_to_a_request_of_before_closes_it(breaker: CircuitBreaker) -> None:
    opened(breaker).answered()
    assert state(breaker) == CLOSED


def test_a_process_has_one_for_each_service() -> None:
    one = breaker_of("http://one/score", SETTINGS)
    assert one is breaker_of("http://one/score", SETTINGS.model_copy())
    assert one is not breaker_of("http://other/score", SETTINGS)
