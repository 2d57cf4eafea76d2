"""Rows of delivered files, numbered as they stand there; nothing is parsed, nothing is refused.

Text files are read line by line: a row with a line break inside a quoted cell is two rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from bronze.control import Totals
from bronze.landing import LandedFile
from bronze.manifest import Content
from lakehouse.cards import redacted_csv, redacted_text
from lakehouse.tables import DROPS
from lakehouse.texts import csv_cell

_INSTANTS = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
_NUMBER = r"^\s*[+-]?[0-9]{1,20}([.][0-9]{1,18})?\s*$"


def raw_rows(spark: SparkSession, files: Sequence[LandedFile]) -> DataFrame:
    """One row per row of the files: `path, row_number, format, header, raw`.

    There is at least one file. Reading fails when one is damaged.
    """
    texts = [file for file in files if file.format != "parquet"]
    frames = [_text_rows(spark, texts)] if texts else []
    frames += [_parquet_rows(spark, file) for file in files if file.format == "parquet"]
    return reduce(DataFrame.unionByName, frames)


def drop_rows(rows: DataFrame, contents: Iterable[Content], card_key: bytes) -> DataFrame:
    """One row per raw row, as `DropRow` says, card numbers as tokens.

    Rows of files that are not among `contents` have no hash and no revision: they are there to be
    counted.
    """
    known = rows.sparkSession.createDataFrame(
        list(contents), "path string, file_sha256 string, file_revision int"
    )
    redaction = F.when(
        F.col("format") == "csv", redacted_csv(F.col("header"), F.col("raw"), card_key)
    ).otherwise(redacted_text(F.col("raw"), card_key))
    return (
        rows.join(F.broadcast(known), "path", "left")
        .withColumn("redaction", redaction)
        .withColumns(
            {
                "delivery_date": F.regexp_extract("path", "/date=([^/]+)/", 1).cast("date"),
                "raw": F.col("redaction.value"),
                "redactions": F.col("redaction.redactions"),
            }
        )
        .select(*DROPS["transactions"].columns)
    )


def totals_by_path(rows: DataFrame) -> dict[str, Totals]:
    """Rows and amounts per file; an amount that is no number counts nothing."""
    amount = _field("amount")
    counted = (
        rows.select(
            "path",
            _field("currency").alias("currency"),
            F.when(amount.rlike(_NUMBER), amount.cast("decimal(38,2)")).alias("amount"),
        )
        .groupBy("path", "currency")
        .agg(F.count("*").alias("rows"), F.sum("amount").alias("amount"))
    )
    totals: dict[str, Totals] = {}
    for row in counted.collect():
        has_amount = row["currency"] is not None and row["amount"] is not None
        amounts = {row["currency"]: Decimal(row["amount"])} if has_amount else {}
        totals[row["path"]] = totals.get(row["path"], Totals()) + Totals(row["rows"], amounts)
    return totals


def _text_rows(spark: SparkSession, files: Sequence[LandedFile]) -> DataFrame:
    lines = (
        spark.read.text([file.glob for file in files])
        .select(
            _path().alias("path"),
            F.col("_metadata.file_block_start").alias("block"),
            F.monotonically_increasing_id().alias("line"),
            "value",
        )
        .join(F.broadcast(_formats(spark, files)), "path")
    )
    # a file may be read in several blocks, each in the order of its lines
    in_file = Window.partitionBy("path").orderBy("block", "line")
    whole_file = in_file.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    is_csv = F.col("format") == "csv"
    header = F.regexp_replace(F.first("value").over(whole_file), "^\ufeff", "")
    return (
        lines.withColumn("number", F.row_number().over(in_file))
        .withColumn("header", F.when(is_csv, header))
        .withColumn("row_number", (F.col("number") - is_csv.cast("int")).cast("long"))
        .where((F.col("row_number") >= 1) & (F.trim("value") != ""))
        .select("path", "row_number", "format", "header", F.col("value").alias("raw"))
    )


def _parquet_rows(spark: SparkSession, file: LandedFile) -> DataFrame:
    content = spark.read.parquet(file.glob)
    return content.select(
        F.lit(file.path).alias("path"),
        (F.col("_metadata.row_index") + 1).alias("row_number"),
        F.lit("parquet").alias("format"),
        F.lit(None).cast("string").alias("header"),
        F.to_json(F.struct(*[F.col(f"`{name}`") for name in content.columns]), _INSTANTS).alias(
            "raw"
        ),
    )


def _formats(spark: SparkSession, files: Sequence[LandedFile]) -> DataFrame:
    return spark.createDataFrame(
        [(file.path, file.format) for file in files], "path string, format string"
    )


def _path() -> Column:
    # file systems write one location with one slash or three: its end is the same
    encoded = F.regexp_extract(F.col("_metadata.file_path"), "([^/]+/[^/]+/[^/]+)$", 1)
    # a plus stands for itself there, not for a blank as in forms
    return F.url_decode(F.replace(encoded, F.lit("+"), F.lit("%2B")))


def _field(name: str) -> Column:
    cell = csv_cell(F.col("header"), F.col("raw"), name)
    return F.when(F.col("format") == "csv", cell).otherwise(F.get_json_object("raw", f"$.{name}"))
