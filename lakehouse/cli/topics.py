"""Up to where a topic is written, for people who wait for the answer."""

from __future__ import annotations

import socket
from contextlib import suppress

from lakehouse.config import KafkaSettings
from lakehouse.errors import BrokerUnreachableError
from lakehouse.kafka import Topic, topic_now

_PROBE_SECONDS = 1.0


def seen_now(kafka: KafkaSettings, topic: str) -> Topic:
    """What a topic is, and up to where it is written, read committed.

    Raises:
        BrokerUnreachableError: nobody listens there, which is known at once, or answers in time.
        ServiceError: the broker has no such topic.
    """
    require_listener(kafka)
    return topic_now(kafka, topic)


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
