"""Kafka as a source: reader options, and where a reader without a checkpoint starts."""

from __future__ import annotations

import json
from collections.abc import Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lakehouse.config import KafkaSettings
from lakehouse.errors import BrokerUnreachableError, ServiceError

_EARLIEST = -2
_TIMEOUT_SECONDS = 10.0


def reader_options(kafka: KafkaSettings, topic: str, starting: str) -> dict[str, str]:
    """Spark's options to read one topic; `starting` is JSON, or `earliest`."""
    return {
        "kafka.bootstrap.servers": kafka.bootstrap_servers,
        "subscribe": topic,
        "startingOffsets": starting,
        "includeHeaders": "true",
        # lost offsets stop the job with their names; nothing goes on over a gap
        "failOnDataLoss": "true",
        "maxOffsetsPerTrigger": str(kafka.max_records_per_batch),
        "kafka.isolation.level": "read_committed",
        **kafka.options,
    }


def partitions_of(kafka: KafkaSettings, topic: str) -> list[int]:
    """The partitions of a topic.

    Raises:
        BrokerUnreachableError: no broker answers within ten seconds.
        ServiceError: the broker has no such topic.
    """
    try:
        found = _admin(kafka).list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic]
    except KafkaException:
        raise BrokerUnreachableError(kafka.bootstrap_servers) from None
    if found.error is not None or not found.partitions:
        raise ServiceError(
            f"Kafka at {kafka.bootstrap_servers} has no topic {topic!r}. Create it, or correct "
            "kafka.topics in the config."
        )
    return sorted(found.partitions)


def starting_offsets(topic: str, partitions: list[int], landed: Mapping[int, int]) -> str:
    """Start behind what Bronze holds: `landed` is its greatest offset per partition."""
    return json.dumps(
        {topic: {str(number): landed.get(number, _EARLIEST - 1) + 1 for number in partitions}}
    )


def _admin(kafka: KafkaSettings) -> AdminClient:
    return AdminClient(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "socket.timeout.ms": int(_TIMEOUT_SECONDS * 1000),
            "log_level": 0,
        }
    )
