"""Kafka's record, as Bronze keeps it."""

from __future__ import annotations

from datetime import UTC, date, datetime

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from bronze.records import kafka_records
from lakehouse.tables import BRONZE_TRANSACTIONS

SOURCE = (
    "key binary, value binary, topic string, partition int, offset long, timestamp timestamp, "
    "timestampType int, headers array<struct<key string, value binary>>"
)


def test_a_record_keeps_its_bytes_and_its_coordinates(spark: SparkSession) -> None:
    at = datetime(2026, 3, 8, 23, 59, 59, 500_000, tzinfo=UTC)
    headers = [Row(key="producer", value=b"gateway")]
    records = [
        (b"k", b"\x00 not text \xff", "payments", 1, 7, at, 0, headers),
        (None, None, "payments", 0, 2**40, at, 1, None),
        (b"k", b'{"n":"4111111111111111"}', "payments", 1, 8, at, 0, []),
    ]
    source = spark.createDataFrame(records, SOURCE)
    landed = kafka_records(source, "topic-id", b"key", BRONZE_TRANSACTIONS)
    assert landed.columns == BRONZE_TRANSACTIONS.columns
    plain, empty, redacted = landed.withColumn("at", F.unix_millis("timestamp")).collect()
    assert (plain.key, plain.value, plain.headers) == (b"k", b"\x00 not text \xff", headers)
    assert (plain.topic, plain.topic_id) == ("payments", "topic-id")
    assert (plain.partition, plain.offset) == (1, 7)
    assert (plain.at, plain.timestamp_type) == (int(at.timestamp() * 1000), 0)
    assert (plain.ingest_date, plain.redactions) == (date(2026, 3, 8), 0)
    assert (empty.key, empty.value, empty.headers, empty.offset) == (None, None, None, 2**40)
    assert redacted.redactions == 1
    assert b"4111111111111111" not in redacted.value
