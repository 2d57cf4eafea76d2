"""Kafka as a source: what a topic is now, and how Spark and its own clients reach it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, TopicDescription

from lakehouse.config import KafkaSettings
from lakehouse.errors import BrokerUnreachableError, ServiceError
from lakehouse.sign_in import client_sign_in, reader_sign_in

_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Topic:
    """A topic as it is now; `first` and `end` by partition: `end` is the next committed offset."""

    name: str
    topic_id: str
    first: Mapping[int, int]
    end: Mapping[int, int]


def reader_options(kafka: KafkaSettings, topic: str, starting: Mapping[int, int]) -> dict[str, str]:
    """Spark's options to read one topic; `starting` has the first offset of each partition."""
    return {
        "kafka.bootstrap.servers": kafka.bootstrap_servers,
        "subscribe": topic,
        "startingOffsets": json.dumps({topic: {str(n): at for n, at in starting.items()}}),
        "includeHeaders": "true",
        # lost offsets stop the job with their names; nothing goes on over a gap
        "failOnDataLoss": "true",
        "maxOffsetsPerTrigger": str(kafka.max_records_per_batch),
        # a reader asks for positions behind a fetch of its own that waits for more records
        "kafka.fetch.max.wait.ms": "20",
        "kafka.isolation.level": "read_committed",
        **reader_sign_in(kafka.sign_in),
    }


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Options of clients that are not Spark's."""
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "socket.timeout.ms": int(_TIMEOUT_SECONDS * 1000),
        "log_level": 0,
        **client_sign_in(kafka.sign_in),
    }


def topic_now(kafka: KafkaSettings, name: str) -> Topic:
    """Ask the broker what a topic is.

    Raises:
        BrokerUnreachableError: no broker answers within ten seconds.
        ServiceError: the broker has no such topic.
    """
    admin = AdminClient(client_options(kafka))  # answers come while it lives
    with _named_faults(kafka, name):
        found = _described(admin, name)
        partitions = sorted(partition.id for partition in found.partitions)
        return Topic(
            name,
            str(found.topic_id),
            first=_offsets(admin, name, partitions, OffsetSpec.earliest()),
            end=_offsets(admin, name, partitions, OffsetSpec.latest()),
        )


def topic_id_now(kafka: KafkaSettings, name: str) -> str:
    """The broker's id of a topic: another after it was deleted and created again.

    Raises:
        BrokerUnreachableError, ServiceError: as `topic_now`.
    """
    with _named_faults(kafka, name):
        return str(_described(AdminClient(client_options(kafka)), name).topic_id)


def is_compacted(kafka: KafkaSettings, topic: str) -> bool:
    """Whether a topic forgets records whose key was written again.

    Raises:
        BrokerUnreachableError: no broker answers within ten seconds.
    """
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    admin = AdminClient(client_options(kafka))
    with _named_faults(kafka, topic):
        settings = admin.describe_configs([resource])[resource].result(_TIMEOUT_SECONDS)
        return "compact" in str(settings["cleanup.policy"].value)


@contextmanager
def _named_faults(kafka: KafkaSettings, topic: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise BrokerUnreachableError(kafka.bootstrap_servers) from None
    except KafkaException as fault:
        match fault.args[0].code():
            case KafkaError.UNKNOWN_TOPIC_OR_PART:
                what = f"has no topic {topic!r}. Create it, or correct kafka.topics in the config."
            case KafkaError.TOPIC_AUTHORIZATION_FAILED | KafkaError.CLUSTER_AUTHORIZATION_FAILED:
                what = f"doesn't let this user see topic {topic!r}. Grant it DESCRIBE and READ."
            case _:
                raise BrokerUnreachableError(kafka.bootstrap_servers) from None
        raise ServiceError(f"Kafka at {kafka.bootstrap_servers} {what}") from None


def _described(admin: AdminClient, name: str) -> TopicDescription:
    asked = admin.describe_topics(TopicCollection([name]), request_timeout=_TIMEOUT_SECONDS)
    found: TopicDescription = asked[name].result(_TIMEOUT_SECONDS)
    return found


def _offsets(
    admin: AdminClient, topic: str, partitions: list[int], spec: OffsetSpec
) -> dict[int, int]:
    asked = admin.list_offsets(
        {TopicPartition(topic, number): spec for number in partitions},
        isolation_level=IsolationLevel.READ_COMMITTED,
        request_timeout=_TIMEOUT_SECONDS,
    )
    return {
        place.partition: answer.result(_TIMEOUT_SECONDS).offset for place, answer in asked.items()
    }
