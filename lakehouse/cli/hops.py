"""The first and the last hop of the flow, counted like the steps between them.

What lies between is `gold/reconcile.py`, which reads tables only; a broker and DynamoDB have to
be asked.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.cli.counts import StepCounts
from lakehouse.cli.topics import seen_now
from lakehouse.config import Config
from lakehouse.delta import path_of
from lakehouse.job import execute, job_named
from lakehouse.tables import (
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
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

    What waits for its transaction, or is not hot, is held: the serving store has no item of it.

    Raises:
        DynamoDbError: the service does not answer.
    """
    gold = _read(spark, config, GOLD_TRANSACTIONS)
    told = _read(spark, config, GOLD_TRANSACTION_HISTORY).select("transaction_id").distinct()
    counts = (
        gold.join(told.withColumn("is_told", F.lit(True)), "transaction_id", "left")
        .agg(F.count(F.lit(1)).alias("rows"), F.count("is_told").alias("told"))
        .first()
    )
    assert counts is not None  # an aggregate has one row
    serving = execute(job_named("compare_serving"), config, trigger="once", only_report=True)
    name, rows = GOLD_TRANSACTIONS.name, counts["rows"]
    unserved = sum(serving.drift[kind] for kind in ("missing", "stale", "differing"))
    return [
        _closed(f"{name} -> {GOLD_TRANSACTION_HISTORY.name}", rows, counts["told"]),
        StepCounts(
            step=f"{name} -> DynamoDB",
            delivered=rows,
            accepted=serving.hot - unserved,
            duplicates=0,
            quarantined=0,
            held=rows - serving.hot,
            unexplained=serving.drifting,
        ),
    ]


def _landed(spark: SparkSession, config: Config, topic: str, table: Table) -> StepCounts:
    now = seen_now(config.kafka, topic)
    is_own = (F.col("topic") == topic) & (F.col("topic_id") == now.topic_id)
    rows = _read(spark, config, table).where(is_own)
    landed = rows.select("partition", "offset").distinct().count()
    sent = sum(now.end.values())
    return _closed(f"Kafka {topic} -> {table.name}", sent, landed)


def _read(spark: SparkSession, config: Config, table: Table) -> DataFrame:
    return spark.read.format("delta").load(path_of(config, table))


def _closed(step: str, delivered: int, accepted: int) -> StepCounts:
    return StepCounts(
        step=step,
        delivered=delivered,
        accepted=accepted,
        duplicates=0,
        quarantined=0,
        held=0,
        unexplained=delivered - accepted,
    )
