"""Where a transaction was seen: one row of one table each, in the order of the flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.cli.questions import existing_tables
from lakehouse.cli.rows import rows_of
from lakehouse.config import Config
from lakehouse.delta import path_of
from lakehouse.identity import drop_coordinates, kafka_coordinates
from lakehouse.serving import lookup
from lakehouse.tables import DROPS

_DYNAMODB = "dynamodb"


@dataclass(frozen=True)
class Sighting:
    """One row of one table that tells of the transaction."""

    table: str
    at: datetime | None  # the row's own time, UTC: Kafka's, the event's, or the commit's
    coordinates: str  # Kafka coordinates, file and row, or a table version
    tells: str


@dataclass(frozen=True)
class _Trace:
    """How a table is asked: which rows, their time, their place, and what they tell."""

    about: Column
    at: Column
    coordinates: Column
    tells: Column


def lineage(spark: SparkSession, config: Config, transaction_id: str) -> list[Sighting]:
    """All rows about a transaction: Bronze, Silver, Gold and its history."""
    traces = _traces(transaction_id)
    tables = [table for table in existing_tables(spark, config) if table.name in traces]
    found = [
        _asked(spark.read.format("delta").load(path_of(config, table)), rank, table.name, trace)
        for rank, (table, trace) in enumerate((table, traces[table.name]) for table in tables)
    ]
    if not found:
        return []
    ordered = reduce(DataFrame.unionByName, found).orderBy("rank", "at", "coordinates")
    return [Sighting(*row) for row in rows_of(ordered.drop("rank"))]


def served(config: Config, transaction_id: str) -> list[Sighting]:
    """What DynamoDB serves for it, both groups combined; nothing where it has no item.

    Raises:
        DynamoDbError: the service does not answer.
    """
    item = lookup(config.dynamodb, transaction_id)
    if item is None:
        return []
    combined: dict[str, Any] = item["combined"]
    what = (combined.get(name) for name in ("transaction_status", "settlement_status", "finality"))
    held = [name for name in ("live_version", "gold_version") if item.get(name) is not None]
    versions = ", ".join(f"{name} {item[name]}" for name in held)
    return [Sighting(_DYNAMODB, None, versions, " ".join(str(part) for part in what if part))]


def _asked(rows: DataFrame, rank: int, name: str, trace: _Trace) -> DataFrame:
    return rows.where(trace.about).select(
        F.lit(rank).alias("rank"),
        F.lit(name).alias("table"),
        trace.at.cast("timestamp").alias("at"),
        trace.coordinates.alias("coordinates"),
        trace.tells.alias("tells"),
    )


def _told(*columns: str | Column) -> Column:
    parts = [F.col(c) if isinstance(c, str) else c for c in columns]
    return F.concat_ws(" ", *[part.cast("string") for part in parts])


def _traces(transaction_id: str) -> Mapping[str, _Trace]:
    is_named = F.col("transaction_id") == transaction_id
    place = F.col("coordinates")
    from_kafka = _Trace(
        F.lower(F.decode("key", "UTF-8")) == transaction_id,
        F.col("timestamp"),
        kafka_coordinates(),
        F.concat(F.length("value").cast("string"), F.lit(" bytes")),
    )
    from_file = _Trace(
        F.contains(F.lower("raw"), F.lit(transaction_id)),
        F.col("delivery_date"),
        drop_coordinates(),
        F.concat(F.lit("file revision "), F.col("file_revision").cast("string")),
    )
    refused = _Trace(is_named, F.col("quarantine_date"), place, F.concat_ws("; ", F.col("reasons")))
    scored = _Trace(
        is_named,
        F.col("inference_time"),
        place,
        _told("score_source", "fraud_score", "fraud_reason_code", "model_version"),
    )
    revision = F.concat(
        F.lit("revision "),
        F.col("revision").cast("string"),
        F.when(F.col("withdrawn"), F.lit(" (withdrawn)")).otherwise(F.lit("")),
    )
    return {
        "bronze.transactions": from_kafka,
        "bronze.fraud_scores": from_kafka,
        **{table.name: from_file for table in DROPS.values()},
        "silver.quarantine_live": refused,
        "silver.quarantine_batch": refused,
        "silver.corrections": _Trace(is_named, F.col("recorded_at"), place, F.col("reason")),
        "silver.fraud_scores": scored,
        "silver.offline_scores": scored,
        "silver.live_transactions": _Trace(
            is_named,
            F.col("timestamp"),
            place,
            _told(
                "transaction_status", "amount", "currency", F.lit("->"), "recommended_action",
                "fraud_score", "fraud_reason_code", "policy_flag", F.lit("decided"), "decided_at",
            ),
        ),
        "silver.batch_transactions": _Trace(
            is_named,
            F.col("timestamp"),
            place,
            _told(revision, "transaction_status", "amount", "currency", "policy_flag"),
        ),
        "silver.parity": _Trace(
            is_named,
            F.col("compared_at"),
            revision,
            _told(
                F.concat_ws(", ", "differences"), F.lit("by"), F.concat_ws(", ", "causes"),
                F.lit("unexplained"), F.concat_ws(", ", "unexplained"),
            ),
        ),
        "silver.money_events": _Trace(
            is_named, F.col("timestamp"), place, _told(revision, "event_type", "amount", "currency")
        ),
        "gold.transaction_history": _Trace(
            is_named,
            F.col("known_from"),
            F.concat(F.lit("gold version "), F.col("gold_version").cast("string")),
            F.concat(F.lit("changed "), F.concat_ws(", ", "changed_groups")),
        ),
        "gold.transactions": _Trace(
            is_named,
            F.col("updated_at"),
            F.concat(F.size("contributions").cast("string"), F.lit(" contributions")),
            _told(
                "transaction_status", F.coalesce("settlement_status", F.lit("unsettled")),
                "amount", "currency", "fraud_score", "fraud_reason_code", "policy_flag",
            ),
        ),
    }  # fmt: skip
