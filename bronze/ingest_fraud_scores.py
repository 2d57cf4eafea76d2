"""Kafka -> bronze.fraud_scores, each record exactly once, card numbers as tokens."""

from __future__ import annotations

from pyspark.sql.streaming import StreamingQuery

from bronze.ingestion import AcceptLoss, Ingestion
from lakehouse.context import Lakehouse
from lakehouse.job import run
from lakehouse.tables import BRONZE_FRAUD_SCORES, BRONZE_LOSSES_FRAUD_SCORES


def ingest_fraud_scores(lake: Lakehouse, *, accept_loss: AcceptLoss = None) -> StreamingQuery:
    """Append what is new on the topic."""
    topic = lake.config.kafka.topics.fraud_scores
    ingestion = Ingestion(topic, BRONZE_FRAUD_SCORES, BRONZE_LOSSES_FRAUD_SCORES)
    return ingestion.start(lake, accept_loss or [])


if __name__ == "__main__":
    run(ingest_fraud_scores)
