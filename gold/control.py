"""The senders' own totals of a delivered day, against the rows that Bronze took of it.

`_CONTROL.json` is read where it was delivered, so that nothing between the sender and the account
can have changed it. It says no more than totals: a difference names the folder of its day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from gold.items import Bucket, items
from lakehouse.context import Lakehouse
from lakehouse.files import bytes_of, hadoop_path
from lakehouse.records.codes import AccountDifference, Verdict
from lakehouse.tables import DROPS
from lakehouse.texts import csv_cell
from lakehouse.totals import MOST_BYTES, sent_totals

_CONTROL, _COMPLETE = "_CONTROL.json", "_SUCCESS"
_HIDDEN = ("_", ".")
_NUMBER = r"^[+-]?[0-9]{1,20}([.][0-9]{1,18})?$"
_TOTALS = "kind string, day date, currency string, rows long, amount decimal(25,2)"
_LANDED = "kind string, day date, path string, size_bytes long, modified_ms long"


@dataclass(frozen=True)
class LandedFile:
    """A file of a day as it lies in landing/ now: its path below it, bytes, epoch milliseconds."""

    path: str
    size_bytes: int
    modified_ms: int


@dataclass(frozen=True)
class Control:
    """What a sender says of one day of one kind; None where it says nothing of it.

    `files` lie beside it. A day that is not complete has no `_SUCCESS`: its sender still writes.
    """

    kind: str
    day: date
    rows: int | None
    amount: dict[str, Decimal] | None
    files: tuple[LandedFile, ...] = ()
    is_complete: bool = True


def step_of(kind: str) -> str:
    """How the step from the sender to Bronze is called."""
    return f"_CONTROL.json -> {DROPS[kind].name}"


def delivered_controls(lake: Lakehouse) -> list[Control]:
    """Totals of all days whose folder has them; a file that is none is load_drops' matter."""
    pattern, files = hadoop_path(lake.spark, f"{lake.config.lake.landing}/*/date=*/*")
    folders: dict[str, dict[str, Any]] = defaultdict(dict)
    for status in files.globStatus(pattern) or []:
        place = status.getPath()
        folders[place.getParent().toString()][place.getName()] = status
    found = []
    for folder, lying in folders.items():
        kind, _, day = folder.removesuffix("/").rpartition("/date=")
        kind = kind.rpartition("/")[2]
        if kind not in DROPS or _CONTROL not in lying:
            continue
        content = bytes_of(lake.spark, lying[_CONTROL].getPath().toString(), MOST_BYTES) or b""
        control = control_of(kind, day, content.decode("utf-8", errors="replace"))
        if control:
            seen = [
                LandedFile(f"{kind}/date={day}/{name}", each.getLen(), each.getModificationTime())
                for name, each in sorted(lying.items())
                if each.isFile() and not name.startswith(_HIDDEN)
            ]
            found.append(replace(control, files=tuple(seen), is_complete=_COMPLETE in lying))
    return found


def control_of(kind: str, day: str, text: str) -> Control | None:
    """Read one file; None where it is no control file, or its folder is no day."""
    said = sent_totals(text)
    if said is None:
        return None
    try:
        return Control(kind, date.fromisoformat(day), said.rows, said.amount)
    except ValueError:
        return None


def found_totals(drops: DataFrame, files: DataFrame, kind: str) -> DataFrame:
    """What Bronze has of each day of delivery: `kind, day, currency, rows, amount`.

    Rows of the greatest loaded revision of each path alone: what it superseded was another
    delivery. `files` are rows of the manifest of this kind, whatever gates of Silver say of them.
    """
    content = ("path", "file_revision")
    standing = (
        files.where(F.col("verdict") == Verdict.LOADED.value)
        .groupBy("path")
        .agg(F.max("file_revision").alias("file_revision"))
    )
    texts = drops.join(F.broadcast(standing), [*content]).select(
        F.col("delivery_date").alias("day"),
        *[_cell(name).alias(name) for name in ("currency", "amount")],
    )
    is_number = F.col("amount").rlike(_NUMBER)
    return texts.groupBy("day", "currency").agg(
        F.lit(kind).alias("kind"),
        F.count("*").alias("rows"),
        F.sum(F.when(is_number, F.expr("try_cast(amount AS DECIMAL(38,2))"))).alias("sum"),
    ).select(
        "kind", "day", "currency", "rows",
        # rows that Silver refuses may add up to more than anything holds
        F.expr("try_cast(sum AS DECIMAL(25,2))").alias("amount"),
    )  # fmt: skip


