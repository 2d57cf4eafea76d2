"""Sending: the pace, and what a silent broker gets."""

from __future__ import annotations

import socket

import pytest

from lakehouse.errors import BrokerUnreachableError
from lakehouse.local.generator import FeedRecord, GeneratorSettings, generate
from lakehouse.local.generator.producer import paced, produce


def a_record(number: int) -> FeedRecord:
    return FeedRecord("topic", b"key", str(number).encode(), (), number, None)


def test_records_keep_the_pace_and_their_order() -> None:
    now, waits = [100.0], list[float]()

    def sleep(seconds: float) -> None:
        waits.append(round(seconds, 6))
        now[0] += seconds

    records = [a_record(number) for number in range(5)]
    assert list(paced(records, 10, clock=lambda: now[0], sleep=sleep)) == records
    assert waits == [0.1, 0.1, 0.1, 0.1]


def test_without_a_rate_nothing_waits() -> None:
    def sleep(_: float) -> None:
        pytest.fail("waited")

    assert len(list(paced(map(a_record, range(100)), None, sleep=sleep))) == 100


def test_a_silent_broker_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        world = generate(GeneratorSettings(transactions=5))
        with pytest.raises(BrokerUnreachableError, match=address):
            produce(world, address, timeout_seconds=1.5)
