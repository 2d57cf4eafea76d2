"""The first and the last hop of the flow, counted like the steps between them.

What lies between is `gold/reconcile.py`, which reads tables only; a broker and DynamoDB have to
be asked.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.cli.counts import StepCounts
from lakehouse.cli.topics import seen_now
from lakehouse.config import Config
from lakehouse.delta import path_of
from lakehouse.serving import count_items
from lakehouse.tables import (
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
    WAITING_DAY,
    Table,
)


def first_hops(spark: SparkSession, config: Config) -> list[StepCounts]:
    """Per topic: records that the broker took, and how many of their offsets have landed.

    Raises:
        BrokerUnreachableError: no broker answers.
    """
    topics = config.kafka.topics
    return [
        _landed(spark, config, topics.transactions, BRONZE_TRANSACTIONS),
        _landed(spark, config, topics.fraud_scores, BRONZE_FRAUD_SCORES),
    ]


def last_hops(spark: SparkSession, config: Config) -> list[StepCounts]:
    """Gold's transactions, and how many of them history and DynamoDB know.

    What waits for its transaction, or is too old to be hot, is held. Whether the items are right is
    for `lakehouse prove serving` to say.

    Raises:
        DynamoDbError: the service does not answer.
    """
    gold = _read(spark, config, GOLD_TRANSACTIONS)
    told = _read(spark, config, GOLD_TRANSACTION_HISTORY).select("transaction_id").distinct()
    kept_from = datetime.now(UTC) - timedelta(days=config.dynamodb.hot.days)
    is_item = (F.col("event_date") != F.lit(WAITING_DAY)) & (F.col("timestamp") > F.lit(kept_from))
    counts = (
        gold.join(told.withColumn("is_told", F.lit(True)), "transaction_id", "left")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count("is_told").alias("told"),
            F.count_if(is_item).alias("items"),
        )
        .first()
    )
    assert counts is not None  # an aggregate has one row
    held, served = counts["rows"] - counts["items"], count_items(config.dynamodb, "gold")
    name = GOLD_TRANSACTIONS.name
    return [
        _closed(f"{name} -> {GOLD_TRANSACTION_HISTORY.name}",
                counts["rows"], counts["told"]),
        _closed(f"{name} -> DynamoDB", counts["rows"], served, held),
    ]  # fmt: skip


def _landed(spark: SparkSession, config: Config, topic: str, table: Table) -> StepCounts:
    now = seen_now(config.kafka, topic)
    is_own = (F.col("topic") == topic) & (F.col("topic_id") == now.topic_id)
    rows = _read(spark, config, table).where(is_own)
    landed = rows.select("partition", "offset").distinct().count()
    sent = sum(now.end.values())
    return _closed(f"Kafka {topic} -> {table.name}", sent, landed)


def _read(spark: SparkSession, config: Config, table: Table) -> DataFrame:
    return spark.read.format("delta").load(path_of(config, table))


def _closed(step: str, delivered: int, accepted: int, held: int = 0) -> StepCounts:
    return StepCounts(
        step=step,
        delivered=delivered,
        accepted=accepted,
        duplicates=0,
        quarantined=0,
        held=held,
        unexplained=delivered - accepted - held,
    )
