"""Delivered files read: what is wrong with each, and the rows of all that can be read.

No file stops another: what its storage does not give, or the engine cannot read, is its own fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from bronze.causes import cause_of
from bronze.control import Totals
from bronze.drops import drop_rows, raw_rows, totals_by_path
from bronze.faults import CHANGING, Fault
from bronze.head import HEAD_BYTES, columns_fault, head_fault
from bronze.landing import LandedDay, LandedFile, Landing
from bronze.manifest import Content
from lakehouse.frames import Keep
from lakehouse.records.codes import DropFault

_MOST_FOREIGN = 0.01
# which of the two it is depends on how deep in the engine a file failed
_ENGINE = (PySparkException, Py4JJavaError)


class Read(NamedTuple):
    """Rows of files, what they add up to by path, and what was found wrong by reading them."""

    rows: DataFrame | None
    totals: Mapping[str, Totals]
    faults: Mapping[str, Fault]


def content_hash(landing: Landing, file: LandedFile) -> str | Fault:
    """SHA-256 of a file's bytes, in hexadecimal; or why nobody can say."""
    try:
        return landing.sha256(file) or CHANGING
    except Py4JJavaError as error:
        return _unreadable(error)


def second_look(landing: Landing, file: LandedFile) -> Fault | None:
    """Why nothing can be said of what was read of a file; None if it lies there as before."""
    try:
        return None if landing.is_unchanged(file) else CHANGING
    except Py4JJavaError as error:
        return _unreadable(error)


def control_of(landing: Landing, day: LandedDay) -> str | Fault | None:
    """The text of the sender's totals, or why nobody can read it; None if there are none."""
    try:
        return landing.text(day.control) if day.control else None
    except Py4JJavaError as error:
        reason = f"_CONTROL.json cannot be read: {cause_of(error)}"
        return Fault(DropFault.CONTROL_UNREADABLE, reason)


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
    except _ENGINE as error:
        return _damage(error)


def read_rows(
    spark: SparkSession,
    keep: Keep,
    files: Sequence[LandedFile],
    contents: Iterable[Content],
    card_key: bytes,
) -> Read:
    """Rows of all readable files, as `DropRow` says; what cannot be read is named."""

    def rows_of(some: Sequence[LandedFile]) -> DataFrame:
        return drop_rows(raw_rows(spark, some), contents, card_key)

    damaged: dict[str, Fault] = {}
    is_second = False
    while files:
        try:
            rows = keep(rows_of(files))
            totals = totals_by_path(rows)
        except _ENGINE:
            found = damaged_files(files, rows_of)
            # of a fault that passed by itself, there is no trace in any file
            if not found and is_second:
                raise
            is_second = not found
            damaged |= found
            files = [file for file in files if file.path not in damaged]
        else:
            return Read(rows, totals, damaged | _foreign(totals))
    return Read(None, {}, damaged)


def damaged_files(
    files: Sequence[LandedFile], rows_of: Callable[[Sequence[LandedFile]], DataFrame]
) -> dict[str, Fault]:
    """Why Spark cannot read files, by path. One fails the query of all: halves are asked alone.

    Every column is asked for, as the load does: one that a query can do without hides its damage.
    """
    try:
        rows_of(files).write.format("noop").mode("overwrite").save()
    except _ENGINE as error:
        if len(files) == 1:
            return {files[0].path: _damage(error)}
        middle = len(files) // 2
        halves = files[:middle], files[middle:]
        return {
            path: fault for half in halves for path, fault in damaged_files(half, rows_of).items()
        }
    return {}


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


def _unreadable(error: Py4JJavaError) -> Fault:
    return Fault(DropFault.UNREADABLE, f"its storage does not give it: {cause_of(error)}")


def _damage(error: PySparkException | Py4JJavaError) -> Fault:
    return Fault(DropFault.DAMAGED, f"the file cannot be read: {cause_of(error)}")
