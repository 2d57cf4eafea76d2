"""From one delivered text to `map<string,string>`: a JSON object, or a CSV row by its header."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.texts import csv_cells, only_object

_STRING = r'"(?:[^"\\]|\\.)*+"'
# from the end of the last number over strings and punctuation up to the next number
_NEXT_NUMBER = rf'\G((?:[^"0-9-]++|{_STRING})*+)(-?[0-9][0-9.eE+-]*+)'


def is_utf8(text: Column) -> Column:
    """Whether the bytes of a text are valid UTF-8 (a cast from binary checks nothing)."""
    return F.encode(text, "UTF-8") == text.cast("binary")


def json_fields(text: Column) -> Column:
    """Fields of a JSON object; null if `text` is not exactly one JSON object in UTF-8.

    Strings lose their quotes, numbers stay as they were sent (`1234.00`), nested values are JSON
    text (in which Spark writes numbers its own way), a JSON null is null. Of a field that occurs
    twice, both stay: see `repeated_fields`.
    """
    plain = only_object(text)
    # Spark reads a number with a fraction as a double: quoted, it keeps its digits
    has_fraction = text.rlike(r"[:,\[\s]-?[0-9]+[.eE]")
    quoted = only_object(F.regexp_replace(text, _NEXT_NUMBER, '$1"$2"'))
    exact = F.transform_values(
        quoted,
        lambda name, value: F.when(value.rlike(r"^[\[{]"), F.element_at(plain, name)).otherwise(
            value
        ),
    )
    return F.when(is_utf8(text), F.when(plain.isNotNull() & has_fraction, exact).otherwise(plain))


def with_drop_fields(rows: DataFrame) -> DataFrame:
    """Add `fields` to rows of `bronze.drops_*`, whichever their files' format; null if it has none.

    Of a CSV line these are its cells by the names in its header; none unless there is one cell per
    name. An empty cell is null.
    """
    is_csv = F.col("format") == "csv"
    cells = {
        "_names": F.when(is_csv, csv_cells(F.col("header"))),
        "_cells": F.when(is_csv, csv_cells(F.col("raw"))),
    }
    # in columns of their own, they are computed once
    found = F.when(is_csv, _csv_fields()).otherwise(json_fields(F.col("raw")))
    return rows.withColumns(cells).withColumn("fields", found).drop(*cells)


def _csv_fields() -> Column:
    names, cells = F.col("_names"), F.col("_cells")
    fits = (F.size(names) == F.size(cells)) & (F.size(F.array_distinct(names)) == F.size(names))
    without_empty = F.transform(cells, lambda cell: F.when(cell != "", cell))
    values = F.when(F.array_contains(cells, ""), without_empty).otherwise(cells)
    return F.when(is_utf8(F.col("raw")) & fits, F.map_from_arrays(names, values))


def repeated_fields(fields: Column) -> Column:
    """Whether a field occurs twice: nobody can say which of the two was meant."""
    return F.size(F.array_distinct(F.map_keys(fields))) < F.size(F.map_keys(fields))
