"""An identity computed by Spark is the UUID that RFC 9562 says."""

from __future__ import annotations

import random

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.identity import drop_coordinates, kafka_coordinates, named_uuid, named_uuid_of

SEED = 11


def test_spark_and_python_name_the_same_uuid(spark: SparkSession) -> None:
    rng = random.Random(SEED)
    names = [("transactions", f"{rng.getrandbits(80):x}é|") for _ in range(300)]
    rows = spark.createDataFrame(names, "kind string, name string")
    found = {
        row.name: row.id for row in rows.withColumn("id", named_uuid("kind", "name")).collect()
    }
    assert found == {name: named_uuid_of(kind, name) for kind, name in names}, f"seed {SEED}"


def test_a_part_that_is_null_is_left_out(spark: SparkSession) -> None:
    row = spark.range(1).select(named_uuid(F.lit("a"), F.lit(None).cast("string"))).first()
    assert row is not None and row[0] == named_uuid_of("a")


def test_coordinates_lead_back_to_the_source(spark: SparkSession) -> None:
    kafka = spark.createDataFrame(
        [("t", "zbXbJwqZQcmm4lEeNvs4Nw", 1, 42)],
        "topic string, topic_id string, partition int, offset bigint",
    )
    file = spark.createDataFrame(
        [("transactions/date=2026-03-02/t.csv", "0123456789abcdef", 7)],
        "path string, file_sha256 string, row_number bigint",
    )
    assert kafka.select(kafka_coordinates()).collect()[0][0] == "kafka:t/1/42@zbXbJwqZ"
    assert (
        file.select(drop_coordinates()).collect()[0][0]
        == "file:transactions/date=2026-03-02/t.csv@0123456789ab#7"
    )
