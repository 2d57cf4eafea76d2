"""silver.live_transactions, silver.batch_transactions -> silver.parity: what differs, and why.

A run compares the days that got rows since the last one, and then fails as long as a difference
that no cause explains stands. Which days it looks at is work only: what is recorded already adds
nothing.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.context import Batch, Lakehouse, Trigger
from lakehouse.decision import PolicyBook
from lakehouse.errors import PathsDifferError
from lakehouse.frames import Keep, keeping
from lakehouse.job import Run, run
from lakehouse.monitoring import log
from lakehouse.pinned import Pinned
from lakehouse.tables import (
    BRONZE_DROP_FILES,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_OFFLINE_SCORES,
    SILVER_PARITY,
    SILVER_POLICIES,
)
from silver import parity
from silver.days import DAYS, days_named
from silver.evidence import worth_of
from silver.live import near
from silver.parity import BATCH
from silver.proofs import other_by_rules
from silver.recorded_rules import RuleBook, recorded_rules
from silver.revisions import differs, next_revisions
from silver.standing import days_of, standing_of, standing_on

_EXAMPLES = 3
# decisions first: what they were made from is there when they are
_READ = (
    SILVER_LIVE_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_OFFLINE_SCORES,
    SILVER_POLICIES,
    BRONZE_DROP_FILES,
    SILVER_PARITY,
)


def compare_paths(
    lake: Lakehouse,
    days: Annotated[
        str | None,
        typer.Option(metavar=DAYS, help="Compare these days, not those that got new rows."),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(help="Record this conf/decision.yaml of before: decisions were made by it."),
    ] = None,
) -> None:
    """Record how live and batch differ, payment by payment, and end, whatever the trigger.

    Raises:
        ConfigError: a file of rules is absent, or wrong.
        PathsDifferError: no cause explains a difference that stands; it is recorded.
    """
    book = recorded_rules(lake, earlier=rules)

    def compare_days_of(rows: DataFrame, _: Batch) -> None:
        compare(lake, _days(rows), book)

    if days is not None:
        compare(lake, days_named(days, "--days"), book)
    else:
        daily = replace(lake, trigger=Trigger("once", lake.trigger.interval_seconds))
        tables = (SILVER_LIVE_TRANSACTIONS, SILVER_BATCH_TRANSACTIONS)
        live, batch = (daily.stream(table).select("event_date") for table in tables)
        query = daily.each_batch(live.unionByName(batch), compare_days_of)
        Run(daily, query).wait()
    _fail_on_unexplained(lake)


def compare(lake: Lakehouse, days: Set[date], rules: RuleBook) -> dict[str, int]:
    """Bring silver.parity up to the payments of these days, in one commit; without news in none.

    All tables are read at one version each, which is recorded. The rows of a payment are found on
    whatever days they lie. The counts that are logged come back: payments compared, by day, and
    new rows of each cause.
    """
    if not days:
        return {}
    pinned = Pinned.now(lake, _READ)
    with keeping() as keep:
        touched = keep(_transactions(pinned, days))
        stated = keep(parity.stated(_events(pinned, touched), _standing_log(pinned, touched)))
        pairs = keep(_told(pinned, parity.paired(stated)))
        found = keep(_judged(pinned, keep, stated, pairs, rules))
        now = lake.clock()
        recorded = standing_of(pinned.read(SILVER_PARITY), touched)
        wanted = parity.as_differences(found, now, pinned.versions)
        news = next_revisions(wanted, recorded, differs(*parity.VERDICT), SILVER_PARITY)
        # a difference that is gone keeps what it was, not when and by what that was seen
        seen = {
            "compared_at": F.lit(now),
            "read_versions": parity.versions_read(pinned.versions),
        }
        rows = keep(news.withColumns(seen))
        counts = _counted(rows)
        if counts:
            by_day = rows.repartition("event_date").sortWithinPartitions("transaction_id")
            lake.append(by_day, to=SILVER_PARITY)
        counts = _tallied(pairs) | counts
    log("compared", job=lake.job, table=SILVER_PARITY.name, counts=counts)
    return counts


def _days(rows: DataFrame) -> frozenset[date]:
    return frozenset(row["event_date"] for row in rows.distinct().collect())


def _transactions(pinned: Pinned, days: Set[date]) -> DataFrame:
    on_days = near("event_date", days, 0)
    live, batch = (
        pinned.read(table).where(on_days).select("transaction_id")
        for table in (SILVER_LIVE_TRANSACTIONS, SILVER_BATCH_TRANSACTIONS)
    )
    return live.unionByName(batch).distinct()


def _events(pinned: Pinned, touched: DataFrame) -> DataFrame:
    """All events of these transactions."""
    events = pinned.read(SILVER_LIVE_TRANSACTIONS)
    on_days = events.where(near("event_date", days_of(events, touched), 0))
    return on_days.join(touched, "transaction_id", "left_semi")


def _standing_log(pinned: Pinned, touched: DataFrame) -> DataFrame:
    """Rows of the log that stand, of these transactions."""
    return standing_of(pinned.read(SILVER_BATCH_TRANSACTIONS), touched).where(~F.col("withdrawn"))


def _told(pinned: Pinned, pairs: DataFrame) -> DataFrame:
    """Without payments of days of which the log says nothing yet: it lacks none of them."""
    is_live_only = F.col(BATCH).isNull()
    lacking = pairs.where(is_live_only).select(parity.day().alias("day")).distinct().collect()
    on_days = near("event_date", [row["day"] for row in lacking], 0)
    log_rows = standing_on(pinned.read(SILVER_BATCH_TRANSACTIONS), on_days)
    told = log_rows.where(~F.col("withdrawn")).select("event_date").distinct().collect()
    return pairs.where(~is_live_only | near("live.event_date", [row[0] for row in told], 0))


def _judged(
    pinned: Pinned, keep: Keep, stated: DataFrame, pairs: DataFrame, rules: RuleBook
) -> DataFrame:
    """Pairs that are not equal, with `causes` and `unexplained`."""
    of_one_path = parity.of_one_path(pairs.where(parity.is_missing()))
    differing = keep(pairs.where(F.size("differences") > 0))
    if differing.isEmpty():
        return of_one_path
    # not taken out of the pairs: Spark would reason about every field that is compared in them
    sides = keep(stated.join(differing.select("transaction_id"), "transaction_id", "left_semi"))
    worth = keep(worth_of(pinned, sides, rules, keep))
    policies = PolicyBook.of(pinned.read(SILVER_POLICIES))
    by_rules = other_by_rules(differing, policies, rules.decision)
    return parity.explained(differing, worth, keep(by_rules)).unionByName(of_one_path)


def _tallied(pairs: DataFrame) -> dict[str, int]:
    """How many payments were compared, and how many of them one path alone knows, by UTC day."""
    days = pairs.groupBy(parity.day().alias("day")).agg(
        F.count("*").alias("all"), F.count_if(parity.is_missing()).alias("lacking")
    )
    counts = {}
    for row in days.orderBy("day").collect():
        counts[f"{row['day']} compared"] = row["all"] - row["lacking"]
        counts[f"{row['day']} on one path"] = row["lacking"]
    return counts


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
    rows = lake.read(SILVER_PARITY)
    doubted = rows.where(is_unexplained).select("transaction_id").distinct()
    standing = standing_of(rows, doubted)
    left = standing.where(~F.col("withdrawn") & is_unexplained)
    examples = [
        row["transaction_id"] for row in left.orderBy("identity").limit(_EXAMPLES).collect()
    ]
    if examples:
        raise PathsDifferError(left.count(), examples)


if __name__ == "__main__":
    run(compare_paths)
