"""From lines of CSV files to records: a quoted cell may hold line breaks (RFC 4180).

A line with an odd number of quotes opens or closes a quoted cell. From it to the next such line is
one record if all of that fits: each cell is quoted well or not at all, and there is one per name of
the header. A stray quote fits nothing: its line stays a row of its own, and so do its neighbours.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.texts import csv_cells

MOST_LINES = 1_000
"""A record has no more lines than this."""

_SOUND = r'^(?:,(?:"[^"]*+(?:""[^"]*+)*+"|[^",\r\n]*+))++\z'


def has_odd_quotes(line: Column) -> Column:
    """Whether a line begins or ends inside a quoted cell, if its quotes are sound."""
    without = F.replace(line, F.lit('"'), F.lit(""))
    return (F.octet_length(line) - F.octet_length(without)) % 2 == 1


def joined_records(lines: DataFrame) -> DataFrame:
    """One row per record, `lines` being one row per line: `path, number, header, value`, and more.

    A record of several lines stands at the number of its first one, with the breaks that it has.
    """
    in_file = Window.partitionBy("path").orderBy("number")
    so_far = in_file.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    is_odd = (F.col("number") > 1) & has_odd_quotes(F.col("value"))
    marked = lines.withColumn("is_odd", is_odd).withColumns(
        {
            # the odd line of a number, and all behind it up to the next one
            "span": F.sum(F.col("is_odd").cast("long")).over(so_far),
            "begins": F.last(F.when(F.col("is_odd"), F.col("number")), True).over(so_far),
        }
    )
    records = _records(marked)
    closes = records.select("path", (F.col("span") + 1).alias("span"), F.lit(True).alias("closes"))
    is_first, is_last = F.col("is_odd"), F.col("is_odd") & F.col("closes").isNotNull()
    is_inside = F.col("record").isNotNull() & ~is_first
    return (
        marked.join(records, ["path", "span"], "left")
        .join(closes, ["path", "span"], "left")
        .where(~is_inside & ~is_last)
        .withColumn("value", F.coalesce(F.when(is_first, F.col("record")), "value"))
        .select(*lines.columns)
    )


def _records(marked: DataFrame) -> DataFrame:
    """Records of several lines: `path, span, record`; no line is in two of them."""
    spans = (
        marked.where((F.col("span") > 0) & (F.col("number") - F.col("begins") < MOST_LINES))
        .groupBy("path", "span", "begins")
        .agg(
            F.first("header").alias("header"),
            F.array_sort(F.collect_list(F.struct("number", "value"))).alias("lines"),
        )
        .withColumn("texts", F.col("lines.value"))
    )
    by_span = Window.partitionBy("path").orderBy("span")
    so_far = by_span.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    closing = F.lead(F.struct("begins", F.element_at("texts", 1).alias("text"))).over(by_span)
    is_whole = F.size("texts") == F.col("closing.begins") - F.col("begins")
    record = F.concat(F.array_join("texts", "\n"), F.lit("\n"), F.col("closing.text"))
    fits = F.coalesce(is_whole & _is_record(F.col("header"), F.col("record")), F.lit(False))
    # of records that share a line, the first, the third and so on
    misfit = F.last(F.when(~F.col("fits"), F.col("span")), True).over(so_far)
    return (
        spans.withColumn("closing", closing)
        .withColumn("record", record)
        .withColumn("fits", fits)
        .withColumn("place", F.col("span") - F.coalesce(misfit, F.lit(0)))
        .where(F.col("fits") & (F.col("place") % 2 == 1))
        .select("path", "span", "record")
    )


def _is_record(header: Column, text: Column) -> Column:
    whole = F.concat(F.lit(","), F.regexp_replace(text, r"\r$", ""))
    return whole.rlike(_SOUND) & (F.size(csv_cells(header)) == F.size(csv_cells(text)))
