"""Up to where a topic is written, for people who wait for the answer."""

from __future__ import annotations

import socket
from contextlib import suppress

from confluent_kafka import Consumer, KafkaException, TopicPartition

from lakehouse.config import KafkaSettings
from lakehouse.errors import BrokerUnreachableError
from lakehouse.kafka import partitions_of

_PROBE_SECONDS = 1.0
_ANSWER_SECONDS = 5.0


def end_of(kafka: KafkaSettings, topic: str) -> dict[int, int]:
    """The next offset of each partition, read committed.

    Raises:
        BrokerUnreachableError: nobody listens there, which is known at once, or answers in time.
        ServiceError: the broker has no such topic.
    """
    require_listener(kafka)
    # joins no group and commits nothing: the library only wants a name
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "lakehouse", "log_level": 0}
    )
    try:
        return {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), _ANSWER_SECONDS)[
                1
            ]
            for number in partitions_of(kafka, topic)
        }
    except KafkaException:
        raise BrokerUnreachableError(kafka.bootstrap_servers) from None
    finally:
        consumer.close()


def require_listener(kafka: KafkaSettings) -> None:
    """Look quickly, before a patient client waits for somebody who is not there.

    Raises:
        BrokerUnreachableError: every one of the configured ports is closed.
    """
    for server in kafka.bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        with (
            suppress(OSError, ValueError),
            socket.create_connection((host.strip("[]"), int(port)), _PROBE_SECONDS),
        ):
            return
    raise BrokerUnreachableError(kafka.bootstrap_servers)
