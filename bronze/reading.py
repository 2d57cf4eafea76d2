"""Delivered files read: what is wrong with each, and the rows of all that can be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from bronze.control import Totals
from bronze.drops import drop_rows, raw_rows, totals_by_path
from bronze.faults import Fault
from bronze.head import HEAD_BYTES, columns_fault, head_fault
from bronze.landing import LandedFile, Landing
from bronze.manifest import Content
from lakehouse.frames import Keep
from lakehouse.monitoring import first_line
from lakehouse.records.codes import DropFault

_MOST_FOREIGN = 0.01


class Read(NamedTuple):
    """Rows of files, what they add up to by path, and what was found wrong by reading them."""

    rows: DataFrame | None
    totals: Mapping[str, Totals]
    faults: Mapping[str, Fault]


def first_fault(spark: SparkSession, landing: Landing, file: LandedFile) -> Fault | None:
    """What is wrong with a file before its rows are read; None if nothing."""
    if file.format is None:
        expected = "expected .csv, .csv.gz, .json, .jsonl or .parquet"
        return Fault(DropFault.UNKNOWN_FORMAT, f"the format is unknown: {expected}")
    if file.size_bytes == 0:
        return Fault(DropFault.EMPTY, "the file is empty")
    try:
        if file.format == "parquet":
            return columns_fault(file.kind, spark.read.parquet(file.glob).columns)
        if file.is_gzip and (damage := landing.gzip_fault(file)):
            return Fault(DropFault.DAMAGED, damage)
        return head_fault(file.kind, file.format, landing.head(file, HEAD_BYTES))
    except (PySparkException, Py4JJavaError) as error:
        return _damage(error)


def read_rows(
    spark: SparkSession,
    keep: Keep,
    files: Sequence[LandedFile],
    contents: Iterable[Content],
    card_key: bytes,
) -> Read:
    """Rows of all readable files, as `DropRow` says; what cannot be read is named."""
    damaged: dict[str, Fault] = {}
    while files:
        try:
            rows = keep(drop_rows(raw_rows(spark, files), contents, card_key))
            totals = totals_by_path(rows)
        # which of the two it is depends on how deep in the engine a file failed
        except (PySparkException, Py4JJavaError):
            found = _damaged(spark, files)
            if not found:
                raise
            damaged |= found
            files = [file for file in files if file.path not in damaged]
        else:
            return Read(rows, totals, damaged | _foreign(totals))
    return Read(None, {}, damaged)


def _foreign(totals: Mapping[str, Totals]) -> dict[str, Fault]:
    """Files of another encoding; a few rows that are not UTF-8 are damaged, and refused as rows."""
    return {
        path: Fault(
            DropFault.FOREIGN_ENCODING,
            f"{found.foreign_rows} of {found.rows} rows are not UTF-8",
        )
        for path, found in totals.items()
        if found.foreign_rows > _MOST_FOREIGN * found.rows
    }


def _damaged(spark: SparkSession, files: Sequence[LandedFile]) -> dict[str, Fault]:
    """Why Spark cannot read files, by path. One fails the query of all: halves are asked alone."""
    try:
        totals_by_path(raw_rows(spark, files))
    except (PySparkException, Py4JJavaError) as error:
        if len(files) == 1:
            return {files[0].path: _damage(error)}
        middle = len(files) // 2
        return _damaged(spark, files[:middle]) | _damaged(spark, files[middle:])
    return {}


def _damage(error: PySparkException | Py4JJavaError) -> Fault:
    cause: Any = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    while cause is not None and cause.getCause() is not None:
        cause = cause.getCause()
    said = first_line(str(error) if cause is None else str(cause.toString()))
    return Fault(DropFault.DAMAGED, f"the file cannot be read: {said}")
