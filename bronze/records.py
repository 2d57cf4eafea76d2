"""Kafka records as Bronze keeps them."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.cards import exempt_fields, redacted
from lakehouse.tables import Table


def kafka_records(source: DataFrame, topic_id: str, card_key: bytes, table: Table) -> DataFrame:
    """One row per record of Spark's Kafka source, as it lands in a table; nothing is parsed.

    Only `value` is searched for card numbers; keys and headers stay as they are.
    """
    redaction = redacted(F.col("value"), card_key, exempt_fields(table))
    return (
        source.withColumn("redaction", redaction)
        .withColumns(
            {
                "topic_id": F.lit(topic_id),
                "timestamp_type": F.col("timestampType"),
                "value": F.col("redaction.value"),
                "redactions": F.col("redaction.redactions"),
                "ingest_date": F.to_date("timestamp"),
            }
        )
        .select(*table.columns)
    )
