"""Rows of delivered files, numbered as they stand there; nothing is parsed, nothing is refused.

A row of a text file is a line, or a record of several lines where a quoted cell of CSV holds line
breaks; its number is that of its first line. Breaks are LF, or CRLF; a UTF-8 byte order mark is no
part of the first row.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from itertools import groupby

from pyspark.sql import Column, DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F

from bronze.control import NOT_ISO, Totals
from bronze.csv_records import has_odd_quotes, joined_records
from bronze.landing import LandedFile
from bronze.manifest import Content
from lakehouse.cards import exempt_fields, redacted_csv, redacted_text
from lakehouse.decision.currency import minor_digits
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
    exempt = F.col("exempt")
    redaction = F.when(
        F.col("format") == "csv", redacted_csv(F.col("header"), F.col("raw"), card_key, exempt)
    ).otherwise(redacted_text(F.col("raw"), card_key, exempt))
    return (
        rows.join(F.broadcast(known), "path", "left")
        .withColumn("exempt", _exempt())
        .withColumn("redaction", redaction)
        .withColumns(
            {
                "delivery_date": F.regexp_extract("path", "/date=([^/]+)/", 1).cast("date"),
                # of a file without a header it is a row, and may hold a card number
                "header": redacted_text(F.col("header"), card_key, exempt)["value"],
                "raw": F.col("redaction.value"),
                "redactions": F.col("redaction.redactions"),
            }
        )
        .select(*DROPS["transactions"].columns)
    )


def _exempt() -> Column:
    """Names of the fields that are left alone, by the kind of a file."""
    found = F.array(F.lit(""))
    for kind, table in DROPS.items():
        is_of_kind = F.col("path").startswith(f"{kind}/")
        found = F.when(is_of_kind, exempt_fields(table)).otherwise(found)
    return found


def totals_by_path(rows: DataFrame) -> Mapping[str, Totals]:
    """Rows, amounts and rows not in UTF-8 per file; an amount that is no number counts nothing."""
    amount, code = _field("amount"), F.trim(_field("currency"))
    is_foreign = F.encode("raw", "UTF-8") != F.col("raw").cast("binary")
    currency = F.when(code.isin([*minor_digits()]), code).when(code.isNotNull(), NOT_ISO)
    counted = (
        rows.select(
            "path",
            currency.alias("currency"),
            F.when(amount.rlike(_NUMBER), amount.cast("decimal(38,2)")).alias("amount"),
            is_foreign.alias("is_foreign"),
        )
        .groupBy("path", "currency")
        .agg(
            F.count("*").alias("rows"),
            F.sum("amount").alias("amount"),
            F.count_if("is_foreign").alias("foreign_rows"),
        )
    )
    found = sorted(counted.collect(), key=lambda row: row["path"])
    return {
        path: sum(map(_totals, of_path), Totals())
        for path, of_path in groupby(found, key=lambda row: row["path"])
    }


def _totals(counted: Row) -> Totals:
    has_amount = counted["currency"] is not None and counted["amount"] is not None
    amounts = {counted["currency"]: Decimal(counted["amount"])} if has_amount else {}
    return Totals(counted["rows"], amounts, counted["foreign_rows"])


def _text_rows(spark: SparkSession, files: Sequence[LandedFile]) -> DataFrame:
    sheets = [file for file in files if file.format == "csv"]
    broken = _with_odd_quotes(spark, sheets) if sheets else set()
    plain = [file for file in files if file.path not in broken]
    frames = [_numbered_lines(spark, plain)] if plain else []
    if broken:
        lines = _numbered_lines(spark, [file for file in sheets if file.path in broken])
        frames.append(joined_records(lines))
    is_csv = F.col("format") == "csv"
    return (
        reduce(DataFrame.unionByName, frames)
        .withColumn("row_number", (F.col("number") - is_csv.cast("int")).cast("long"))
        .withColumn("raw", _without_cr(F.col("value")))
        .where((F.col("row_number") >= 1) & (F.trim("raw") != ""))
        .select("path", "row_number", "format", "header", "raw")
    )


def _numbered_lines(spark: SparkSession, files: Sequence[LandedFile]) -> DataFrame:
    """One row per line of text files: `path, number, format, header, value`."""
    # a file may be read in several blocks, each in the order of its lines
    in_file = Window.partitionBy("path").orderBy("block", "line")
    whole_file = in_file.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    number = F.row_number().over(in_file)
    header = F.when(F.col("format") == "csv", F.first("value").over(whole_file))
    value = F.col("value")
    is_marked = (F.col("number") == 1) & value.startswith("\ufeff")
    without_mark = _bytes(value, 1 + len(BOM_UTF8), F.octet_length(value))
    return (
        _lines(spark, files)
        .withColumns(
            {
                "block": F.col("_metadata.file_block_start"),
                "line": F.monotonically_increasing_id(),
            }
        )
        .join(F.broadcast(_formats(spark, files)), "path")
        .withColumn("number", number)
        .withColumn("value", F.when(is_marked, without_mark).otherwise(value))
        .withColumn("header", _without_cr(header))
        .select("path", "number", "format", "header", "value")
    )


def _with_odd_quotes(spark: SparkSession, sheets: Sequence[LandedFile]) -> set[str]:
    """CSV files in which a record may have several lines; costs one look at their lines."""
    odd = _lines(spark, sheets).where(has_odd_quotes(F.col("value"))).select("path").distinct()
    return {row["path"] for row in odd.collect()}


def _lines(spark: SparkSession, files: Sequence[LandedFile]) -> DataFrame:
    # not at CR: inside a quoted cell it is delivered, and at a line's end it is taken off
    lines = spark.read.text([file.glob for file in files], lineSep="\n")
    return lines.withColumn("path", _path())


def _without_cr(line: Column) -> Column:
    return F.when(line.endswith("\r"), _bytes(line, 1, F.octet_length(line) - 1)).otherwise(line)


def _bytes(text: Column, first: int, count: Column) -> Column:
    # characters would be other bytes where the text is not UTF-8: it stays as it was delivered
    return text.cast("binary").substr(F.lit(first), count).cast("string")


def _parquet_rows(spark: SparkSession, file: LandedFile) -> DataFrame:
    # where the writer left checksums of its pages, a changed byte is no other value
    reader = spark.read.option("parquet.page.verify-checksum.enabled", "true")
    content = reader.parquet(file.glob)
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
