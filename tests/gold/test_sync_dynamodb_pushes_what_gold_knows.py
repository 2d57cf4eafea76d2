"""The serving store gets each changed transaction, from where the last complete push ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession

from gold.following import Span, changes_in, gold_table_id
from gold.position import move_position, position_of
from gold.serving import finality, latest_rows, pushed_items
from gold.sync_dynamodb import sync_dynamodb
from lakehouse.cli.lineage import traced
from lakehouse.cli.links import Progress, Served, broken_links
from lakehouse.config import DynamoDbSettings, GoldSettings, HotSettings
from lakehouse.context import Lakehouse
from lakehouse.dynamodb import ensure_table, lookup, push
from lakehouse.errors import DynamoDbError, FollowerAheadError
from lakehouse.hot import hot_at_most_until, is_hot
from lakehouse.serving import client
from lakehouse.tables import GOLD_TRANSACTIONS, WAITING_DAY
from tests.faulty_dynamodb import Fault, in_front_of
from tests.gold.horizon import shortened
from tests.gold.rows import (
    MORNING,
    Row,
    a_contribution,
    a_decision,
    a_gold_row,
    append,
    frame,
    merge_gold,
)
from tests.index_items import an_item, pushed

Opener = Callable[[str], Lakehouse]

NOW = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
WINDOWS = GoldSettings(locate_window_days=7, dispute_horizon_days=180)
TWO_WEEKS_AGO = NOW - timedelta(days=14)
EARLY: Row = {"contributions": [a_contribution(event_time=TWO_WEEKS_AGO)]}
LONG_AGO, LATELY = NOW - timedelta(days=181), NOW - timedelta(days=179)
SETTLED = {"settlement_status": "SETTLED", "settled_amount": "1200"}


def test_an_outcome_is_final_only_when_nothing_ordinary_can_change_it(spark: SparkSession) -> None:
    cases = {
        "declined": a_gold_row(transaction_status="DECLINED", timestamp=TWO_WEEKS_AGO, **EARLY),
        "declined lately": a_gold_row(transaction_status="DECLINED"),
        "declined anew": a_gold_row(
            transaction_status="DECLINED", timestamp=TWO_WEEKS_AGO,
            contributions=[a_contribution(event_time=NOW - timedelta(days=1))],
        ),
        "settled long ago": a_gold_row(timestamp=LONG_AGO, last_money_at=LONG_AGO, **SETTLED),
        "refunded lately": a_gold_row(
            timestamp=LONG_AGO, last_money_at=LATELY, settlement_status="REFUNDED"
        ),
        "settled lately": a_gold_row(timestamp=LATELY, last_money_at=LATELY, **SETTLED),
        "disputed for long": a_gold_row(
            timestamp=LONG_AGO, last_money_at=LONG_AGO, chargeback_amount="1200",
            **SETTLED | {"settlement_status": "CHARGEBACK"},
        ),
        "dispute won long ago": a_gold_row(
            timestamp=LONG_AGO, last_money_at=LONG_AGO, chargeback_amount="1200",
            chargeback_reversed_amount="1200", **SETTLED,
        ),
        "never settled": a_gold_row(timestamp=LONG_AGO),
        "pending": a_gold_row(transaction_status="PENDING"),
        "declined and authorised": a_gold_row(
            transaction_status="DECLINED", timestamp=TWO_WEEKS_AGO, **EARLY,
            exceptions=["STATUS_CONFLICT"],
        ),
        "money on a declined one": a_gold_row(
            transaction_status="DECLINED", timestamp=LONG_AGO, last_money_at=LONG_AGO,
            exceptions=["MONEY_ON_DECLINED"], **SETTLED,
        ),
    }  # fmt: skip
    rows = [row | {"transaction_id": name} for name, row in cases.items()]
    judged = frame(spark, GOLD_TRANSACTIONS, rows).withColumn("finality", finality(NOW, WINDOWS))
    assert {row.transaction_id: row.finality for row in judged.collect()} == {
        "declined": "FINAL",
        "declined lately": "PROVISIONAL",
        "declined anew": "PROVISIONAL",
        "settled long ago": "FINAL",
        "refunded lately": "PROVISIONAL",
        "settled lately": "PROVISIONAL",
        "disputed for long": "PROVISIONAL",
        "dispute won long ago": "FINAL",
        "never settled": "PROVISIONAL",
        "pending": "PROVISIONAL",
        "declined and authorised": "PROVISIONAL",
        "money on a declined one": "PROVISIONAL",
    }


def test_a_payment_is_hot_by_its_age_its_score_or_an_open_dispute(spark: SparkSession) -> None:
    hot = HotSettings(days=10, score_from=Decimal("0.8"), scored_days=100, disputed_days=50)
    week, month, half_year = (NOW - timedelta(days=days) for days in (7, 30, 180))
    disputed = {"chargeback_amount": "1200", "settlement_status": "CHARGEBACK"}
    cases = {
        "made this week": (a_gold_row(timestamp=week), True),
        "made a month ago": (a_gold_row(timestamp=month), False),
        "... and suspicious": (a_gold_row(timestamp=month, fraud_score="0.8"), True),
        "... and not suspicious enough": (a_gold_row(timestamp=month, fraud_score="0.79"), False),
        "suspicious for too long": (a_gold_row(timestamp=half_year, fraud_score="0.9"), False),
        "disputed lately": (a_gold_row(timestamp=half_year, last_money_at=month, **disputed), True),
        "... and reversed": (
            a_gold_row(
                timestamp=half_year, last_money_at=month,
                chargeback_reversed_amount="1200", **disputed | SETTLED,
            ),
            False,
        ),
        "disputed for too long": (
            a_gold_row(timestamp=half_year, last_money_at=half_year, **disputed), False,
        ),
        "waits for its payment": (
            a_waiting_row("t", a_contribution(source="MONEY_EVENT", event_time=week)), False,
        ),
        "withdrawn this week": (
            a_waiting_row("t", a_contribution(event_time=week, withdrawn=True)), True,
        ),
    }  # fmt: skip
    rows = [row | {"transaction_id": name} for name, (row, _) in cases.items()]
    judged = frame(spark, GOLD_TRANSACTIONS, rows).withColumn("is_hot", is_hot(hot, NOW))
    found = {row.transaction_id: row.is_hot for row in judged.collect()}
    assert found == {name: expected for name, (_, expected) in cases.items()}


def test_no_version_of_a_payment_was_hot_for_longer_than_its_row_tells(spark: SparkSession) -> None:
    hot = HotSettings(days=10, score_from=Decimal("0.8"), scored_days=100, disputed_days=50)
    moved = {"source": "MONEY_EVENT", "event_time": MORNING + timedelta(days=90)}
    money, no_money = (a_contribution("m", withdrawn=each, **moved) for each in (False, True))
    suspicious, disputed = (MORNING + timedelta(days=days) for days in (101, 140))
    cases = {
        "as it was made": (a_gold_row(), suspicious),
        "made before what live says": (a_gold_row(timestamp=TWO_WEEKS_AGO), suspicious),
        "withdrawn": (a_waiting_row("t", a_contribution(withdrawn=True)), suspicious),
        "its money moved": (a_gold_row(contributions=[a_contribution(), money]), disputed),
        "... or did not": (a_gold_row(contributions=[a_contribution(), no_money]), disputed),
        "waits for its payment": (a_waiting_row("t", money), None),
    }
    rows = [row | {"transaction_id": name} for name, (row, _) in cases.items()]
    told = frame(spark, GOLD_TRANSACTIONS, rows).withColumn("until", hot_at_most_until(hot))
    found = {row.transaction_id: row.until for row in told.collect()}
    assert {name: until and until.astimezone(UTC) for name, until in found.items()} == {
        name: expected for name, (_, expected) in cases.items()
    }


def test_explain_asks_for_an_item_as_long_as_it_is_pushed(
    lake_for: Opener, dynamodb: DynamoDbSettings
) -> None:
    gold = lake_for("consolidate")
    # as on AWS: Gold serves for a shorter time than live does
    # DynamoDB Local deletes by the clock of this machine, so all of it lasts for years
    cool = dynamodb.hot.model_copy(update={"days": 1_200})
    settings = dynamodb.model_copy(update={"hot": cool, "retention_days": 4_000})
    lake = _serving_from(lake_for("sync_dynamodb"), settings)
    late, lately = (NOW - timedelta(days=days) for days in (2_000, 20))
    append(
        gold,
        GOLD_TRANSACTIONS,
        a_gold_row("loaded late", timestamp=late, event_date=late.date()),
        a_gold_row("loaded", timestamp=lately, event_date=lately.date()),
    )
    sync_dynamodb(lake)

    def not_served(name: str) -> list[str]:
        found = traced(lake.spark, lake.config, name)
        store = Served(lookup(settings, name), True, timedelta(days=settings.retention_days))
        missing, _ = broken_links(found, Progress({}), store, NOW)
        return [each for each in missing if "DynamoDB" in each]

    assert lookup(settings, "loaded late") is None
    assert not_served("loaded late") == []
    assert not_served("loaded") == []
    client(settings, 1).delete_item(
        TableName=settings.table, Key={"transaction_id": {"S": "loaded"}}
    )
    assert ["no group `gold`" in each for each in not_served("loaded")] == [True]


def test_what_cools_down_leaves_a_tombstone_that_no_replay_gets_past(
    lake_for: Opener, dynamodb: DynamoDbSettings
) -> None:
    gold = lake_for("consolidate")
    cool = dynamodb.hot.model_copy(update={"days": 10, "scored_days": 10, "disputed_days": 100})
    lake = _serving_from(
        lake_for("sync_dynamodb"), dynamodb.model_copy(update={"hot": cool, "retention_days": 10})
    )
    # DynamoDB Local deletes by the clock of this machine
    audit = lake.config.audit.model_copy(update={"horizon_days": 3_650})
    lake = replace(lake, config=lake.config.model_copy(update={"audit": audit}))
    long_ago, lately = NOW - timedelta(days=60), NOW - timedelta(days=20)
    old = {"timestamp": long_ago, "event_date": long_ago.date()}
    ages_ago = NOW - timedelta(days=4_000)
    ancient = {
        "timestamp": ages_ago, "event_date": ages_ago.date(),
        "contributions": [a_contribution(event_time=ages_ago)],
    }  # fmt: skip
    disputed = {"settlement_status": "CHARGEBACK", "chargeback_amount": "1200",
                "settled_amount": "1200", "last_money_at": lately}  # fmt: skip
    append(
        gold,
        GOLD_TRANSACTIONS,
        a_gold_row("disputed", **old, **disputed),
        a_gold_row("never hot", **ancient),
    )
    sync_dynamodb(lake)
    item = lookup(dynamodb, "disputed")
    assert item is not None and item["gold"]["settlement_status"] == "CHARGEBACK"
    assert lookup(dynamodb, "never hot") is None

    merge_gold(
        gold,
        a_gold_row("disputed", **old, **disputed | SETTLED, chargeback_reversed_amount="1200"),
        a_gold_row("never hot", **ancient, settled_amount="1200", last_money_at=lately),
    )
    sync_dynamodb(lake)
    item = lookup(dynamodb, "disputed")
    assert item is not None
    assert (item["gold"], item["gold_version"]) == ({"cooled": True}, 2)
    # longer than the change feed of Gold reaches back, and so longer than any replay
    remembered = timedelta(days=lake.config.audit.horizon_days)
    assert item["expires_at"] >= (lake.clock() + remembered).timestamp()
    assert lookup(dynamodb, "never hot") is None

    rows = changes_in(lake, Span(-1, 1)).transform(latest_rows, lake.config)
    replayed = push(pushed_items(rows, lake.config, NOW), "gold", lake.config.dynamodb)
    assert (replayed.written, replayed.refused) == (0, 1)
    again = lookup(dynamodb, "disputed")
    assert again is not None
    assert (again["gold"], again["gold_version"]) == ({"cooled": True}, 2)

    merge_gold(gold, a_gold_row("disputed", **old, **disputed, fraud_score="0.99"))
    sync_dynamodb(lake)
    reopened = lookup(dynamodb, "disputed")
    assert reopened is not None and reopened["gold_version"] == 3
    assert "cooled" not in reopened["gold"]


def test_the_store_holds_the_newest_row_of_each_changed_transaction(
    lake_for: Opener, dynamodb: DynamoDbSettings
) -> None:
    gold = lake_for("consolidate")
    lake = _serving_from(lake_for("sync_dynamodb"), dynamodb)
    expired = NOW - timedelta(days=dynamodb.hot.days, seconds=1)
    append(
        gold,
        GOLD_TRANSACTIONS,
        a_gold_row("a", fraud_score="0.25", decision=a_decision()),
        a_gold_row("b"),
        a_gold_row("gone"),
        a_waiting_row("waits", a_contribution(source="MONEY_EVENT")),
        a_gold_row("old", timestamp=expired, event_date=date(2025, 2, 1)),
    )
    sync_dynamodb(lake)
    merge_gold(
        gold,
        a_gold_row("a", fraud_score="0.25", decision=a_decision(), **SETTLED),
        a_waiting_row("gone", a_contribution(source="BATCH_LOG", revision=1, withdrawn=True)),
    )
    sync_dynamodb(lake)

    item = lookup(dynamodb, "a")
    assert item is not None
    assert item["gold_version"] == 2
    days = dynamodb.hot.days + lake.config.audit.horizon_days
    assert item["expires_at"] == int(MORNING.timestamp()) + days * 86_400
    assert item["gold"] == {
        "transaction_status": "AUTHORIZED", "settlement_status": "SETTLED", "amount": 1200,
        "currency": "EUR", "fraud_score": Decimal("0.25"), "score_source": "NONE",
        "recommended_action": "ALLOW", "settled_amount": 1200, "refunded_amount": 0,
        "chargeback_amount": 0, "country": "DE", "region": "EU", "user_id": "payer-1",
        "merchant_id": "m-1", "timestamp": "2026-03-08T09:00:00.000000Z",
        "as_of": "2026-03-08T09:00:00.000000Z", "event_as_of": "2026-03-08T09:00:00.000000Z",
        "finality": "PROVISIONAL", "final_from": "2026-09-04T09:00:00.000000Z",
    }  # fmt: skip
    withdrawn = lookup(dynamodb, "gone")
    assert withdrawn is not None
    assert withdrawn["gold"] == {
        "withdrawn": True, "score_source": "NONE", "settled_amount": 0, "refunded_amount": 0,
        "chargeback_amount": 0, "region": "UNKNOWN", "as_of": "2026-03-08T09:00:00.000000Z",
        "finality": "PROVISIONAL",
    }  # fmt: skip
    unchanged = lookup(dynamodb, "b")
    assert unchanged is not None
    assert unchanged["gold_version"] == 1
    assert lookup(dynamodb, "waits") is None
    assert lookup(dynamodb, "old") is None
    assert position_of(lake, gold_table_id(lake)) == 2


def test_an_item_that_live_keeps_longer_costs_one_request(
    lake_for: Opener, dynamodb: DynamoDbSettings, spark: SparkSession
) -> None:
    """Of conf/aws.yaml, ten times as long, for the store deletes what expired by its own clock."""
    hot = HotSettings(days=1200, score_from=Decimal("0.8"), scored_days=4000, disputed_days=4000)
    aws = dynamodb.model_copy(update={"hot": hot, "retention_days": 4000})
    gold, opened = lake_for("consolidate"), lake_for("sync_dynamodb")
    ensure_table(dynamodb)
    kept_by_live = int((MORNING + timedelta(days=4000)).timestamp())
    pushed(spark, dynamodb, an_item("live and gold", expires_at=kept_by_live))
    of_log = [a_contribution(source="BATCH_LOG")]
    append(
        gold,
        GOLD_TRANSACTIONS,
        a_gold_row("live and gold"),
        a_gold_row("live is late"),
        a_gold_row("log alone", contributions=of_log),
    )
    with in_front_of(aws, lambda *_: Fault.NONE) as (through, faulty):
        lake = _serving_from(opened, through)
        sync_dynamodb(lake)
        merge_gold(
            gold,
            a_gold_row("live and gold", **SETTLED),
            a_gold_row("log alone", contributions=of_log, **SETTLED),
        )
        sync_dynamodb(lake)
    assert faulty.asked == {"live and gold": 2, "live is late": 1, "log alone": 2}
    expiry = {each: (lookup(dynamodb, each) or {})["expires_at"] for each in faulty.asked}
    kept_by_gold = int((MORNING + timedelta(days=1290)).timestamp())
    assert expiry == {
        "live and gold": kept_by_live, "live is late": kept_by_gold, "log alone": kept_by_gold,
    }  # fmt: skip


def test_what_live_keeps_longer_than_gold_is_hot_does_not_stay_as_it_was(
    lake_for: Opener, dynamodb: DynamoDbSettings, spark: SparkSession
) -> None:
    """Refunded when Gold's own items would be gone, however suspicious a payment had been."""
    hot = HotSettings(days=1200, score_from=Decimal("0.8"), scored_days=2000, disputed_days=4000)
    aws = dynamodb.model_copy(update={"hot": hot, "retention_days": 4000})
    gold, opened = lake_for("consolidate"), _serving_from(lake_for("sync_dynamodb"), aws)
    ensure_table(dynamodb)
    kept_by_live = int((MORNING + timedelta(days=4000)).timestamp())
    pushed(spark, dynamodb, an_item("live and gold", expires_at=kept_by_live))
    of_log = [a_contribution(source="BATCH_LOG")]
    log_alone = a_gold_row("log alone", contributions=of_log, **SETTLED)
    append(gold, GOLD_TRANSACTIONS, a_gold_row("live and gold", **SETTLED), log_alone)
    sync_dynamodb(opened)

    refunded = {"settlement_status": "REFUNDED", "refunded_amount": "1200"}
    merge_gold(gold, *[
        row | refunded for row in (a_gold_row("live and gold", **SETTLED), log_alone)
    ])  # fmt: skip
    late = replace(opened, clock=lambda: MORNING + timedelta(days=2500))
    sync_dynamodb(late)
    item, of_gold = lookup(dynamodb, "live and gold"), lookup(dynamodb, "log alone")
    assert item is not None and of_gold is not None
    assert (item["gold"], item["gold_version"]) == ({"cooled": True}, 2)
    assert item["expires_at"] == kept_by_live
    assert of_gold["gold_version"] == 1, "such an item is gone by then: it needs no tombstone"


