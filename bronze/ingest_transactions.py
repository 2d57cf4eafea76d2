"""Kafka -> bronze.transactions, each record exactly once, card numbers as tokens."""

from __future__ import annotations

from pyspark.sql.streaming import StreamingQuery

from bronze.records import kafka_records
from lakehouse.config import secret
from lakehouse.context import Lakehouse
from lakehouse.job import run
from lakehouse.tables import BRONZE_TRANSACTIONS


def ingest_transactions(lake: Lakehouse) -> StreamingQuery:
    """Append what is new on the topic."""
    source = lake.topic(lake.config.kafka.topics.transactions, landed_in=BRONZE_TRANSACTIONS)
    card_key = secret(lake.config.cards.token_key).encode()
    return lake.append_stream(kafka_records(source, card_key), to=BRONZE_TRANSACTIONS)


if __name__ == "__main__":
    run(ingest_transactions)
