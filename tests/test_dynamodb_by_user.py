"""The index by user: the newest payments first, under the live group's user and time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.config import DynamoDbSettings
from lakehouse.dynamodb import client, ensure_table
from lakehouse.errors import DynamoDbError, IndexNotFoundError, UserIndexNotFoundError
from lakehouse.serving import BY_USER, payments_of
from tests.index_items import MORNING, an_item, found, pushed

HOUR = timedelta(hours=1)


@pytest.fixture
def settings(dynamodb: DynamoDbSettings) -> DynamoDbSettings:
    """A table of this test alone, created."""
    ensure_table(dynamodb)
    return dynamodb


def paid(
    transaction_id: str = "t1",
    user_id: str | None = "u1",
    timestamp: datetime | None = MORNING,
    **more: Any,
) -> tuple[Any, ...]:
    return an_item(transaction_id, user_id=user_id, timestamp=timestamp, **more)


def ids_of(
    settings: DynamoDbSettings,
    user_id: str = "u1",
    since: datetime | None = None,
    limit: int = 100,
) -> list[str]:
    return [each["transaction_id"] for each in payments_of(settings, user_id, since, limit)]


def test_a_user_s_payments_come_newest_first_and_nobody_else_s(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    pushed(
        spark, settings, paid("a", timestamp=MORNING), paid("c", timestamp=MORNING + 2 * HOUR),
        paid("b", timestamp=MORNING + HOUR), paid("x", user_id="u2"),
    )  # fmt: skip
    assert ids_of(settings) == ["c", "b", "a"]
    assert ids_of(settings, limit=2) == ["c", "b"]
    assert ids_of(settings, since=MORNING + HOUR) == ["c", "b"]
    assert ids_of(settings, since=MORNING + HOUR + timedelta(microseconds=1)) == ["c"]
    assert ids_of(settings, "nobody") == []


def test_a_payment_found_by_user_is_the_whole_item_with_both_groups_combined(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    pushed(spark, settings, paid(amount="100"))
    pushed(spark, settings, paid(amount="200"), group="gold")
    assert payments_of(settings, "u1", None, 1) == [found(settings, "t1")]
    item = found(settings)
    assert (item["live"]["amount"], item["combined"]["amount"]) == (100, 200)
    assert item["live"]["timestamp"] == "2026-03-09T08:00:00.000000Z"


def test_live_s_key_stands_whichever_group_is_written_last(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    pushed(spark, settings, paid(user_id="of gold"), group="gold")
    assert ids_of(settings, "of gold") == ["t1"]  # live has no event of it
    pushed(spark, settings, paid(user_id="of live", timestamp=MORNING + HOUR))
    assert (ids_of(settings, "of gold"), ids_of(settings, "of live")) == ([], ["t1"])
    pushed(spark, settings, paid(user_id="of gold", version=2), group="gold")
    assert (ids_of(settings, "of gold"), ids_of(settings, "of live")) == ([], ["t1"])
    assert ids_of(settings, "of live", since=MORNING + HOUR) == ["t1"]
    assert found(settings)["gold"]["user_id"] == "of gold"


@pytest.mark.parametrize("group", ["live", "gold"])
def test_a_user_who_changes_moves_the_payment_and_an_older_version_does_not_move_it_back(
    spark: SparkSession, settings: DynamoDbSettings, group: Any
) -> None:
    pushed(spark, settings, paid(user_id="before", version=1), group=group)
    pushed(spark, settings, paid(user_id="after", version=2), group=group)
    pushed(spark, settings, paid(user_id="before", version=1), group=group)
    assert (ids_of(settings, "before"), ids_of(settings, "after")) == ([], ["t1"])


def test_the_key_stands_too_where_the_other_group_keeps_the_item_longer(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    pushed(spark, settings, paid(user_id="of gold", expires_at=9_000), group="gold")
    pushed(spark, settings, paid(user_id="of live", expires_at=1_000))
    assert (ids_of(settings, "of live"), found(settings)["expires_at"]) == (["t1"], 9_000)


def test_what_gold_withdraws_keeps_the_key_it_had(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    pushed(spark, settings, paid(version=1), group="gold")
    pushed(spark, settings, paid(version=2, user_id=None, timestamp=None), group="gold")
    assert ids_of(settings) == ["t1"]
    assert "user_id" not in found(settings)["gold"]


def test_a_user_of_any_length_is_found_and_stops_no_push(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    long = "u" * 5_000  # more than DynamoDB takes as a key
    report = pushed(spark, settings, paid("a", user_id=long), paid("b", user_id=long + "!"))
    assert (report.written, report.oversized) == (2, 0)
    assert ids_of(settings, long) == ["a"]


def test_more_payments_than_a_page_are_all_found(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    times = [MORNING + number * HOUR for number in range(40)]
    pushed(spark, settings, *(paid(f"t{at:%d%H}", timestamp=at) for at in times))
    newest = [f"t{at:%d%H}" for at in reversed(times)]
    assert ids_of(settings, limit=7) == newest[:7]
    assert ids_of(settings) == newest


def _create_without_index(settings: DynamoDbSettings, **more: Any) -> None:
    client(settings, 1).create_table(
        TableName=settings.table,
        KeySchema=[{"AttributeName": "transaction_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "transaction_id", "AttributeType": "S"}],
        **more or {"BillingMode": "PAY_PER_REQUEST"},
    )


@pytest.mark.parametrize(
    "billing",
    [
        pytest.param({}, id="on demand"),
        pytest.param(
            {"ProvisionedThroughput": {"ReadCapacityUnits": 7, "WriteCapacityUnits": 9}},
            id="provisioned",
        ),
    ],
)
def test_a_table_that_was_made_without_the_index_gets_it(
    spark: SparkSession, dynamodb: DynamoDbSettings, billing: dict[str, Any]
) -> None:
    _create_without_index(dynamodb, **billing)
    with pytest.raises(UserIndexNotFoundError, match=f"has no index {BY_USER}"):
        payments_of(dynamodb, "u1", None, 10)
    ensure_table(dynamodb)
    pushed(spark, dynamodb, paid())
    assert ids_of(dynamodb) == ["t1"]
    table = client(dynamodb, 1).describe_table(TableName=dynamodb.table)["Table"]
    index = table["GlobalSecondaryIndexes"][0]
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    if billing:
        assert index["ProvisionedThroughput"]["WriteCapacityUnits"] == 9
    ensure_table(dynamodb)


def test_an_index_of_this_name_with_another_key_is_named(dynamodb: DynamoDbSettings) -> None:
    client(dynamodb, 1).create_table(
        TableName=dynamodb.table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "transaction_id", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "transaction_id", "AttributeType": "S"},
            {"AttributeName": "user", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": BY_USER,
                "KeySchema": [{"AttributeName": "user", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    with pytest.raises(DynamoDbError, match=f"its index {BY_USER} has another key"):
        ensure_table(dynamodb)


def test_without_a_table_the_jobs_that_make_it_are_named(dynamodb: DynamoDbSettings) -> None:
    with pytest.raises(IndexNotFoundError, match="enrich_live"):
        payments_of(dynamodb, "u1", datetime(2026, 3, 9, tzinfo=UTC), 10)
