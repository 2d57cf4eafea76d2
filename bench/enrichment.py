"""Bronze -> Silver live beside Kafka -> parse -> nowhere, and one batch over a long history.

DynamoDB is apart: the items of the Live Index are computed, and written nowhere.
"""

from __future__ import annotations

import shutil
import time
from itertools import pairwise
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from bench.backlog import run_to_end, stream_of
from bench.place import in_folder, with_policies
from bench.timing import best_of, show
from lakehouse import delta
from lakehouse.config import Config, DynamoDbSettings
from lakehouse.context import Lakehouse
from lakehouse.dynamodb import PushReport
from lakehouse.job import execute, job_named
from lakehouse.serving_item import Group
from lakehouse.session import open_session
from lakehouse.tables import (
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    SILVER_CORRECTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    Table,
)
from silver.deliveries import deliveries_of
from silver.enrich_live import enriching

LEAST_RATIO = 0.35  # of the records per second that are only parsed
MOST_GROWTH = 1.3  # of a micro-batch's time, with ten times the history behind it

_INGESTION = ("ingest_transactions", "ingest_fraud_scores")
_BATCH_RECORDS = 2_000
_BATCHES = 5


def enrichment(config: Config, records: int, rounds: int) -> None:
    """Time a backlog of payments and scores that is in Kafka already."""
    spark = open_session(config, "bench")
    folder = Path(config.lake.root) / "enrichment"
    own = _scored_by_topic(in_folder(config, folder))
    with_policies(own)
    for job in _INGESTION:
        execute(job_named(job), own, trigger="once")

    def parse_only() -> None:
        topics = config.kafka.topics
        payments = stream_of(spark, config, topics.transactions)
        scores = stream_of(spark, config, topics.fraud_scores)
        nothing = _stream_of_nothing(spark, config)
        shutil.rmtree(folder / "parsed", ignore_errors=True)
        run_to_end(deliveries_of(config, payments, scores, nothing), "noop", str(folder / "parsed"))

    def silver() -> None:
        for table in (SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES):
            shutil.rmtree(delta.path_of(own, table), ignore_errors=True)
        shutil.rmtree(f"{own.lake.checkpoints}/{enrich_nowhere.__name__}", ignore_errors=True)
        execute(enrich_nowhere, own, trigger="once")

    found = best_of({"Kafka -> parse -> noop": parse_only, "silver": silver}, rounds)
    parsed = found["Kafka -> parse -> noop"]
    show(
        f"enrichment of {records:,} payments and their scores from the topic",
        ("what", "seconds", "payments/s", "ratio to parsing alone", "at least"),
        [
            (name, f"{seconds:.1f}", f"{records / seconds:,.0f}", f"{parsed / seconds:.2f}",
             str(LEAST_RATIO) if name == "silver" else "")
            for name, seconds in found.items()
        ],
    )  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)


def growth(config: Config, records: int) -> None:
    """Time the same micro-batches over seventy days in Kafka, and over the last seven of them."""
    spark = open_session(config, "bench")
    folder = Path(config.lake.root) / "growth"
    source = in_folder(config, folder / "source")
    for job in _INGESTION:
        execute(job_named(job), source, trigger="once")
    payments = _table(spark, source, BRONZE_TRANSACTIONS)
    newest_first = payments.orderBy(F.desc("timestamp")).select("timestamp")
    marks = [
        row["timestamp"]
        for row in newest_first.limit(_BATCHES * _BATCH_RECORDS + 1).collect()[::_BATCH_RECORDS]
    ]
    lakes = {}
    for name, days in (("seven days", 7), ("seventy days", 70)):
        lakes[name] = _scored_by_topic(in_folder(config, folder / name.replace(" ", "-")))
        with_policies(lakes[name])
        since = F.lit(marks[0]) - F.make_dt_interval(days=F.lit(days))
        history = (F.col("timestamp") > since) & (F.col("timestamp") <= marks[-1])
        _copy(spark, source, lakes[name], history)
        execute(enrich_nowhere, lakes[name], trigger="once")
    taken: dict[str, list[float]] = {name: [] for name in lakes}
    for begin, end in pairwise(reversed(marks)):
        within = (F.col("timestamp") > begin) & (F.col("timestamp") <= end)
        for name, lake in lakes.items():
            _copy(spark, source, lake, within)
            begun = time.perf_counter()
            execute(enrich_nowhere, lake, trigger="once")
            taken[name].append(time.perf_counter() - begun)
    seconds = {name: min(found) for name, found in taken.items()}
    show(
        f"a micro-batch of {_BATCH_RECORDS:,} payments; {records:,} lie in seventy days",
        ("history behind it", "seconds", "ratio", "at most"),
        [
            (name, f"{found:.2f}", f"{found / seconds['seven days']:.2f}",
             str(MOST_GROWTH) if name == "seventy days" else "")
            for name, found in seconds.items()
        ],
    )  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)


def _scored_by_topic(config: Config) -> Config:
    scoring = config.scoring.model_copy(update={"url": None})
    return config.model_copy(update={"scoring": scoring})


def enrich_nowhere(lake: Lakehouse) -> StreamingQuery:
    """The job enrich_live, but for DynamoDB."""
    return enriching(lake, publish=_to_nowhere)


def _to_nowhere(items: DataFrame, _group: Group, _settings: DynamoDbSettings) -> PushReport:
    items.write.format("noop").mode("overwrite").save()
    return PushReport(0, 0)


def _copy(spark: SparkSession, source: Config, target: Config, which: Column) -> None:
    """Land some records of one lake in another, as one commit for each topic."""
    for table in (BRONZE_TRANSACTIONS, BRONZE_FRAUD_SCORES):
        path = delta.path_of(target, table)
        if not delta.exists(spark, path):
            delta.create(spark, target, table)
        rows = _table(spark, source, table).where(which)
        rows.write.format("delta").mode("append").save(path)


def _stream_of_nothing(spark: SparkSession, config: Config) -> DataFrame:
    path = delta.path_of(config, SILVER_CORRECTIONS)
    if not delta.exists(spark, path):
        delta.create(spark, config, SILVER_CORRECTIONS)
    return spark.readStream.format("delta").load(path)


def _table(spark: SparkSession, config: Config, table: Table) -> DataFrame:
    return spark.read.format("delta").load(delta.path_of(config, table))
