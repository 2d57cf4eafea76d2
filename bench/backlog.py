"""A backlog in Kafka: conforming records of both topics, from a seed."""

from __future__ import annotations

import heapq
from itertools import islice

from confluent_kafka.admin import AdminClient, NewTopic

from lakehouse.config import Config
from lakehouse.kafka import client_options
from lakehouse.local.generator import GeneratorSettings, generate_topics
from lakehouse.local.generator.producer import produce_records

_PARTITIONS = 2
_EVENTS_PER_PAYMENT = 1.25  # a quarter of the payments is pending first


def fill(config: Config, records: int, days: int = 7) -> None:
    """Send so many records of payments.transactions, and a score for half of the payments."""
    topics = config.kafka.topics
    admin = AdminClient(client_options(config.kafka))
    names = {
        "payments.transactions": topics.transactions,
        "payments.fraud-scores": topics.fraud_scores,
    }
    wanted = [NewTopic(name, _PARTITIONS, 1) for name in names.values()]
    for created in admin.create_topics(wanted).values():
        created.result(30)
    payments = round(records / _EVENTS_PER_PAYMENT * 1.01)
    settings = GeneratorSettings.tidy(transactions=payments, days=days)
    transactions, scores = generate_topics(settings)
    sent = list(islice(transactions, records))
    if len(sent) < records:
        raise ValueError(f"the generator made {len(sent)} records, {records} are wanted")
    merged = heapq.merge(sent, scores, key=lambda record: record.timestamp_ms)
    produce_records(
        merged, config.kafka.bootstrap_servers, total=records + len(scores), topics=names
    )
