"""What consolidation does to frames: where to look, what the union is, what the MERGE may touch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.config import GoldSettings
from lakehouse.fold.spark import Derivation, standing
from lakehouse.records.codes import Source
from lakehouse.tables import WAITING_DAY

Days = tuple[date, date]
Place = tuple[date, str | None]

_FIRST, _LAST = WAITING_DAY, date.max
"""No payment is of a day outside of these."""

LOCATED = ("located_date", "located_region", "is_removal")
"""Beside Gold's columns in a change: the partition of the row it replaces (null: none), and
whether that row only goes away."""


def days_of_interest(sets: DataFrame) -> DataFrame:
    """(day, is_own, sets, strays): days to look around, how many sets asked for each, and `strays`
    of the sets that asked for it first.

    A set's own days are the payment dates that it knows; one that knows none (a score, a money
    event without `transaction_date`) asks around the days of its events instead.
    """
    own = F.filter(
        F.transform("contributions", lambda c: c["payment_date"]),
        # Silver took any date once
        lambda day: day.between(F.lit(_FIRST), F.lit(_LAST)),
    )
    of_events = F.transform("contributions", lambda c: F.to_date(c["event_time"]))
    asked = sets.select(
        "transaction_id", is_stray(), own.alias("own"), of_events.alias("of_events")
    ).select(
        "transaction_id",
        "is_stray",
        (F.size("own") > 0).alias("is_own"),
        F.posexplode(
            F.array_distinct(F.when(F.size("own") > 0, F.col("own")).otherwise(F.col("of_events")))
        ).alias("turn", "day"),
    )
    first = strays(F.col("turn") == 0)
    return asked.groupBy("day", "is_own").agg(F.count("*").alias("sets"), first.alias("strays"))


def is_stray() -> Column:
    """`is_stray`: whether a set has nothing of the payment itself.

    It may be wrong of the payment's day, or far from it.
    """
    of_payment = [str(Source.LIVE_EVENT), str(Source.BATCH_LOG)]
    knows_payment = F.exists("contributions", lambda c: c["source"].isin(of_payment))
    return (~knows_payment).alias("is_stray")


def strays(which: Column | None = None) -> Column:
    """A number that says which transactions are stray: the sum of hashes of their ids."""
    # decimal: a sum of hashes does not overflow
    digest = F.xxhash64("transaction_id").cast("decimal(20,0)")
    counts = F.col("is_stray") if which is None else F.col("is_stray") & which
    return F.sum(F.when(counts, digest).otherwise(0))


def days_to_search(interest: Iterable[tuple[date, bool]], settings: GoldSettings) -> list[Days]:
    """First and last days of the stretches of Gold where rows of these sets may be, in order.

    An own day: the window around it. Another: the dispute horizon before it, the window after.
    """
    window = timedelta(days=settings.locate_window_days)
    horizon = timedelta(days=settings.dispute_horizon_days)
    waiting = (WAITING_DAY, WAITING_DAY)
    around = {
        (_moved(day, -(window if is_own else horizon)), _moved(day, window))
        for day, is_own in interest
    }
    return _joined(sorted({waiting, *around}))


def _moved(day: date, by: timedelta) -> date:
    """A day so far away, or the last one that there may be in that direction."""
    try:
        return min(max(day + by, _FIRST), _LAST)
    except OverflowError:
        return _FIRST if by < timedelta(0) else _LAST


def within(stretches: Sequence[Days]) -> Column:
    """Literal condition on Gold's partition column: on one of the days."""
    return reduce(or_, [F.col("event_date").between(*map(F.lit, days)) for days in stretches])


def in_places(places: Iterable[Place], prefix: str = "") -> Column:
    """Literal condition on Gold's partition columns: in one of the partitions."""
    days_of: dict[str | None, list[date]] = {}
    for day, region in sorted(places, key=lambda place: (place[0], place[1] or "")):
        days_of.setdefault(region, []).append(day)
    of_row = F.col(f"{prefix}region")
    conditions = [
        # consolidation writes no null, but it heals one
        (of_row.isNull() if region is None else of_row == region)
        & F.col(f"{prefix}event_date").isin(days)
        for region, days in days_of.items()
    ]
    return reduce(or_, conditions, F.lit(False))


def changes(new: DataFrame, existing: DataFrame, derived: Derivation) -> DataFrame:
    """Complete Gold rows whose set changed, and removals: Gold's columns, then `LOCATED`.

    A transaction that has several rows (found outside the window, once) becomes one again: each
    of them is removed, and their union comes in as a new row.
    """
    known = existing.select(
        "transaction_id", "contributions", _place(), F.col("contributions").alias("old")
    )
    united = _united(
        new.select(
            "transaction_id", "contributions", _none().alias("place"), _none().alias("old")
        ).unionByName(known)
    )
    is_doubled = F.size("places") > 1
    changed = united.where(is_doubled | ~F.col("contributions").eqNullSafe(F.col("old")))
    return _replacing(changed, derived)


def healed(wrong: DataFrame, derived: Derivation) -> DataFrame:
    """As `changes`, of rows that are wrong themselves: all rows of each of their transactions."""
    known = wrong.select("transaction_id", "contributions", _place(), _none().alias("old"))
    return _replacing(_united(known), derived)


def _united(known: DataFrame) -> DataFrame:
    """One row per transaction: the union of its sets, and the places of its rows."""
    # the union stands inside the aggregate, where no optimizer rule computes it a second time
    return known.groupBy("transaction_id").agg(
        standing(F.flatten(F.collect_list("contributions"))).alias("contributions"),
        F.collect_list("place").alias("places"),
        F.first("old", ignorenulls=True).alias("old"),
    )


def _replacing(united: DataFrame, derived: Derivation) -> DataFrame:
    rows = derived(united, carrying=["places"])
    return rows.select("*", F.inline(_replacements())).drop("places")


def _replacements() -> Column:
    """Of `places`, as `LOCATED` structs: one row moves or is new; doubles go, and one comes in."""

    def replacement(place: Column | None, is_removal: bool) -> Column:
        day, region = (place["day"], place["region"]) if place is not None else (_none(), _none())
        located = (day.cast("date"), region.cast("string"), F.lit(is_removal))
        return F.struct(*[c.alias(name) for c, name in zip(located, LOCATED, strict=True)])

    is_new, is_doubled = F.size("places") == 0, F.size("places") > 1
    new = F.array(replacement(None, False))
    removals = F.transform(F.array_distinct("places"), lambda place: replacement(place, True))
    moved = F.transform("places", lambda place: replacement(place, False))
    return F.when(is_new, new).when(is_doubled, F.concat(removals, new)).otherwise(moved)


def replaces(old: Iterable[Place]) -> Column:
    """The MERGE's condition between Gold `t` and changes `s`, pruned to the old partitions."""
    return (
        in_places(old, prefix="t.")
        & (F.col("t.transaction_id") == F.col("s.transaction_id"))
        & (F.col("t.event_date") == F.col("s.located_date"))
        & F.col("t.region").eqNullSafe(F.col("s.located_region"))
    )


def _place() -> Column:
    return F.struct(F.col("event_date").alias("day"), "region").alias("place")


def _none() -> Column:
    return F.lit(None)


def _joined(stretches: Sequence[Days]) -> list[Days]:
    joined: list[Days] = []
    for first, last in stretches:
        if joined and first - joined[-1][1] <= timedelta(days=1):
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined
