"""Kafka records of Bronze as their topics' contracts read them."""

from __future__ import annotations

from functools import partial

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.config import Config
from lakehouse.decision import load_regions, region_of
from lakehouse.identity import kafka_coordinates
from lakehouse.records.codes import ScoreSource
from lakehouse.tables import BRONZE_FRAUD_SCORES, BRONZE_TRANSACTIONS
from silver.contract import json_fields, parsed_payments, parsed_scores

PAYMENTS, SCORES = BRONZE_TRANSACTIONS.name, BRONZE_FRAUD_SCORES.name
"""What `source_table` says of a delivery: which topic's contract it was read by."""

DELIVERED = (
    "source_table", "partition", "offset", "delivered_at", "quarantine_date", "coordinates",
    "payload",
)  # fmt: skip
"""One delivery before it is parsed: all that quarantine needs of it."""


def delivered(records: DataFrame, source_table: str) -> DataFrame:
    """One row per Kafka record of Bronze: the columns of DELIVERED."""
    return records.select(
        F.lit(source_table).alias("source_table"),
        "partition",
        "offset",
        F.col("timestamp").alias("delivered_at"),
        F.col("ingest_date").alias("quarantine_date"),
        kafka_coordinates().alias("coordinates"),
        F.col("value").alias("payload"),
    ).select(*DELIVERED)


def deliveries_of(
    config: Config, transactions: DataFrame, fraud_scores: DataFrame, corrections: DataFrame
) -> DataFrame:
    """One row per Kafka record of Bronze, and per correction of one, parsed by its contract.

    Parsed in the stream's own plan: a micro-batch then begins at parsed rows.
    """
    payments, scores = (
        delivered(records, name).unionByName(_of(name, corrections).select(*DELIVERED))
        for records, name in ((transactions, PAYMENTS), (fraud_scores, SCORES))
    )
    return as_payments(config, payments).unionByName(
        as_scores(config, scores), allowMissingColumns=True
    )


def as_payments(config: Config, deliveries: DataFrame) -> DataFrame:
    """Deliveries read by the contract of payments.transactions."""
    return parsed_payments(
        _with_fields(deliveries),
        latest=_latest_event_time(config.ingest.max_clock_ahead_hours),
        regions=partial(region_of, regions=load_regions(config.rules.regions)),
        with_event_id=True,
    ).drop("fields")


def as_scores(config: Config, deliveries: DataFrame) -> DataFrame:
    """Deliveries read by the contract of payments.fraud-scores."""
    return parsed_scores(
        _with_fields(deliveries),
        latest=_latest_event_time(config.ingest.max_clock_ahead_hours),
        score_source=ScoreSource.TOPIC,
    ).drop("fields")


def _with_fields(deliveries: DataFrame) -> DataFrame:
    return deliveries.withColumn("fields", json_fields(F.col("payload").cast("string")))


def _latest_event_time(hours_ahead: int) -> Column:
    """The newest plausible event time of a delivered row: clocks may be so many hours ahead."""
    return F.col("delivered_at") + F.make_dt_interval(hours=F.lit(hours_ahead))


def _of(source_table: str, rows: DataFrame) -> DataFrame:
    return rows.where(F.col("source_table") == source_table)
