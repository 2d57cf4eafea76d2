"""Send generated records to Kafka, exactly as generated, at a rate or at once."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from lakehouse.errors import BrokerUnreachableError, ServiceError
from lakehouse.local.generator.feed import FeedRecord
from lakehouse.local.generator.generated import GeneratedWorld

Progress = Callable[[int, int], None]

PROGRESS_EVERY = 500


def produce(
    world: GeneratedWorld,
    bootstrap_servers: str,
    rate: float | None = None,
    *,
    topics: Mapping[str, str] | None = None,
    on_progress: Progress | None = None,
    timeout_seconds: float = 30.0,
) -> int:
    """Send both topics of a world, merged by time of production; return how many were delivered.

    `rate` is records per second, None sends at once; `topics` renames the contract's topics;
    `on_progress` is told (sent, total).

    Raises:
        BrokerUnreachableError: no broker answers.
        ServiceError: the broker did not take every record.
    """
    total = len(world.transactions) + len(world.scores)
    merged = heapq.merge(world.transactions, world.scores, key=lambda item: item.timestamp_ms)
    return produce_records(
        merged,
        bootstrap_servers,
        rate,
        total=total,
        topics=topics,
        on_progress=on_progress,
        timeout_seconds=timeout_seconds,
    )


def produce_records(
    records: Iterable[FeedRecord],
    bootstrap_servers: str,
    rate: float | None = None,
    *,
    total: int,
    topics: Mapping[str, str] | None = None,
    on_progress: Progress | None = None,
    timeout_seconds: float = 30.0,
) -> int:
    """Send records in their order and wait until the broker has them; see `produce`."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 20,
            "compression.type": "none",
            # the same partition for a key as Kafka's Java clients choose
            "partitioner": "murmur2_random",
            "message.timeout.ms": int(timeout_seconds * 1000),
            "log_level": 0,
        }
    )
    _require_broker(producer, bootstrap_servers, min(timeout_seconds, 10.0))
    failures: list[str] = []

    def note(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error.str())

    names = topics or {}
    sent = 0
    for record in paced(records, rate):
        _enqueue(producer, record, names.get(record.topic, record.topic), note)
        sent += 1
        if on_progress and sent % PROGRESS_EVERY == 0:
            on_progress(sent, total)
        if failures:
            break
    undelivered = producer.flush(timeout_seconds)
    if failures or undelivered:
        reason = failures[0] if failures else "no answer in time"
        raise ServiceError(
            f"Kafka at {bootstrap_servers} did not take {len(failures) + undelivered} of "
            f"{sent} records: {reason}"
        )
    if on_progress:
        on_progress(sent, total)
    return sent


def paced(
    records: Iterable[FeedRecord],
    rate: float | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[FeedRecord]:
    """Pass records on, at most `rate` per second; None does not wait."""
    begin = clock()
    for position, record in enumerate(records):
        if rate:
            ahead = begin + position / rate - clock()
            if ahead > 0:
                sleep(ahead)
        yield record


def _require_broker(producer: Producer, servers: str, timeout_seconds: float) -> None:
    try:
        producer.list_topics(timeout=timeout_seconds)
    except KafkaException:
        raise BrokerUnreachableError(servers) from None


def _enqueue(
    producer: Producer,
    record: FeedRecord,
    topic: str,
    on_delivery: Callable[[KafkaError | None, Message], None],
) -> None:
    while True:
        try:
            producer.produce(
                topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                timestamp=record.timestamp_ms,
                on_delivery=on_delivery,
            )
        except BufferError:
            # the queue is full: let deliveries through
            producer.poll(0.1)
        else:
            producer.poll(0)
            return
