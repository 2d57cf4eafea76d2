"""silver.live_transactions, silver.batch_transactions -> silver.parity: what differs, and why.

A run compares the days that got rows since the last one, and then fails as long as a difference
that no cause explains stands. Which days it looks at is work only: what is recorded already adds
nothing.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated

import typer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.context import Lakehouse, Trigger
from lakehouse.decision import PolicyBook, load_rules
from lakehouse.errors import PathsDifferError
from lakehouse.frames import Keep, keeping
from lakehouse.job import Run, run
from lakehouse.monitoring import log
from lakehouse.tables import (
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_OFFLINE_SCORES,
    SILVER_PARITY,
    SILVER_POLICIES,
)
from silver import parity
from silver.days import DAYS, days_named
from silver.live import near
from silver.parity import BATCH, LIVE
from silver.revisions import differs, latest, next_revisions

_DAY_SECONDS = 86_400
_EXAMPLES = 3
_SCORES_OF = {LIVE: SILVER_FRAUD_SCORES, BATCH: SILVER_OFFLINE_SCORES}


def compare_paths(
    lake: Lakehouse,
    days: Annotated[
        str | None,
        typer.Option(metavar=DAYS, help="Compare these days, not those that got new rows."),
    ] = None,
) -> None:
    """Record how live and batch differ, payment by payment, and end, whatever the trigger.

    Raises:
        PathsDifferError: no cause explains a difference that stands; it is recorded.
    """
    if days is not None:
        compare(lake, days_named(days, "--days"))
    else:
        daily = replace(lake, trigger=Trigger("once", lake.trigger.interval_seconds))
        tables = (SILVER_LIVE_TRANSACTIONS, SILVER_BATCH_TRANSACTIONS)
        live, batch = (daily.stream(table).select("event_date") for table in tables)
        query = daily.each_batch(
            live.unionByName(batch), lambda rows, _: compare(lake, _days(rows))
        )
        Run(daily, query).wait()
    _fail_on_unexplained(lake)


def compare(lake: Lakehouse, days: Set[date]) -> None:
    """Bring silver.parity up to the payments of these days, in one commit; without news in none.

    The two rows of a payment are looked for within `gold.locate_window_days` of the days.
    """
    if not days:
        return
    scope = _Scope(frozenset(days), lake.config.gold.locate_window_days)
    with keeping() as keep:
        touched = keep(_transactions(lake, scope))
        events = _of(touched, scope.filter(lake.read(SILVER_LIVE_TRANSACTIONS)))
        booked = _of(touched, _standing_log(lake, scope))
        stated = keep(parity.stated(events, booked))
        pairs = keep(parity.paired(stated).where(_is_told(lake, scope)))
        differing = pairs.where(F.size("differences") > 0)
        # not taken out of the pairs: Spark would reason about every field that is compared in them
        sides = keep(_of(differing.select("transaction_id"), stated))
        explained = parity.explained(differing, keep(_worth(lake, keep, sides)))
        found = keep(explained.unionByName(parity.of_one_path(pairs.where(parity.is_missing()))))
        now = lake.clock()
        recorded = latest(_of(touched, scope.filter(lake.read(SILVER_PARITY))))
        news = next_revisions(
            parity.as_differences(found, now), recorded, differs(*parity.VERDICT), SILVER_PARITY
        )
        # a difference that is gone keeps what it was, not when that was seen
        rows = keep(news.withColumn("compared_at", F.lit(now)))
        counts = _counted(rows)
        if counts:
            by_day = rows.repartition("event_date").sortWithinPartitions("transaction_id")
            lake.append(by_day, to=SILVER_PARITY)
    log("compared", job=lake.job, table=SILVER_PARITY.name, counts=counts)


@dataclass(frozen=True)
class _Scope:
    """The days that are compared, and how far around them a payment's rows are looked for."""

    days: frozenset[date]
    window: int

    def filter(self, rows: DataFrame, before: int = 0) -> DataFrame:
        """Rows of the days, and of those around them."""
        return rows.where(near("event_date", self.days, self.window + before, self.window))


def _days(rows: DataFrame) -> frozenset[date]:
    return frozenset(row["event_date"] for row in rows.distinct().collect())


