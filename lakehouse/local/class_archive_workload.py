"""What jobs typically do, with a few rows: run by set-up alone, to archive the classes it loads.

Its result is of no use. What it forgets works too, only with a slower start.
"""

from __future__ import annotations

import sys
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse.config import DEFAULT_CONFIG, Config
from lakehouse.session import open_session

_ROWS = """
    SELECT id, CAST(id % 3 AS STRING) AS part, CAST(id AS DECIMAL(18,2)) AS amount,
           named_struct('name', CONCAT('n', id), 'at', TIMESTAMP '2026-03-09 12:00:00') AS facts,
           to_json(named_struct('id', id)) AS text, ARRAY(id, id + 1) AS many
    FROM RANGE(20)
"""


def main(scratch: Path) -> None:
    """Write, merge, stream and question a table in `scratch`."""
    spark = open_session(Config.load(DEFAULT_CONFIG), "class archive")
    table = str(scratch / "table")
    rows = spark.sql(_ROWS)
    (
        DeltaTable.create(spark)
        .location(table)
        .addColumns(rows.schema)
        .partitionedBy("part")
        .property("delta.enableChangeDataFeed", "true")
        .property("delta.enableInCommitTimestamps", "true")
        .property("delta.constraints.positive", "id >= 0")
        .execute()
    )
    rows.write.format("delta").mode("append").save(table)
    _merge(spark, rows, table)
    _stream(spark, table, scratch)
    _question(spark, table)
    _unread_topic(spark)
    spark.stop()


def _merge(spark: SparkSession, rows: DataFrame, table: str) -> None:
    changed = rows.where("id % 2 = 0").withColumn("amount", F.col("amount") * 2 + 1)
    (
        DeltaTable.forPath(spark, table)
        .alias("old")
        .merge(changed.alias("new"), "old.id = new.id AND old.part IN ('0', '1')")
        .whenMatchedUpdate("old.amount <> new.amount", {"amount": "new.amount"})
        .whenNotMatchedInsertAll()
        .execute()
    )


def _stream(spark: SparkSession, table: str, scratch: Path) -> None:
    copy = str(scratch / "copy")

    def append(batch: DataFrame, number: int) -> None:
        kept = batch.where("_change_type <> 'delete'").localCheckpoint(eager=False)
        chosen = kept.groupBy("id").agg(F.max_by("amount", "_commit_version").alias("amount"))
        ordered = chosen.repartition(1).sortWithinPartitions("id")
        ordered.write.format("delta").mode("append").option("txnAppId", "copy").option(
            "txnVersion", number
        ).save(copy)

    reader = spark.readStream.format("delta").option("readChangeFeed", "true")
    writer = reader.option("startingVersion", 0).load(table).writeStream.foreachBatch(append)
    writer.trigger(availableNow=True).option(
        "checkpointLocation", str(scratch / "checkpoint")
    ).start().awaitTermination()


def _question(spark: SparkSession, table: str) -> None:
    rows = spark.read.format("delta").option("versionAsOf", 1).load(table)
    first = Window.partitionBy("part").orderBy(F.col("amount").desc(), "id")
    parsed = F.from_json("text", "struct<id: bigint, rest: map<string, string>>")
    ranked = rows.withColumn("rank", F.row_number().over(first)).withColumn("parsed", parsed)
    sums = rows.groupBy("part").agg(
        F.sum("amount").alias("total"),
        F.collect_list(F.struct("id", "facts")).alias("all"),
        F.countDistinct("id").alias("ids"),
    )
    (
        ranked.join(F.broadcast(sums), "part", "left")
        .join(rows.select("id", F.explode("many").alias("one")), "id", "left_semi")
        .withColumn("hash", F.sha2(F.concat_ws("|", "text", F.date_format("facts.at", "y")), 256))
        .withColumn("known", F.exists("many", lambda one: one > F.col("id")))
        .withColumn("cells", F.transform(F.split("text", ","), F.trim))
        .withColumn("number", F.regexp_extract("text", r"(\d+)", 1).cast("decimal(10,0)"))
        .unionByName(ranked.limit(0), allowMissingColumns=True)
        .orderBy("id")
        .collect()
    )
    DeltaTable.forPath(spark, table).history().select("version", "timestamp").collect()
    rows.select("id", "facts.name").isEmpty()


def _unread_topic(spark: SparkSession) -> None:
    reader = spark.readStream.format("kafka").option("kafka.bootstrap.servers", "127.0.0.1:1")
    reader.option("subscribe", "none").load().selectExpr("CAST(value AS STRING)").explain()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