def test_what_an_earlier_version_kept_for_longer_does_not_stay_as_it_was(
    lake_for: Opener, dynamodb: DynamoDbSettings
) -> None:
    """Of the log alone: disputed, or suspicious, for a while in which they were young as well."""
    hot = HotSettings(days=1200, score_from=Decimal("0.8"), scored_days=3000, disputed_days=4000)
    aws = dynamodb.model_copy(update={"hot": hot})
    gold, opened = lake_for("consolidate"), _serving_from(lake_for("sync_dynamodb"), aws)
    of_log = {"contributions": [a_contribution(source="BATCH_LOG")]}
    names = ("disputed", "suspicious", "neither")

    def pushed_on(day: int, **changed: Row) -> None:
        rows = [a_gold_row(name, **of_log | SETTLED | facts) for name, facts in changed.items()]
        merge_gold(gold, *rows)
        sync_dynamodb(replace(opened, clock=lambda: MORNING + timedelta(days=day)))

    def moved_on(day: int, **facts: str) -> Row:
        moment = MORNING + timedelta(days=day)
        money = a_contribution("money", source="MONEY_EVENT", event_time=moment)
        return {
            "last_money_at": moment, "contributions": [*of_log["contributions"], money], **facts
        }  # fmt: skip

    charged_back = moved_on(200, settlement_status="CHARGEBACK", chargeback_amount="1200")
    pushed_on(0, disputed={}, suspicious={"fraud_score": "0.9"}, neither={})
    pushed_on(200, disputed=charged_back)
    pushed_on(600, disputed=moved_on(600), suspicious={"fraud_score": "0.1"})
    expires = {name: _item(dynamodb, name)["expires_at"] for name in names}
    assert expires == {
        name: int((MORNING + timedelta(days=days + 90)).timestamp())
        for name, days in (("disputed", 4200), ("suspicious", 3000), ("neither", 1200))
    }

    refunded = {"settlement_status": "REFUNDED", "refunded_amount": "1200"}
    pushed_on(2500, suspicious=refunded)
    pushed_on(3500, disputed=moved_on(3500) | refunded, neither=refunded)
    left = {name: _item(dynamodb, name) for name in names}
    assert left["suspicious"]["gold"] == left["disputed"]["gold"] == {"cooled": True}
    assert left["neither"]["gold_version"] == 1, "such an item is gone by then"
    assert left["disputed"]["expires_at"] == expires["disputed"]


