"""Bronze -> Silver live beside Kafka -> parse -> nowhere, and one batch over a long history.

DynamoDB is apart: the items of the Live Index are computed, and written nowhere.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from bench.place import in_folder
from bench.timing import best_of, show
from lakehouse.config import Config, DynamoDbSettings
from lakehouse.context import Lakehouse
from lakehouse.decision import load_rules
from lakehouse.dynamodb import Group, PushReport
from lakehouse.job import execute, job_named
from lakehouse.kafka import reader_options, topic_now
from lakehouse.session import open_session
from lakehouse.tables import (
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    SILVER_CORRECTIONS,
)
from silver.deliveries import deliveries_of
from silver.enrich_live import enrich

LEAST_RATIO = 0.35  # of the records per second that are only parsed
MOST_GROWTH = 1.3  # of a micro-batch's time, with ten times the history behind it


def enrichment(config: Config, records: int, rounds: int) -> None:
    """Time a backlog of payments and scores that is in Kafka already."""
    spark = open_session(config, "bench")
    own = in_folder(config, Path(config.lake.root) / "enrichment")
    for job in ("ingest_transactions", "ingest_fraud_scores"):
        execute(job_named(job), own, trigger="once")

    def parse_only() -> None:
        _parsed_to_nowhere(spark, own)

    def silver() -> None:
        _forget_silver(own)
        execute(enrich_nowhere, own, trigger="once")

    found = best_of({"Kafka -> parse -> noop": parse_only, "silver": silver}, rounds)
    parsed = found["Kafka -> parse -> noop"].seconds
    show(
        f"enrichment of {records:,} payments and their scores from the topic",
        ("what", "seconds", "payments/s", "ratio to parsing alone", "at least"),
        [
            (t.name, f"{t.seconds:.1f}", f"{records / t.seconds:,.0f}",
             f"{parsed / t.seconds:.2f}", str(LEAST_RATIO) if t.name == "silver" else "")
            for t in found.values()
        ],
    )  # fmt: skip


def enrich_nowhere(lake: Lakehouse) -> StreamingQuery:
    """The job enrich_live, but for DynamoDB."""
    rules = load_rules(lake.config.rules.decision)
    sources = (BRONZE_TRANSACTIONS, BRONZE_FRAUD_SCORES, SILVER_CORRECTIONS)
    deliveries = deliveries_of(lake.config, *[lake.stream(table) for table in sources])
    return lake.each_batch(deliveries, partial(enrich, lake, rules, publish=_to_nowhere))


def _to_nowhere(items: DataFrame, group: Group, settings: DynamoDbSettings) -> PushReport:
    items.write.format("noop").mode("overwrite").save()
    return PushReport(0, 0)


def _parsed_to_nowhere(spark: SparkSession, config: Config) -> None:
    topics = config.kafka.topics
    streams = []
    for name in (topics.transactions, topics.fraud_scores):
        topic = topic_now(config.kafka, name)
        options = reader_options(config.kafka, name, topic.first)
        records = spark.readStream.format("kafka").options(**options).load()
        streams.append(_as_bronze(records, topic.topic_id))
    nothing = spark.createDataFrame([], SILVER_CORRECTIONS.schema)
    checkpoint = Path(config.lake.root) / "parsed"
    shutil.rmtree(checkpoint, ignore_errors=True)
    (
        deliveries_of(config, *streams, nothing)
        .writeStream.format("noop")
        .trigger(availableNow=True)
        .option("checkpointLocation", str(checkpoint))
        .start()
        .awaitTermination()
    )
