"""The table of the serving store: created, indexed by user, told which items expire."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lakehouse.config import DynamoDbSettings
from lakehouse.errors import DynamoDbError
from lakehouse.serving import BY_USER, client, faults_named
from lakehouse.serving_item import EVENT_TIME, EXPIRY, KEY, USER

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        AttributeDefinitionTypeDef,
        CreateGlobalSecondaryIndexActionTypeDef,
        KeySchemaElementTypeDef,
    )

_WAIT_SECONDS = 60
_INDEX_KEY: list[KeySchemaElementTypeDef] = [
    {"AttributeName": USER, "KeyType": "HASH"},
    {"AttributeName": EVENT_TIME, "KeyType": "RANGE"},
]
_INDEX_ATTRIBUTES: list[AttributeDefinitionTypeDef] = [
    {"AttributeName": USER, "AttributeType": "S"},
    {"AttributeName": EVENT_TIME, "AttributeType": "N"},
]


def ensure_table(settings: DynamoDbSettings) -> None:
    """Create what is missing: the table (billed on demand), its index by user, its expiry.

    An index that is added to a table of many items is built behind the jobs' back: this waits a
    minute for it, and a job can write without it.

    Raises:
        DynamoDbError: the service does not answer, or refuses; or an index of this name has
            another key.
    """
    with faults_named(settings):
        store = client(settings, settings.read_attempts)
        try:
            store.describe_table(TableName=settings.table)
        except store.exceptions.ResourceNotFoundException:
            _create(store, settings.table)
        store.get_waiter("table_exists").wait(
            TableName=settings.table, WaiterConfig={"Delay": 1, "MaxAttempts": _WAIT_SECONDS}
        )
        _index_users(store, settings.table)
        _expire_items(store, settings.table)


def _create(store: DynamoDBClient, table: str) -> None:
    # in use: another job created it a moment ago
    with suppress(store.exceptions.ResourceInUseException):
        store.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": KEY, "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": KEY, "AttributeType": "S"},
                *_INDEX_ATTRIBUTES,
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": BY_USER,
                    "KeySchema": _INDEX_KEY,
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )


def _index_users(store: DynamoDBClient, table: str) -> None:
    """Add the index to a table that was made without it, and wait for it."""
    found = store.describe_table(TableName=table)["Table"]
    if _index_of(found) is None:
        # in use, or the limit of one at a time: another job is adding it
        busy = (
            store.exceptions.ResourceInUseException,
            store.exceptions.LimitExceededException,
        )
        with suppress(*busy):
            store.update_table(
                TableName=table,
                AttributeDefinitions=_INDEX_ATTRIBUTES,
                GlobalSecondaryIndexUpdates=[{"Create": _new_index(found)}],
            )
    for _ in range(_WAIT_SECONDS):
        index = _index_of(store.describe_table(TableName=table)["Table"])
        if index is not None and _key_of(index["KeySchema"]) != _key_of(_INDEX_KEY):
            fault = f"its index {BY_USER} has another key; delete that index, a job adds its own"
            raise DynamoDbError(table, fault)
        if index is not None and index["IndexStatus"] == "ACTIVE":
            return
        time.sleep(1)


def _new_index(table: Mapping[str, Any]) -> CreateGlobalSecondaryIndexActionTypeDef:
    index: CreateGlobalSecondaryIndexActionTypeDef = {
        "IndexName": BY_USER,
        "KeySchema": _INDEX_KEY,
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    own = table["ProvisionedThroughput"]
    if own.get("WriteCapacityUnits"):
        # an operator's table of provisioned capacity: an index that has less holds up its writes
        index["ProvisionedThroughput"] = {
            "ReadCapacityUnits": own["ReadCapacityUnits"],
            "WriteCapacityUnits": own["WriteCapacityUnits"],
        }
    return index


def _index_of(table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    indexes = table.get("GlobalSecondaryIndexes", [])
    return next((index for index in indexes if index["IndexName"] == BY_USER), None)


def _key_of(schema: list[Any]) -> set[tuple[str, str]]:
    return {(part["AttributeName"], part["KeyType"]) for part in schema}


def _expire_items(store: DynamoDBClient, table: str) -> None:
    try:
        found = store.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        if found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
            return
        store.update_time_to_live(
            TableName=table,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRY},
        )
    except ClientError as error:
        # a stand-in without TTL; or another job enabled it a moment ago
        if error.response["Error"]["Code"] not in (
            "UnknownOperationException",
            "ValidationException",
        ):
            raise