def _item(dynamodb: DynamoDbSettings, name: str) -> Mapping[str, Any]:
    item = lookup(dynamodb, name)
    assert item is not None
    return item


def test_a_position_that_was_lost_behind_a_shortened_log_is_found_by_pushing_all(
    lake_for: Opener, dynamodb: DynamoDbSettings
) -> None:
    gold = lake_for("consolidate")
    lake = _serving_from(lake_for("sync_dynamodb"), dynamodb)
    a_month_ago = NOW - timedelta(days=30)
    old = a_gold_row("old", timestamp=a_month_ago, event_date=a_month_ago.date())
    append(gold, GOLD_TRANSACTIONS, a_gold_row("a"), a_gold_row("b"), old)
    sync_dynamodb(lake)
    merge_gold(gold, a_gold_row("a", **SETTLED))
    merge_gold(gold, a_gold_row("c"))
    lake.checkpoint.delete()
    shortened(lake, GOLD_TRANSACTIONS, through=1)

    cool = dynamodb.model_copy(update={"hot": dynamodb.hot.model_copy(update={"days": 10})})
    lake = _serving_from(lake, cool)
    sync_dynamodb(lake)
    items = {each: lookup(dynamodb, each) or {} for each in ("a", "b", "c", "old")}
    assert {item["gold_version"] for item in items.values()} == {3}
    assert items["a"]["gold"]["settlement_status"] == "SETTLED"
    assert items["old"]["gold"] == {"cooled": True}
    assert position_of(lake, gold_table_id(lake)) == 3

    merge_gold(gold, a_gold_row("b", **SETTLED))
    sync_dynamodb(lake)
    item = lookup(dynamodb, "b")
    assert item is not None and item["gold_version"] == 4


