"""Money events whose payment neither the topic nor the log tells of, by age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.cli.questions import existing_tables, name_tables
from lakehouse.config import Config
from lakehouse.records.codes import MONEY_AGES
from lakehouse.views import load_views, tables_read

_VIEW = "silver.unknown_money_events"


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
    since = F.greatest(F.lit(0), *[F.when(days >= start, start) for start in MONEY_AGES if start])
    rows = spark.table(_VIEW).groupBy(since.alias("since")).count().collect()
    counts = {row["since"]: row["count"] for row in rows}
    return [
        UnknownMoney(age, counts[start]) for start, age in MONEY_AGES.items() if start in counts
    ]
