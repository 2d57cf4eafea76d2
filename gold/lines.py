"""From items to the lines that a run publishes: summed, differences named and aged; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from gold.items import Bucket
from lakehouse.records.codes import EXPLAINED_DIFFERENCES, AccountDifference
from lakehouse.records.gold import Difference, InputVersion, Reconciliation

MOST_NAMED = 20
"""Transactions that a difference names; the others it counts."""

LINE = ("step", "day", "currency", "event_type")
_SURPLUS = [
    str(AccountDifference.DOUBLED),
    str(AccountDifference.UNDELIVERED),
    str(AccountDifference.SUM_DIFFERS),
]
_UNEXPLAINED = [str(kind) for kind in AccountDifference if kind not in EXPLAINED_DIFFERENCES]

Place = tuple[str, date | None, str | None, str | None]
Reported = Mapping[tuple[Place, str], datetime]


@dataclass(frozen=True)
class Run:
    """What all lines of a run have in common."""

    run_id: str
    run_at: datetime
    gold_version: int
    inputs: Mapping[str, int]


def sums_of(items: DataFrame) -> DataFrame:
    """One row per line: records and smallest units by what became of them."""
    is_unexplained = F.col("kind").isin(_UNEXPLAINED)
    # of these kinds an item is a surplus behind the step, and no delivery
    is_delivery = ~F.coalesce(F.col("kind").isin(_SURPLUS), F.lit(False))

    def records(such: Column) -> Column:
        return F.coalesce(F.sum(F.when(such, F.col("rows"))), F.lit(0))

    buckets = {str(bucket): F.col("bucket") == str(bucket) for bucket in Bucket}
    return items.groupBy(*LINE).agg(
        records(is_delivery).alias("delivered"),
        *[records(such).alias(name) for name, such in buckets.items()],
        F.coalesce(F.sum(F.when(is_unexplained, F.col("cases"))), F.lit(0)).alias("unexplained"),
        F.sum(F.when(is_delivery, F.col("amount"))).alias("delivered_amount"),
        *[F.sum(F.when(such, F.col("amount"))).alias(f"{n}_amount") for n, such in buckets.items()],
        F.sum(F.when(is_unexplained, F.col("gap"))).alias("unexplained_amount"),
    )


def differences_of(items: DataFrame) -> DataFrame:
    """One row per line and kind of difference, with the first MOST_NAMED names of it."""
    told = items.where(F.col("kind").isNotNull())
    by_name = Window.partitionBy(*LINE, "kind").orderBy("name")
    place = F.col("place")
    return (
        told.withColumn("place", F.dense_rank().over(by_name))
        .groupBy(*LINE, "kind")
        .agg(
            F.sum("cases").alias("records"),
            F.sum("gap").alias("amount"),
            F.max("place").alias("named"),
            F.sort_array(F.collect_set(F.when(place <= MOST_NAMED, F.col("name")))).alias("names"),
            F.min("at").alias("oldest_at"),
        )
    )


def published(
    run: Run,
    steps: Sequence[str],
    sums: Iterable[Row],
    differences: Iterable[Row],
    reported: Reported,
) -> list[Reconciliation]:
    """The lines of a run, by step, day, currency and type; a step without a record has one, empty.

    `reported` says since when the run before has reported a difference.
    """
    of_line: dict[Place, list[Difference]] = defaultdict(list)
    for row in differences:
        place = place_of(row)
        since = reported.get((place, row["kind"]), run.run_at)
        of_line[place].append(_difference(row, since))
    inputs = [InputVersion(table=t, version=v) for t, v in sorted(run.inputs.items())]

    def line(place: Place, counts: Mapping[str, Any]) -> Reconciliation:
        return Reconciliation(
            run_id=run.run_id,
            run_at=run.run_at,
            gold_version=run.gold_version,
            inputs=inputs,
            **dict(zip(LINE, place, strict=True)),
            **counts,
            differences=sorted(of_line[place], key=lambda each: each.kind),
        )

    found = {
        place_of(row): {name: row[name] for name in row.asDict() if name not in LINE}
        for row in sums
    }
    seen = {step for step, *_ in found}
    nothing = _nothing()
    found |= {(step, None, None, None): nothing for step in steps if step not in seen}
    ordered = sorted(found, key=lambda place: (place[0], *[str(part or "") for part in place[1:]]))
    return [line(place, found[place]) for place in ordered]


def place_of(line: Row | Reconciliation) -> Place:
    """Which line it is, in whatever run."""
    values = line.asDict() if isinstance(line, Row) else dict(line)
    return (values["step"], values["day"], values["currency"], values["event_type"])


def reported_in(lines: Iterable[Row]) -> dict[tuple[Place, str], datetime]:
    """Since when the differences of a run are reported, by line and kind."""
    return {
        (place_of(line), each["kind"]): each["reported_since"].astimezone(UTC)
        for line in lines
        for each in line["differences"]
    }


def _difference(row: Row, since: datetime) -> Difference:
    kind, oldest = AccountDifference(row["kind"]), row["oldest_at"]
    return Difference(
        kind=str(kind),  # plain text: a row for Spark knows no enumeration
        is_explained=kind in EXPLAINED_DIFFERENCES,
        records=row["records"],
        amount=row["amount"],
        named=row["named"],
        names=row["names"],
        # PySpark gives the machine's local time
        oldest_at=oldest.astimezone(UTC) if oldest else None,
        reported_since=since,
    )


def _nothing() -> dict[str, Any]:
    counts = dict.fromkeys(("delivered", *map(str, Bucket), "unexplained"), 0)
    amounts = ("delivered", *map(str, Bucket), "unexplained")
    return counts | {f"{name}_amount": None for name in amounts}