def test_a_push_that_fails_is_taken_up_again_from_the_same_position(
    lake_for: Opener, dynamodb: DynamoDbSettings
) -> None:
    gold, opened = lake_for("consolidate"), lake_for("sync_dynamodb")
    append(gold, GOLD_TRANSACTIONS, a_gold_row("a"))
    nobody = dynamodb.model_copy(update={"endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(DynamoDbError):
        sync_dynamodb(_serving_from(opened, nobody))
    assert position_of(opened, gold_table_id(opened)) == -1

    sync_dynamodb(_serving_from(opened, dynamodb))
    assert lookup(dynamodb, "a") is not None
    assert position_of(opened, gold_table_id(opened)) == 1


def test_a_position_beyond_gold_or_in_another_gold_is_named(
    lake_for: Opener, dynamodb: DynamoDbSettings
) -> None:
    lake = _serving_from(lake_for("sync_dynamodb"), dynamodb)
    table_id = gold_table_id(lake)
    move_position(lake, table_id, 4)
    move_position(lake, table_id, 7)
    assert position_of(lake, table_id) == 7
    with pytest.raises(FollowerAheadError, match="version 0, but a follower has read it through 7"):
        sync_dynamodb(lake)
    with pytest.raises(FollowerAheadError, match="through 7: the table was replaced"):
        position_of(lake, "the table that came after it")


def a_waiting_row(transaction_id: str, *contributions: Row) -> Row:
    """What Gold holds where no contribution that counts says what the payment was."""
    nothing_known = dict.fromkeys(
        ("user_id", "timestamp", "amount", "currency", "transaction_status", "updated_at",
         "country", "merchant_id")
    )  # fmt: skip
    waits = {"event_date": WAITING_DAY, "region": "UNKNOWN", "contributions": [*contributions]}
    return a_gold_row(transaction_id, **nothing_known, **waits)


def _serving_from(lake: Lakehouse, dynamodb: DynamoDbSettings) -> Lakehouse:
    return replace(lake, config=lake.config.model_copy(update={"dynamodb": dynamodb}))
