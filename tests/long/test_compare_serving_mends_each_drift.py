"""DynamoDB beside Gold: each kind of drift is named, and mended as far as writes can mend it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner, Result

from gold.compare_serving import ServingReport, compare_serving
from gold.drift import is_equal
from gold.following import Span, changes_in
from gold.serving import latest_rows, pushed_items
from gold.sync_dynamodb import sync_dynamodb
from lakehouse.cli import app
from lakehouse.config import Config, DynamoDbSettings
from lakehouse.context import Lakehouse, Trigger
from lakehouse.dynamodb import client, ensure_table, lookup, push
from lakehouse.errors import NotSyncedError, ServingDriftError
from lakehouse.lease import held_lease
from lakehouse.monitoring import heard_by
from lakehouse.tables import GOLD_TRANSACTIONS
from tests.conftest import LOCAL, NOON, override
from tests.gold.horizon import shortened
from tests.gold.rows import MORNING, a_contribution, a_gold_row, append, merge_gold
from tests.index_items import an_item, pushed

Opener = Callable[[str], Lakehouse]

IDS = ("ahead", "back", "content", "early", "gone", "sound", "stale", "text")
NOTHING = {"missing": 0, "extra": 0, "stale": 0, "differing": 0, "backwards": 0}


def test_each_drift_is_named_and_mended_by_conditional_writes(
    lake_for: Opener, dynamodb: DynamoDbSettings
) -> None:
    gold = lake_for("consolidate")
    syncing, lake = (
        _serving_from(lake_for(job), dynamodb) for job in ("sync_dynamodb", "compare_serving")
    )
    append(gold, GOLD_TRANSACTIONS, *[a_gold_row(each) for each in IDS])
    sync_dynamodb(syncing)
    before = _raw(dynamodb, "stale")
    merge_gold(gold, a_gold_row("stale", amount="7"), a_gold_row("content", amount="8"))
    sync_dynamodb(syncing)
    assert compare_serving(lake).drift == NOTHING

    store = client(dynamodb, 1)
    store.delete_item(TableName=dynamodb.table, Key={"transaction_id": {"S": "gone"}})
    store.put_item(TableName=dynamodb.table, Item=before)
    store.put_item(TableName=dynamodb.table, Item=before | {"transaction_id": {"S": "nobody"}})
    _set(dynamodb, "content", "gold.am", {"N": "9"})
    _set(dynamodb, "text", "gold.am", {"S": "1200"})  # a number as a text is none
    _set(dynamodb, "early", "expires_at", {"N": "1"})
    _set(dynamodb, "back", "gold_version", {"N": "99"})
    merge_gold(gold, a_gold_row("ahead", amount="3"))
    rows = changes_in(syncing, Span(2, 3)).transform(latest_rows, syncing.config)
    push(pushed_items(rows, syncing.config, syncing.clock()), "gold", dynamodb)

    with pytest.raises(ServingDriftError, match=r"1 missing \(gone\); 1 extra \(nobody\); 1 stale"):
        compare_serving(lake)
    report = compare_serving(lake, only_report=True)
    assert report.named == {
        "missing": ["gone"], "extra": ["nobody"], "stale": ["stale"],
        "differing": ["content", "early", "text"], "backwards": ["back"],
    }  # fmt: skip
    assert (report.version, report.newest_version, report.ahead) == (2, 3, 1)
    assert (report.payments, report.hot, report.compared) == (8, 8, 8)

    mended = compare_serving(lake, repair=True, only_report=True)
    assert mended.drift == NOTHING | {"backwards": 1}  # nothing conditional goes over that
    assert mended.repaired == 6
    assert _amount(dynamodb, "stale") == 7 and _amount(dynamodb, "content") == 8
    assert _amount(dynamodb, "text") == _amount(dynamodb, "gone") == 1200
    assert _amount(dynamodb, "ahead") == 3
    extra = lookup(dynamodb, "nobody")
    assert extra is not None and extra["gold"] == {"cooled": True}

    # what was mended goes on with Gold
    merge_gold(gold, a_gold_row("gone", amount="5"), a_gold_row("content", amount="6"))
    sync_dynamodb(syncing)
    assert _amount(dynamodb, "gone") == 5 and _amount(dynamodb, "content") == 6
    assert compare_serving(lake, only_report=True).drift == NOTHING | {"backwards": 1}


def test_an_item_that_a_smaller_hot_left_behind_is_found_and_becomes_a_tombstone(
    lake_for: Opener, dynamodb: DynamoDbSettings
) -> None:
    # years, for the store deletes what expired by its own clock
    gold, long_ago = lake_for("consolidate"), MORNING - timedelta(days=1500)
    # of a payment with a live event, the sync knows that live keeps its item
    of_log = a_contribution(source="BATCH_LOG", event_time=long_ago)
    old = {"timestamp": long_ago, "event_date": long_ago.date(), "contributions": [of_log]}
    append(gold, GOLD_TRANSACTIONS, a_gold_row("old", **old))
    generous, strict = (
        dynamodb.model_copy(
            update={"hot": dynamodb.hot.model_copy(update={"days": days, "scored_days": days})}
        )
        for days in (2000, 10)
    )
    syncing, lake = lake_for("sync_dynamodb"), _serving_from(lake_for("compare_serving"), strict)
    sync_dynamodb(_serving_from(syncing, generous))
    assert compare_serving(lake).drift == NOTHING, "nothing has changed: it says what Gold says"
    merge_gold(gold, a_gold_row("old", amount="7", **old))
    sync_dynamodb(_serving_from(syncing, strict))
    assert compare_serving(lake, only_report=True).named == {"stale": ["old"]}
    assert compare_serving(lake, repair=True).drift == NOTHING
    item = lookup(dynamodb, "old")
    assert item is not None and item["gold"] == {"cooled": True}


def test_a_repair_takes_no_item_away_from_the_group_that_keeps_it_longer(
    lake_for: Opener, dynamodb: DynamoDbSettings, spark: SparkSession
) -> None:
    lake = _serving_from(lake_for("compare_serving"), dynamodb)
    kept_by_live = int((MORNING + timedelta(days=50_000)).timestamp())
    ensure_table(dynamodb)
    pushed(spark, dynamodb, an_item("both", expires_at=kept_by_live))
    append(lake_for("consolidate"), GOLD_TRANSACTIONS, a_gold_row("both"), a_gold_row("gold"))
    sync_dynamodb(_serving_from(lake_for("sync_dynamodb"), dynamodb))
    kept_by_gold = (lookup(dynamodb, "gold") or {})["expires_at"]
    for each in ("both", "gold"):
        _set(dynamodb, each, "gold.am", {"N": "9"})
    _set(dynamodb, "gold", "expires_at", {"N": str(kept_by_gold - 1)})

    mended = compare_serving(lake, repair=True)
    assert (mended.drift, mended.repaired) == (NOTHING, 2)
    items = {each: lookup(dynamodb, each) or {} for each in ("both", "gold")}
    assert [item["gold"]["amount"] for item in items.values()] == [1200, 1200]
    assert [item["expires_at"] for item in items.values()] == [kept_by_live, kept_by_gold]


def test_an_item_from_before_golds_change_feed_is_named_without_it_and_mended(
    lake_for: Opener, dynamodb: DynamoDbSettings
) -> None:
    gold = lake_for("consolidate")
    syncing, lake = (
        _serving_from(lake_for(job), dynamodb) for job in ("sync_dynamodb", "compare_serving")
    )
    append(gold, GOLD_TRANSACTIONS, *[a_gold_row(each) for each in ("content", "early", "late")])
    sync_dynamodb(syncing)
    before = [_raw(dynamodb, each) for each in ("early", "late")]
    merge_gold(gold, a_gold_row("early", amount="7"))
    merge_gold(gold, a_gold_row("late", amount="8"))
    sync_dynamodb(syncing)
    for item in before:
        client(dynamodb, 1).put_item(TableName=dynamodb.table, Item=item)
    _set(dynamodb, "content", "gold.am", {"N": "9"})
    shortened(lake, GOLD_TRANSACTIONS, through=1)  # and version 2 cannot be put together any more

    report = compare_serving(lake, only_report=True)
    assert report.named == {"stale": ["late"], "differing": ["content", "early"]}
    mended = compare_serving(lake, repair=True)
    assert (mended.drift, mended.repaired) == (NOTHING, 3)
    assert [_amount(dynamodb, each) for each in ("content", "early", "late")] == [1200, 7, 8]


def test_a_sample_is_a_share_of_all_and_the_same_by_its_seed(
    lake_for: Opener, dynamodb: DynamoDbSettings
) -> None:
    ids = [f"t{number}" for number in range(60)]
    append(lake_for("consolidate"), GOLD_TRANSACTIONS, *[a_gold_row(each) for each in ids])
    lake = _serving_from(lake_for("compare_serving"), dynamodb)
    sync_dynamodb(_serving_from(lake_for("sync_dynamodb"), dynamodb))
    for each in ids:
        _set(dynamodb, each, "gold.am", {"N": "9"})

    def sampled(seed: int) -> ServingReport:
        return compare_serving(lake, sample=20, seed=seed, only_report=True)

    events: list[str] = []

    def hear(event: str, _: Mapping[str, Any]) -> bool:
        events.append(event)
        return False

    with heard_by(hear):
        one, same, other = sampled(1), sampled(1), sampled(2)
        assert compare_serving(lake, sample=60, only_report=True).compared == 60
    assert [each for each in events if each in ("sampled", "compared")] == [
        "sampled",
        "sampled",
        "sampled",
        "compared",
    ]
    assert 0 < one.compared < 60
    assert one.drift["differing"] == one.compared
    assert one.named == same.named != other.named


def test_the_command_fails_for_what_drifts_and_mends_it(
    served: Config, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    override(monkeypatch, {"DYNAMODB__TABLE": f"compared-{uuid4().hex[:8]}"})
    config = Config.load(LOCAL)
    with held_lease(config, "consolidate") as lease:
        gold = Lakehouse(config, spark, "consolidate", Trigger("once", 1), lease, lambda: NOON)
        append(gold, GOLD_TRANSACTIONS, a_gold_row("sound"), a_gold_row("gone"))
    synced = CliRunner().invoke(app, ["run", "sync_dynamodb", "--config", str(LOCAL)])
    assert synced.exit_code == 0, synced.exception
    key: Any = {"transaction_id": {"S": "gone"}}
    client(config.dynamodb, 1).delete_item(TableName=config.dynamodb.table, Key=key)

    drifting = _asked()
    assert isinstance(drifting.exception, ServingDriftError) and drifting.exit_code != 0
    told = _document(drifting)
    assert (told["compared"], told["named"], told["holds"]) == (2, {"missing": ["gone"]}, False)
    mended = _asked("--repair")
    assert mended.exit_code == 0, mended.exception
    assert _document(mended)["repaired"] == 1
    assert _amount(config.dynamodb, "gone") == 1200


def _asked(*words: str) -> Result:
    rest = ["--all", "--json", "--config", str(LOCAL)]
    return CliRunner().invoke(app, ["prove", "serving", *words, *rest])


def _document(asked: Result) -> Any:
    return json.loads(asked.stdout[asked.stdout.index("{\n") :])  # behind log lines


def test_without_a_push_that_ended_there_is_nothing_to_compare(
    lake_for: Opener, dynamodb: DynamoDbSettings
) -> None:
    lake = _serving_from(lake_for("compare_serving"), dynamodb)
    with pytest.raises(NotSyncedError, match="no push has ended yet"):
        compare_serving(lake)


@pytest.mark.parametrize(
    "item, wanted, equal",
    [
        ({"fi": "PROVISIONAL", "ff": 5}, {"fi": "FINAL", "ff": 5}, True),
        ({"fi": "PROVISIONAL"}, {"fi": "FINAL"}, False),
        ({"fi": "FINAL", "ff": 5}, {"fi": "PROVISIONAL", "ff": 5}, False),
        ({"fi": "PROVISIONAL", "ff": 4}, {"fi": "FINAL", "ff": 5}, False),
        ({"am": 5, "fi": "FINAL"}, {"am": 5, "fi": "FINAL"}, True),
        ({"am": "5"}, {"am": 5}, False),
    ],
)
def test_time_alone_makes_an_item_final_and_nothing_else_differ(
    item: Mapping[str, Any], wanted: Mapping[str, Any], equal: bool
) -> None:
    assert is_equal(item, wanted) is equal


def _amount(dynamodb: DynamoDbSettings, transaction_id: str) -> Any:
    item = lookup(dynamodb, transaction_id)
    assert item is not None
    return item["gold"]["amount"]


def _raw(dynamodb: DynamoDbSettings, transaction_id: str) -> dict[str, Any]:
    key: Any = {"transaction_id": {"S": transaction_id}}
    return dict(client(dynamodb, 1).get_item(TableName=dynamodb.table, Key=key)["Item"])


def _set(dynamodb: DynamoDbSettings, transaction_id: str, path: str, value: Any) -> None:
    """Change an item behind everybody's back."""
    client(dynamodb, 1).update_item(
        TableName=dynamodb.table,
        Key={"transaction_id": {"S": transaction_id}},
        UpdateExpression=f"SET {path} = :value",
        ExpressionAttributeValues={":value": value},
    )


def _serving_from(lake: Lakehouse, dynamodb: DynamoDbSettings) -> Lakehouse:
    return replace(lake, config=lake.config.model_copy(update={"dynamodb": dynamodb}))
