"""What silver.policies said from when until when, as each job could read it.

Commits of the table tell it, as far back as time travel reaches. What was before is put together
again from `recorded_at`, the midnight of the delivery day: no version was known earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from delta.tables import DeltaTable
from pyspark.sql import DataFrame

from lakehouse.delta import path_of
from lakehouse.pinned import Pinned
from lakehouse.tables import SILVER_POLICIES

_KIND = (
    "book bigint, since timestamp, until timestamp, listed array<struct<policy_id: string, "
    "version: int, effective_date: timestamp, effective_to: timestamp>>"
)


@dataclass(frozen=True)
class Version:
    """One version of a policy: from when until when it is in force; exclusive, null is for ever."""

    policy_id: str
    number: int
    effective_date: datetime
    effective_to: datetime | None
    recorded_at: datetime


@dataclass(frozen=True)
class Book:
    """All versions as they were published, and from when until when (exclusive) that stood.

    `number` is the Delta version; below zero: put together again. Null: since ever, still.
    """

    number: int
    since: datetime | None
    until: datetime | None
    listed: tuple[Version, ...]


def published_policies(pinned: Pinned) -> DataFrame:
    """All books, one row each, few: book, since, until and `listed`."""
    books = _committed(pinned)
    oldest = books[0]
    if oldest.number > 0:
        books = [*recorded_before(oldest), *books]
    else:
        books = [Book(oldest.number, None, oldest.until, oldest.listed), *books[1:]]
    rows = [
        (
            book.number,
            book.since,
            book.until,
            [(v.policy_id, v.number, v.effective_date, v.effective_to) for v in book.listed],
        )
        for book in books
    ]
    return pinned.lake.spark.createDataFrame(rows, _KIND).coalesce(1)


def recorded_before(oldest: Book) -> list[Book]:
    """Books of before the oldest one that is left: one for each delivery day of its versions.

    Each may have stood until `oldest` did: nothing tells when the next one was published.
    """
    days = sorted({version.recorded_at for version in oldest.listed})
    return [
        Book(
            -1 - place,
            day,
            oldest.since,
            _intervals([v for v in oldest.listed if v.recorded_at <= day]),
        )
        for place, day in enumerate(days)
    ]


def _intervals(versions: Sequence[Version]) -> tuple[Version, ...]:
    """The versions that stand, one behind the other: the last one recorded of each date."""
    last = {
        (v.policy_id, v.effective_date): v for v in sorted(versions, key=lambda v: v.number)
    }  # fmt: skip
    standing = [last[key] for key in sorted(last)]
    ends = [
        then.effective_date if then.policy_id == now.policy_id else None
        for now, then in pairwise(standing)
    ]
    return tuple(
        Version(v.policy_id, v.number, v.effective_date, end, v.recorded_at)
        for v, end in zip(standing, [*ends, None], strict=False)
    )


def _committed(pinned: Pinned) -> list[Book]:
    """A book for each commit that time travel reaches, oldest first."""
    lake, last = pinned.lake, pinned.versions[SILVER_POLICIES.name]
    path = path_of(lake.config, SILVER_POLICIES)
    commits = DeltaTable.forPath(lake.spark, path).history().select("version", "timestamp")
    found = sorted(
        (row["version"], row["timestamp"].astimezone(UTC))
        for row in commits.collect()
        if row["version"] <= last
    )
    horizon = lake.clock() - timedelta(days=lake.config.audit.horizon_days)
    ends = [since for _, since in found[1:]]
    return [
        Book(number, since, until, _versions(pinned, number))
        for (number, since), until in zip(found, [*ends, None], strict=True)
        if until is None or until > horizon
    ]


def _versions(pinned: Pinned, number: int) -> tuple[Version, ...]:
    rows = pinned.lake.read(SILVER_POLICIES, number).coalesce(1).collect()
    return tuple(
        Version(
            row["policy_id"],
            row["version"],
            row["effective_date"].astimezone(UTC),
            row["effective_to"] and row["effective_to"].astimezone(UTC),
            row["recorded_at"].astimezone(UTC),
        )
        for row in rows
    )
