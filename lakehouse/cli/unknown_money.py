"""Money events whose payment neither the topic nor the log tells of, by age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.cli.questions import existing_tables, name_tables
from lakehouse.config import Config
from lakehouse.views import load_views, tables_read

_VIEW = "silver.unknown_money_events"
_AGES = {0: "less than a day", 1: "1 to 6 days", 7: "7 to 29 days", 30: "30 days and more"}
"""From how many days on an event is of which age."""


@dataclass(frozen=True)
class UnknownMoney:
    """How many such events are of an age: whole days since the event's own time."""

    age: str
    events: int


def unknown_money(spark: SparkSession, config: Config, now: datetime) -> list[UnknownMoney]:
    """Count them, youngest first; nothing before both paths and the money have come to a table."""
    existing = {table.name for table in existing_tables(spark, config)}
    if not existing.issuperset(tables_read([_VIEW], load_views(config.rules.views))):
        return []
    name_tables(spark, config, [_VIEW])
    days = F.floor((F.unix_seconds(F.lit(now)) - F.unix_seconds("timestamp")) / 86_400)
    # an event whose sender's clock is ahead is young
    since = F.greatest(F.lit(0), *[F.when(days >= start, start) for start in _AGES if start])
    rows = spark.table(_VIEW).groupBy(since.alias("since")).count().collect()
    counts = {row["since"]: row["count"] for row in rows}
    return [UnknownMoney(age, counts[start]) for start, age in _AGES.items() if start in counts]
