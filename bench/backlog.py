"""A backlog in Kafka: conforming records of both topics, from a seed."""

from __future__ import annotations

import heapq
from itertools import islice

from confluent_kafka.admin import AdminClient, NewTopic
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.config import Config
from lakehouse.kafka import client_options, reader_options, topic_now
from lakehouse.local.generator import GeneratorSettings, generate_topics
from lakehouse.local.generator.producer import produce_records
from lakehouse.tables import BRONZE_TRANSACTIONS

_PARTITIONS = 2
_EVENTS_PER_PAYMENT = 1.25  # a quarter of the payments is pending first


def fill(config: Config, records: int, days: int = 7) -> None:
    """Send so many records of payments.transactions, and a score for half of the payments."""
    topics = config.kafka.topics
    names = {
        "payments.transactions": topics.transactions,
        "payments.fraud-scores": topics.fraud_scores,
    }
    admin = AdminClient(client_options(config.kafka))
    wanted = [NewTopic(name, _PARTITIONS, 1) for name in names.values()]
    there = admin.list_topics(timeout=30).topics
    missing = [topic for topic in wanted if topic.topic not in there]
    for created in admin.create_topics(missing).values() if missing else ():
        created.result(30)
    payments = round(records / _EVENTS_PER_PAYMENT * 1.02)
    transactions, scores = generate_topics(GeneratorSettings.tidy(transactions=payments, days=days))
    sent = list(islice(transactions, records))
    if len(sent) < records:
        raise ValueError(f"the generator made {len(sent)} records, {records} are wanted")
    merged = heapq.merge(sent, scores, key=lambda record: record.timestamp_ms)
    total = records + len(scores)
    produce_records(
        merged, config.kafka.bootstrap_servers, total=total, topics=names, timeout_seconds=300
    )


def stream_of(spark: SparkSession, config: Config, name: str) -> DataFrame:
    """A topic from its beginning, as the ingestion reads it, with Bronze's columns."""
    topic = topic_now(config.kafka, name)
    options = reader_options(config.kafka, topic.name, topic.first)
    known = {
        "topic_id": F.lit(topic.topic_id),
        "timestamp_type": F.col("timestampType"),
        "redactions": F.lit(0),
        "ingest_date": F.to_date("timestamp"),
    }
    records = spark.readStream.format("kafka").options(**options).load()
    return records.withColumns(known).select(*BRONZE_TRANSACTIONS.columns)


def run_to_end(rows: DataFrame, to: str, checkpoint: str, path: str | None = None) -> None:
    """Run a stream until it has read all that is there."""
    writer = rows.writeStream.format(to).trigger(availableNow=True)
    if path:
        writer = writer.option("path", path).partitionBy("ingest_date")
    writer.option("checkpointLocation", checkpoint).start().awaitTermination()