def _transactions(lake: Lakehouse, scope: _Scope) -> DataFrame:
    on_days = near("event_date", scope.days, 0)
    live, batch = (
        lake.read(table).where(on_days).select("transaction_id")
        for table in (SILVER_LIVE_TRANSACTIONS, SILVER_BATCH_TRANSACTIONS)
    )
    return live.unionByName(batch).distinct()


def _standing_log(lake: Lakehouse, scope: _Scope, before: int = 0) -> DataFrame:
    """Rows of the log that stand, around the days of the scope."""
    revisions = scope.filter(lake.read(SILVER_BATCH_TRANSACTIONS), before)
    return latest(revisions).where(~F.col("withdrawn"))


def _is_told(lake: Lakehouse, scope: _Scope) -> Column:
    """Whether the log has come as far: a day of which it says nothing yet lacks no payment."""
    days = _standing_log(lake, scope).select("event_date").distinct().collect()
    return F.col(BATCH).isNotNull() | near("live.event_date", [day[0] for day in days], 0)


def _worth(lake: Lakehouse, keep: Keep, sides: DataFrame) -> DataFrame:
    """What each side of a pair is worth, by what its path knows now."""
    places = sides.select(
        "path", "event_date", F.to_date("inference_time").alias("score_date")
    ).distinct()
    found = places.collect()
    policies = PolicyBook.of(lake.read(SILVER_POLICIES))
    scope = _Scope(
        frozenset(place["event_date"] for place in found), lake.config.gold.locate_window_days
    )
    look_back = -(-policies.longest_window_seconds // _DAY_SECONDS)
    known = {
        LIVE: scope.filter(lake.read(SILVER_LIVE_TRANSACTIONS), look_back),
        BATCH: _standing_log(lake, scope, look_back),
    }
    users = sides.select("path", "user_id")
    score_ids = sides.select("path", F.col("score_id").alias("identity"))
    earlier, scores = [], []
    for path in (LIVE, BATCH):
        days = {p["score_date"] for p in found if p["path"] == path and p["score_date"]}
        earlier.append(known[path].select(F.lit(path).alias("path"), *parity.COUNTED))
        on_days = lake.read(_SCORES_OF[path]).where(near("event_date", days, 0))
        scores.append(on_days.withColumn("path", F.lit(path)))
    return parity.examined(
        sides,
        earlier=earlier[0].unionByName(earlier[1]).join(users, ["path", "user_id"], "left_semi"),
        scores=scores[0].unionByName(scores[1]).join(score_ids, ["path", "identity"], "left_semi"),
        policies=policies,
        rules=load_rules(lake.config.rules.decision),
        keep=keep,
    )


def _of(transactions: DataFrame, rows: DataFrame) -> DataFrame:
    return rows.join(transactions, "transaction_id", "left_semi")


def _counted(rows: DataFrame) -> dict[str, int]:
    """How many new rows there are of each cause, without one, and of payments that agree again."""
    has_gone = F.when(F.col("withdrawn"), F.array(F.lit("AGREES")))
    is_unexplained = F.when(F.size("unexplained") > 0, F.array(F.lit("UNEXPLAINED")))
    kinds = F.coalesce(
        has_gone, F.concat("causes", F.coalesce(is_unexplained, F.array().cast("array<string>")))
    )
    found = rows.select(F.explode(kinds).alias("kind")).groupBy("kind").count().collect()
    return {row["kind"]: row["count"] for row in sorted(found)}


def _fail_on_unexplained(lake: Lakehouse) -> None:
    is_unexplained = F.size("unexplained") > 0
    rows = lake.read(SILVER_PARITY).select(
        "identity", "revision", "withdrawn", "unexplained", "transaction_id"
    )
    doubted = rows.where(is_unexplained).select("identity").distinct()
    standing = latest(rows.join(doubted, "identity", "left_semi"))
    left = standing.where(~F.col("withdrawn") & is_unexplained)
    examples = [
        row["transaction_id"] for row in left.orderBy("identity").limit(_EXAMPLES).collect()
    ]
    if examples:
        raise PathsDifferError(left.count(), examples)


if __name__ == "__main__":
    run(compare_paths)
