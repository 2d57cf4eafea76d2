"""Kafka -> bronze.transactions, each record exactly once, card numbers as tokens."""

from __future__ import annotations

from pyspark.sql.streaming import StreamingQuery

from bronze.ingestion import AcceptLoss, Ingestion
from lakehouse.context import Lakehouse
from lakehouse.job import run
from lakehouse.tables import BRONZE_LOSSES_TRANSACTIONS, BRONZE_TRANSACTIONS


def ingest_transactions(lake: Lakehouse, *, accept_loss: AcceptLoss = None) -> StreamingQuery:
    """Append what is new on the topic."""
    topic = lake.config.kafka.topics.transactions
    ingestion = Ingestion(topic, BRONZE_TRANSACTIONS, BRONZE_LOSSES_TRANSACTIONS)
    return ingestion.start(lake, accept_loss or [])


if __name__ == "__main__":
    run(ingest_transactions)
