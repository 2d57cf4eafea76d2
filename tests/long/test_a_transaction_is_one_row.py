"""gold/consolidate: one row per transaction, in whatever order its parts and days come."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

from gold.consolidate import consolidate
from gold.money import total_items
from lakehouse.context import Lakehouse
from lakehouse.delta import path_of
from lakehouse.tables import (
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    Table,
)
from tests.gold.rows import append
from tests.long.test_consolidate_folds_silver_into_gold import (
    a_batch_row,
    a_live_event,
    a_score,
    a_settlement,
    consolidated,
    rows_of,
    version_of,
)

Opener = Callable[[str], Lakehouse]
Part = tuple[Table, dict[str, Any]]

BEFORE_MIDNIGHT = datetime(2026, 3, 8, 23, 59, 59, 999_999, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 9, tzinfo=UTC)


def parts_of(transaction_id: str, live_at: datetime, logged_at: datetime) -> list[Part]:
    """The live event, the log row on its own day and elsewhere, and the money of the payment."""
    return [
        (SILVER_LIVE_TRANSACTIONS, a_live_event(transaction_id, **_at(live_at))),
        (
            SILVER_BATCH_TRANSACTIONS,
            a_batch_row(transaction_id, country="FR", region="OTHER", **_at(logged_at)),
        ),
        (SILVER_MONEY_EVENTS, a_settlement(transaction_id, transaction_date=live_at.date())),
    ]


@pytest.mark.parametrize(
    "live_at, logged_at",
    [
        pytest.param(BEFORE_MIDNIGHT, MIDNIGHT, id="around midnight"),
        pytest.param(MIDNIGHT, BEFORE_MIDNIGHT, id="around midnight, the log before"),
        pytest.param(MIDNIGHT, MIDNIGHT + timedelta(days=7), id="as many days apart as are looked"),
    ],
)
def test_live_and_batch_may_disagree_about_the_day(
    lake_for: Opener, live_at: datetime, logged_at: datetime
) -> None:
    lake = lake_for("consolidate")
    orders = {f"order {order}": order for order in permutations(range(3))}
    for run in range(3):
        for name, order in orders.items():
            append(lake, *parts_of(name, live_at, logged_at)[order[run]])
        consolidated(lake)
    gold = rows_of(lake)

    assert gold.keys() == orders.keys()
    for row in gold.values():
        assert [c.source for c in row.contributions] == ["BATCH_LOG", "LIVE_EVENT", "MONEY_EVENT"]
        assert (row.event_date, row.region) == (logged_at.date(), "OTHER")
        assert (row.settlement_status, row.exceptions) == ("SETTLED", [])


def test_only_what_changed_is_written_and_a_replay_rewrites_no_file(lake_for: Opener) -> None:
    lake = lake_for("consolidate")
    days = [MIDNIGHT + timedelta(days=n) for n in range(4)]
    paid = [a_batch_row(f"day {n} row {m}", **_at(at)) for n, at in enumerate(days) for m in (1, 2)]
    append(lake, SILVER_BATCH_TRANSACTIONS, *paid)
    append(lake, SILVER_MONEY_EVENTS, a_settlement("early"))
    consolidated(lake)
    version, files = version_of(lake), files_by_day(lake)

    delivered_again = [{**row, "coordinates": "test:again"} for row in paid]
    append(lake, SILVER_BATCH_TRANSACTIONS, *delivered_again)
    append(lake, SILVER_FRAUD_SCORES, a_score("day 1 row 1", "TOPIC", inference_time=days[1]))
    append(lake, SILVER_MONEY_EVENTS, a_settlement("day 2 row 2"))
    consolidated(lake)

    assert version_of(lake) == version + 1
    assert changed_after(lake, version) == {"day 1 row 1", "day 2 row 2"}
    now = files_by_day(lake)
    assert {day for day in now if now[day] != files[day]} == {days[1].date(), days[2].date()}

    version = version_of(lake)
    shutil.rmtree(f"{lake.config.lake.checkpoints}/consolidate")
    consolidated(lake)
    assert (version_of(lake), files_by_day(lake)) == (version, now), "a replay rewrites no file"


def test_only_what_is_new_in_silver_is_read(lake_for: Opener) -> None:
    lake = lake_for("consolidate")
    append(lake, SILVER_LIVE_TRANSACTIONS, a_live_event("first"))
    consolidated(lake)
    for file in Path(path_of(lake.config, SILVER_LIVE_TRANSACTIONS)).rglob("*.parquet"):
        file.unlink()  # whoever reads it again, fails

    append(lake, SILVER_LIVE_TRANSACTIONS, a_live_event("second"))
    consolidated(lake)
    assert rows_of(lake).keys() == {"first", "second"}


def test_what_is_wrong_of_its_day_or_far_from_it_finds_its_payment(lake_for: Opener) -> None:
    lake = lake_for("consolidate")
    absurd = {"dated at the end of time": date.max, "dated long ago": date(1600, 1, 1)}
    payments = ["dated wrongly", *absurd, "disputed late", "scored late", "untouched"]
    append(lake, SILVER_LIVE_TRANSACTIONS, *[a_live_event(each) for each in payments])
    consolidated(lake)
    version, late = version_of(lake), MIDNIGHT + timedelta(days=200)
    wrong_day = (MIDNIGHT + timedelta(days=30)).date()
    settled = a_settlement("dated wrongly", transaction_date=wrong_day)
    disputed = a_settlement("disputed late", event_type="CHARGEBACK", timestamp=late)
    # Silver may hold such rows since before the contract refused them
    at_no_time = [a_settlement(each, transaction_date=day) for each, day in absurd.items()]
    append(
        lake, SILVER_MONEY_EVENTS, settled, disputed, *at_no_time, a_settlement("nobody knows it")
    )
    append(lake, SILVER_FRAUD_SCORES, a_score("scored late", "TOPIC", inference_time=late))
    consolidated(lake)
    gold = rows_of(lake)

    assert gold.keys() == {*payments, "nobody knows it"}
    assert {gold[each].settlement_status for each in ("dated wrongly", *absurd)} == {"SETTLED"}
    assert gold["disputed late"].settlement_status == "CHARGEBACK"
    assert gold["scored late"].score_source == "TOPIC"
    assert changed_after(lake, version) == gold.keys() - {"untouched"}


def test_live_and_batch_dated_far_apart_are_told_until_they_are_healed(lake_for: Opener) -> None:
    lake = lake_for("consolidate")
    append(lake, SILVER_LIVE_TRANSACTIONS, a_live_event("far apart"), a_live_event("once"))
    consolidated(lake)
    a_month_later = MIDNIGHT + timedelta(days=30)
    append(lake, SILVER_BATCH_TRANSACTIONS, a_batch_row("far apart", **_at(a_month_later)))
    consolidated(lake)

    def told() -> list[tuple[Any, ...]]:
        found = total_items(lake.read(GOLD_TRANSACTIONS)).where("kind IS NOT NULL")
        return [tuple(each) for each in found.select("name", "kind", "cases", "gap").collect()]

    assert told() == [("far apart", "DOUBLED", 1, 1000)]
    consolidate(lake, heal=True)
    assert told() == []
    assert rows_of(lake).keys() == {"far apart", "once"}


def files_by_day(lake: Lakehouse) -> dict[Any, set[str]]:
    """Data files that hold rows of each day."""
    rows = lake.read(GOLD_TRANSACTIONS).select("event_date", F.input_file_name().alias("file"))
    files = defaultdict(set)
    for day, file in rows.distinct().collect():
        files[day].add(file)
    return dict(files)


def changed_after(lake: Lakehouse, version: int) -> set[str]:
    """Transactions whose rows were written behind a version."""
    rows = lake.changes(GOLD_TRANSACTIONS, after=version).select("transaction_id").distinct()
    return {row.transaction_id for row in rows.collect()}


def _at(instant: datetime) -> dict[str, Any]:
    return {"timestamp": instant, "event_date": instant.date()}
