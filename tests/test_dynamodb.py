"""The serving store: an item never goes backwards, and a push writes every item or raises."""

from __future__ import annotations

from collections import Counter
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.hooks import HierarchicalEmitter
from pyspark.sql import SparkSession

from lakehouse.config import Config, DynamoDbSettings
from lakehouse.dynamodb import (
    Met,
    PushReport,
    _heard_throttles,
    _write_partition,
    client,
    combined,
    ensure_table,
    lookup,
    push,
)
from lakehouse.errors import DynamoDbError
from tests.conftest import NOON
from tests.faulty_dynamodb import Fault, in_front_of
from tests.index_items import an_item, found, frame_of, pushed

MARCH_1, MARCH_2, MARCH_9 = (date(2026, 3, day) for day in (1, 2, 9))


@pytest.fixture
def settings(dynamodb: DynamoDbSettings) -> DynamoDbSettings:
    """A table of this test alone, created."""
    ensure_table(dynamodb)
    return dynamodb


def test_an_item_comes_back_with_numbers_as_numbers_and_without_nulls(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    item = an_item(amount="12345", fraud_score="0.000000", policy_flags=["A"], merchant_id=None)
    report = pushed(spark, settings, item)
    assert report == PushReport(written=1, refused=0)
    stored = found(settings)
    assert stored["live"] == {
        "as_of": "2026-03-09T08:00:00.000000Z",
        "amount": 12345,
        "fraud_score": 0,
        "policy_flags": ["A"],
    }
    assert stored["live_version"] == 1
    assert stored["gold"] is None
    assert stored["combined"] == stored["live"]
    kinds = client(settings, 1).get_item(
        TableName=settings.table, Key={"transaction_id": {"S": "t1"}}
    )["Item"]["live"]["M"]
    assert {name: next(iter(kind)) for name, kind in kinds.items()} == {
        "ao": "N", "am": "N", "fs": "N", "ps": "L",
    }  # fmt: skip


@pytest.mark.parametrize("late", [1, 2])
def test_an_equal_or_older_version_changes_nothing(
    spark: SparkSession, settings: DynamoDbSettings, late: int
) -> None:
    pushed(spark, settings, an_item(version=2, amount="200"))
    report = pushed(spark, settings, an_item(version=late, amount="100"))
    assert report == PushReport(written=0, refused=1)
    assert found(settings)["live"]["amount"] == 200


def test_a_newer_version_replaces_its_group_and_leaves_the_other_alone(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    pushed(spark, settings, an_item(version=7, amount="700"), group="gold")
    pushed(spark, settings, an_item(version=1, amount="100"))
    pushed(spark, settings, an_item(version=2, amount="200", merchant_id=None))
    item = found(settings)
    assert (item["gold"]["amount"], item["gold_version"]) == (700, 7)
    assert (item["live"]["amount"], item["live_version"]) == (200, 2)
    assert "merchant_id" not in item["live"]


def test_an_expiry_never_moves_nearer(spark: SparkSession, settings: DynamoDbSettings) -> None:
    pushed(spark, settings, an_item(version=1, expires_at=2_000), group="gold")
    assert pushed(spark, settings, an_item(version=1, expires_at=1_000)).written == 1
    assert pushed(spark, settings, an_item(version=1, expires_at=1_500)).refused == 1
    assert found(settings)["expires_at"] == 2_000
    pushed(spark, settings, an_item(version=2, expires_at=3_000))
    pushed(spark, settings, an_item(version=3, expires_at=None))
    item = found(settings)
    assert (item["expires_at"], item["live_version"]) == (3_000, 3)


def test_many_items_are_all_written(spark: SparkSession, settings: DynamoDbSettings) -> None:
    items = [an_item(transaction_id=f"t{number}") for number in range(2_500)]
    report = push(frame_of(spark, *items).repartition(2), "live", settings)
    assert report == PushReport(written=2_500, refused=0)
    scan = (
        client(settings, 1).get_paginator("scan").paginate(TableName=settings.table, Select="COUNT")
    )
    assert sum(page["Count"] for page in scan) == 2_500


def test_items_said_to_be_new_are_stored_as_all_others_are(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    ones = [
        an_item(f"t{number}", expires_at=2_000, user_id=user, timestamp=NOON, is_new=number % 2 > 0)
        for number, user in enumerate(["u1", "u1", None, None, "", ""] * 10)
    ]
    assert pushed(spark, settings, *ones) == PushReport(written=60, refused=0)
    store = client(settings, 1)
    stored = [
        store.get_item(TableName=settings.table, Key={"transaction_id": {"S": f"t{number}"}})[
            "Item"
        ]
        for number in range(60)
    ]
    for updated, inserted in zip(stored[::2], stored[1::2], strict=True):
        assert inserted | {"transaction_id": updated["transaction_id"]} == updated


def test_new_items_go_twenty_five_to_a_request(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    items = [an_item(f"t{number}", is_new=number < 60) for number in range(62)]
    with in_front_of(settings, lambda *_: Fault.NONE) as (through, faulty):
        report = push(frame_of(spark, *items).coalesce(1), "live", through)
    assert report == PushReport(written=62, refused=0)
    assert faulty.requests == {"BatchExecuteStatement": 3, "UpdateItem": 2}


def test_inserts_that_the_store_turns_down_are_written_singly_and_told(
    settings: DynamoDbSettings,
) -> None:
    items = [(f"t{number}", 1, None, True, False, None, None, "{}") for number in range(30)]

    def denied(_: str, attempt: int) -> Fault:
        return Fault.DENIED if attempt == 0 else Fault.NONE

    with in_front_of(settings, denied) as (through, _):
        [report] = _write_partition(items, "live", through)
    assert report == PushReport(30, 0, turned_down=Counter({"AccessDenied": 30}))
    assert found(settings, "t29")["live_version"] == 1


def test_writers_wait_when_single_items_of_a_request_are_throttled(
    settings: DynamoDbSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("lakehouse.dynamodb.sleep", waited.append)

    def throttled(transaction_id: str, attempt: int) -> Fault:
        return Fault.SLOWED_DOWN if attempt == 0 and transaction_id != "t0" else Fault.NONE

    items = [(f"t{number}", 1, None, True, False, None, None, "{}") for number in range(20)]
    with in_front_of(settings, throttled) as (through, _):
        [report] = _write_partition(items, "live", through)
    assert report == PushReport(written=20, refused=0, throttled=19)
    [pause] = waited
    assert 0 < pause < 1.9


def test_a_throttled_update_is_counted_though_the_client_repeats_it_in_silence(
    settings: DynamoDbSettings,
) -> None:
    def throttled(transaction_id: str, attempt: int) -> Fault:
        return Fault.THROTTLED if attempt == 0 and transaction_id == "t0" else Fault.NONE

    items = [(f"t{number}", 1, None, False, False, None, None, "{}") for number in range(3)]
    with in_front_of(settings, throttled) as (through, _):
        [report] = _write_partition(items, "live", through)
    assert report == PushReport(written=3, refused=0, throttled=1)


def test_an_insert_that_failed_within_the_store_but_stands_counts_as_written(
    settings: DynamoDbSettings,
) -> None:
    item = ("t1", 1, None, True, False, None, None, "{}")
    list(_write_partition([item], "live", settings))

    def broken(_: str, attempt: int) -> Fault:
        return Fault.SERVER_ERROR if attempt == 0 else Fault.NONE

    with in_front_of(settings, broken) as (through, _):
        [report] = _write_partition([item], "live", through)
    assert report == PushReport(written=1, refused=0)


@pytest.mark.parametrize("is_new", [False, True])
def test_what_stands_already_keeps_its_rules_whatever_is_said_of_it(
    spark: SparkSession, settings: DynamoDbSettings, is_new: bool
) -> None:
    pushed(spark, settings, an_item(version=7, amount="700", expires_at=2_000), group="gold")
    first = pushed(
        spark, settings, an_item(version=2, amount="200", expires_at=1_000, is_new=is_new)
    )
    equal = pushed(spark, settings, an_item(version=2, amount="201", is_new=is_new))
    older = pushed(spark, settings, an_item(version=1, amount="100", is_new=is_new))
    assert (first.written, equal.refused, older.refused) == (1, 1, 1)
    item = found(settings)
    assert (item["live"]["amount"], item["live_version"], item["expires_at"]) == (200, 2, 2_000)
    assert (item["gold"]["amount"], item["gold_version"]) == (700, 7)


@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize(
    ("read", "first_day", "is_met"),
    [
        pytest.param((MARCH_2, MARCH_9), MARCH_2, False, id="of days that were read"),
        pytest.param((MARCH_2, MARCH_9), MARCH_1, True, id="begins before"),
        pytest.param((MARCH_1, MARCH_2), MARCH_1, True, id="has something newer"),
        pytest.param((MARCH_2, MARCH_9), None, False, id="of before, and new enough"),
        pytest.param((MARCH_1, MARCH_2), None, True, id="of before, and too new"),
        pytest.param((MARCH_9, MARCH_2), MARCH_2, True, id="nothing is read of days between"),
        pytest.param((None, None), MARCH_1, False, id="nothing is said of days"),
    ],
)
def test_an_item_that_more_went_into_than_was_read_is_left_and_told(
    spark: SparkSession,
    settings: DynamoDbSettings,
    read: tuple[date | None, date | None],
    first_day: date | None,
    is_met: bool,
    is_new: bool,
) -> None:
    pushed(spark, settings, an_item(version=1, amount="100", first_day=first_day))
    newer = an_item(version=2, amount="200", first_day=MARCH_2, read=read, is_new=is_new)
    report = pushed(spark, settings, newer, an_item("t2", read=read, is_new=is_new))
    first = first_day or MARCH_9  # of the newest event, where no first one is known
    met = (Met("t1", min(first, MARCH_2), MARCH_9),) if is_met else ()
    assert report == PushReport(written=2 - len(met), refused=0, met=met)
    assert found(settings)["live"]["amount"] == (100 if is_met else 200)


@pytest.mark.parametrize(
    ("read", "says"),
    [
        pytest.param((MARCH_1, MARCH_9), {"written": 1}, id="more days of one version"),
        pytest.param((MARCH_9, MARCH_9), {"met": (Met("t1", MARCH_2, MARCH_9),)}, id="fewer"),
        pytest.param((None, None), {"refused": 1}, id="nothing is said of days"),
    ],
)
@pytest.mark.parametrize("is_new", [False, True])
def test_of_one_version_stands_what_more_days_were_read_for(
    spark: SparkSession,
    settings: DynamoDbSettings,
    read: tuple[date | None, date | None],
    says: dict[str, Any],
    is_new: bool,
) -> None:
    pushed(spark, settings, an_item(amount="100", first_day=MARCH_2, read=(MARCH_2, MARCH_9)))
    again = an_item(amount="200", first_day=MARCH_9, read=read, is_new=is_new)
    assert pushed(spark, settings, again) == PushReport(**{"written": 0, "refused": 0} | says)
    assert found(settings)["live"]["amount"] == (200 if "written" in says else 100)


def test_where_only_the_other_group_stands_or_a_newer_version_days_do_not_matter(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    pushed(spark, settings, an_item("t1", first_day=MARCH_1), group="gold")
    pushed(spark, settings, an_item("t2", version=3, first_day=MARCH_1))
    ones = [an_item(each, version=2, read=(MARCH_9, MARCH_9), is_new=True) for each in ("t1", "t2")]
    assert pushed(spark, settings, *ones) == PushReport(written=1, refused=1)


def test_a_group_beyond_its_share_of_a_kilobyte_is_written_and_counted(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    flags = [f"a policy that this project has not {number}" for number in range(20)]
    report = pushed(spark, settings, an_item("t1"), an_item("t2", policy_flags=flags))
    assert report == PushReport(written=2, refused=0, oversized=1)
    assert found(settings, "t2")["live"]["policy_flags"] == flags


def test_an_attribute_without_a_stored_name_is_a_mistake_of_the_job(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    with pytest.raises(ValueError, match="'surprise'"):
        push(frame_of(spark, an_item()).withColumnRenamed("amount", "surprise"), "live", settings)


def test_the_table_expires_items_and_is_created_once(
    settings: DynamoDbSettings,
) -> None:
    ensure_table(settings)
    ttl = client(settings, 1).describe_time_to_live(TableName=settings.table)[
        "TimeToLiveDescription"
    ]
    assert ttl["AttributeName"] == "expires_at"


def test_an_unknown_transaction_is_nothing(settings: DynamoDbSettings) -> None:
    assert lookup(settings, "unknown") is None


def test_a_push_that_cannot_write_every_item_raises(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    absent = settings.model_copy(update={"table": "no-such-table"})
    with pytest.raises(DynamoDbError, match="not every item was written"):
        pushed(spark, absent, an_item())


def test_a_push_leaves_nothing_at_the_client_of_its_process() -> None:
    events = HierarchicalEmitter()
    store: Any = SimpleNamespace(meta=SimpleNamespace(events=events))
    told = {"response": (None, {"Error": {"Code": "ThrottlingException"}})}
    with _heard_throttles(store) as heard:
        events.emit("needs-retry.dynamodb.UpdateItem", **told)
    # else each micro-batch of a stream would make every later request dearer
    assert events.emit("needs-retry.dynamodb.UpdateItem", **told) == []
    assert heard == ["ThrottlingException"]


def test_a_service_that_is_down_is_named(config: Config) -> None:
    down = config.dynamodb.model_copy(update={"endpoint_url": "http://127.0.0.1:1"})
    with pytest.raises(DynamoDbError, match=r"no answer from http://127\.0\.0\.1:1"):
        lookup(down, "t1")


def a_group(as_of: str, **attributes: Any) -> dict[str, Any]:
    return {"as_of": _at(as_of), **attributes}


def _at(time: str, day: int = 9) -> str:
    return f"2026-03-{day:02}T{time}:00.000000Z"


@pytest.mark.parametrize(
    ("live", "gold", "expected"),
    [
        pytest.param(
            a_group("08:00", transaction_status="PENDING"),
            a_group("08:00", transaction_status="AUTHORIZED", finality="FINAL"),
            {"as_of": _at("08:00"), "transaction_status": "AUTHORIZED", "finality": "FINAL"},
            id="Gold knows as much: Gold",
        ),
        pytest.param(
            a_group("09:00", transaction_status="AUTHORIZED", finality="PROVISIONAL"),
            a_group(
                "08:00",
                transaction_status="PENDING",
                finality="FINAL",
                fx_rate=2,
                final_from=_at("00:00", 1),
            ),
            {
                "as_of": _at("09:00"),
                "transaction_status": "AUTHORIZED",
                "finality": "PROVISIONAL",
                "fx_rate": 2,
            },
            id="live has seen a newer event: live, Gold fills what it lacks but concludes nothing",
        ),
        pytest.param(
            a_group("10:00", event_as_of=_at("08:00"), amount=1, score_source="TOPIC"),
            a_group("09:00", event_as_of=_at("08:00"), amount=2, score_source="API"),
            {
                "as_of": _at("10:00"),
                "event_as_of": _at("08:00"),
                "amount": 2,
                "score_source": "TOPIC",
            },
            id="live has seen a newer score only: its score, Gold's facts",
        ),
        pytest.param(
            a_group("11:00", event_as_of=_at("08:00"), score_source="TOPIC", fraud_score=1),
            a_group("10:00", event_as_of=_at("08:00"), score_source="TOPIC", fraud_score=0),
            {
                "as_of": _at("11:00"),
                "event_as_of": _at("08:00"),
                "score_source": "TOPIC",
                "fraud_score": 1,
            },
            id="of equally good scores, that of the group that has seen more",
        ),
        pytest.param(
            a_group("08:00", event_as_of=_at("08:00"), amount=1, finality="PROVISIONAL"),
            a_group("09:00", withdrawn=True, settled_amount=3),
            {
                "as_of": _at("08:00"),
                "event_as_of": _at("08:00"),
                "amount": 1,
                "finality": "PROVISIONAL",
            },
            id="withdrawn from the log, announced to live, and Gold has not read that yet",
        ),
        pytest.param(
            None,
            a_group("08:00", finality="PROVISIONAL", final_from=_at("12:00")),
            {"as_of": _at("08:00"), "finality": "FINAL", "final_from": _at("12:00")},
            id="time has made it final",
        ),
        pytest.param(
            a_group("08:00"),
            a_group("08:00", finality="PROVISIONAL", final_from=_at("12:01")),
            {"as_of": _at("08:00"), "finality": "PROVISIONAL", "final_from": _at("12:01")},
            id="a minute before time makes it final",
        ),
        pytest.param(
            a_group("09:00", score_source="API", fraud_score=1, model_version="a"),
            a_group("08:00", score_source="OFFLINE", fraud_score=0),
            {"as_of": _at("09:00"), "score_source": "OFFLINE", "fraud_score": 0},
            id="the better score, all of it from one group",
        ),
        pytest.param(
            a_group("09:00", score_source="NONE", fraud_reason_code="UNSCORED"),
            a_group("08:00", score_source="NONE", fraud_reason_code="UNSCORED"),
            {"as_of": _at("09:00"), "score_source": "NONE", "fraud_reason_code": "UNSCORED"},
            id="no score anywhere",
        ),
    ],
)
def test_a_reader_combines_both_groups(
    live: dict[str, Any] | None, gold: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert combined(live, gold, NOON) == expected
