"""Kafka -> bronze.fraud_scores, each record exactly once, card numbers as tokens."""

from __future__ import annotations

from pyspark.sql.streaming import StreamingQuery

from bronze.records import kafka_records
from lakehouse.config import secret
from lakehouse.context import Lakehouse
from lakehouse.job import run
from lakehouse.tables import BRONZE_FRAUD_SCORES


def ingest_fraud_scores(lake: Lakehouse) -> StreamingQuery:
    """Append what is new on the topic."""
    source = lake.topic(lake.config.kafka.topics.fraud_scores, landed_in=BRONZE_FRAUD_SCORES)
    card_key = secret(lake.config.cards.token_key).encode()
    return lake.append_stream(kafka_records(source, card_key), to=BRONZE_FRAUD_SCORES)


if __name__ == "__main__":
    run(ingest_fraud_scores)