def control_items(
    spark: SparkSession, controls: Iterable[Control], found: DataFrame, files: DataFrame
) -> DataFrame:
    """Items of the senders' totals, one per day and currency, and of rows one per day.

    What differs is CONTROL_UNMET, unless files of that day are held, a person released one, or
    load_drops has not come to all of it yet: then it is HELD, RELEASED or UNREAD. A file that was
    taken away before it was loaded excuses nothing: what its sender counts is not there.
    `found` is of all kinds together, `files` the manifest.
    """
    told = list(controls)
    amounts = spark.createDataFrame(
        [
            (c.kind, c.day, code, None, total)
            for c in told
            for code, total in (c.amount or {}).items()
        ],
        _TOTALS,
    )
    counts = spark.createDataFrame(
        [(c.kind, c.day, None, c.rows, None) for c in told if c.rows is not None], _TOTALS
    )
    days_of_amounts = spark.createDataFrame(
        [(c.kind, c.day) for c in told if c.amount is not None], "kind string, day date"
    )
    place = ("kind", "day")
    with_money = found.join(F.broadcast(days_of_amounts), [*place], "left_semi").where(
        "amount IS NOT NULL AND currency IS NOT NULL"
    )
    of_amounts = (
        amounts.select(*place, "currency", F.col("amount").alias("wanted"))
        .join(with_money.select(*place, "currency", "amount"), [*place, "currency"], "full_outer")
        .select(*place, "currency", *_sides("wanted", "amount"), F.lit(0).alias("rows"))
    )
    rows_found = found.groupBy(*place).agg(F.sum("rows").alias("found_rows"))
    of_rows = (
        counts.select(*place, F.col("rows").alias("wanted"))
        .join(rows_found, [*place], "left")
        .select(
            *place,
            F.lit(None).cast("string").alias("currency"),
            *_sides("wanted", "found_rows"),
            F.coalesce("wanted", F.lit(0)).alias("rows"),
        )
    )
    days = (
        _days(files)
        .join(_unread_days(spark, told, files), [*place], "full_outer")
        .withColumn("unread", F.coalesce("unread", "waits"))
    )
    money = of_amounts.withColumn("is_money", F.lit(True))
    every = money.unionByName(of_rows.withColumn("is_money", F.lit(False)))
    apart = F.abs(F.col("wanted") - F.col("found"))
    step_names = F.create_map(*[F.lit(t) for kind in DROPS for t in (kind, step_of(kind))])
    folder = F.concat_ws("/date=", "kind", F.col("day").cast("string"))
    lines = every.join(days, [*place], "left").select(
        F.element_at(step_names, F.col("kind")).alias("step"),
        "day",
        "currency",
        F.lit(None).cast("string").alias("event_type"),
        folder.alias("name"),
        folder.alias("key"),
        F.col("day").cast("timestamp").alias("at"),
        F.when(F.col("is_money"), F.col("wanted")).alias("amount"),
        "is_money",
        "rows",
        apart.alias("apart"),
        *_EXCUSES,
    )
    kind = F.when(F.col("apart") == 0, None)
    for name, difference in _EXCUSES.items():
        kind = kind.when(F.coalesce(name, F.lit(False)), str(difference))
    kind = kind.otherwise(str(AccountDifference.CONTROL_UNMET))
    bucket = F.when(kind.isNull(), str(Bucket.ACCEPTED)).when(
        kind != str(AccountDifference.CONTROL_UNMET), str(Bucket.HELD)
    )
    return items(
        lines,
        bucket=bucket,
        delivered=F.col("rows"),
        kind=kind,
        cases=F.when(F.col("is_money"), F.lit(1)).otherwise(F.col("apart")),
        gap=F.when(F.col("is_money"), F.col("apart")),
    )


def _sides(wanted: str, found: str) -> list[Any]:
    return [
        F.coalesce(F.col(column), F.lit(0)).cast("decimal(25,2)").alias(name)
        for name, column in (("wanted", wanted), ("found", found))
    ]


# what a day's files excuse a difference as, the strongest first
_EXCUSES = {
    "held": AccountDifference.HELD,
    "released": AccountDifference.RELEASED,
    "unread": AccountDifference.UNREAD,
}


def _days(files: DataFrame) -> DataFrame:
    """`kind, day, held, released, waits`: whether any file of a day is, by what holds of it now."""
    newest = files.groupBy("kind", F.col("delivery_date").alias("day"), "path").agg(
        F.max_by(F.struct("verdict", "release_reason"), "judged_at").alias("said")
    )
    return newest.groupBy("kind", "day").agg(
        F.max(F.col("said.verdict") == Verdict.HELD.value).alias("held"),
        F.max(F.col("said.release_reason").isNotNull()).alias("released"),
        F.max(F.col("said.verdict") == Verdict.WAITING.value).alias("waits"),
    )


def _unread_days(spark: SparkSession, controls: Iterable[Control], files: DataFrame) -> DataFrame:
    """`kind, day, unread`: days that load_drops has not come to, or not to all of them.

    A day is read when the manifest knows each file that lies there as it lies there. Of a day
    without a file this is so once its sender has said that it is complete.
    """
    told = list(controls)
    lying = spark.createDataFrame(
        [(c.kind, c.day, f.path, f.size_bytes, f.modified_ms) for c in told for f in c.files],
        _LANDED,
    )
    empty = spark.createDataFrame(
        [(c.kind, c.day) for c in told if not c.files and not c.is_complete],
        "kind string, day date",
    )
    content = ("path", "size_bytes", "modified_ms")
    read = files.select("path", "size_bytes", F.unix_millis("modified_at").alias("modified_ms"))
    unread = lying.join(read, [*content], "left_anti").select("kind", "day")
    return unread.unionByName(empty).distinct().withColumn("unread", F.lit(True))


def _cell(name: str) -> Any:
    cell = csv_cell(F.col("header"), F.col("raw"), name)
    sent = F.when(F.col("format") == "csv", cell).otherwise(F.get_json_object("raw", f"$.{name}"))
    return F.trim(sent)
