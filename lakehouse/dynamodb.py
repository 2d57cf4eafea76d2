"""The serving store as its writers meet it: each attribute group goes only forwards.

`live` and `gold` are each written by their own job only, and only over a smaller version of
itself, so an item never goes backwards, whatever is replayed and in whatever order. What an item
is, and how it is read, is in `lakehouse.serving`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.config import DynamoDbSettings
from lakehouse.errors import DynamoDbError
from lakehouse.serving import BRISK, EXPIRY, KEY, client, combined, faults_named, lookup

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["PushReport", "client", "combined", "ensure_table", "lookup", "push"]

Group = Literal["live", "gold"]
T = TypeVar("T")

# one width and UTC always, so that instants compare as text
_INSTANTS = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
_WINDOW = 1_000  # items of one partition in memory


@dataclass(frozen=True)
class PushReport:
    """What became of the pushed items; `written + refused` is their number.

    An item counts as refused where an equal or newer version stood already. A task that Spark
    repeats meets its own writes, so `refused` may then count items that this push wrote.
    """

    written: int
    refused: int


def ensure_table(settings: DynamoDbSettings) -> None:
    """Create the table if it is missing: on-demand billing, and TTL where the service has it.

    Raises:
        DynamoDbError: the service does not answer, or refuses.
    """
    with faults_named(settings):
        store = client(settings, BRISK)
        try:
            store.describe_table(TableName=settings.table)
        except store.exceptions.ResourceNotFoundException:
            _create(store, settings.table)
        store.get_waiter("table_exists").wait(
            TableName=settings.table, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        _expire_items(store, settings.table)


def push(items: DataFrame, group: Group, settings: DynamoDbSettings) -> PushReport:
    """Write one attribute group of many items, from the executors; all of them, or it raises.

    `items` has one row per transaction: `transaction_id`, `version` (long, greater wins),
    `expires_at` (epoch seconds; null leaves the item's own; an expiry never moves nearer), and
    the attributes of the group. Numbers stay numbers, instants become ISO 8601 in UTC with
    microseconds, null attributes are left out.

    Raises:
        DynamoDbError: an item could not be written after all retries. Others may have been; the
            same push again completes it.
    """
    attributes = [name for name in items.columns if name not in (KEY, "version", EXPIRY)]
    bodies = items.select(
        KEY,
        "version",
        EXPIRY,
        F.to_json(F.struct(*attributes), _INSTANTS).alias("body"),
    )
    write = partial(_write_partition, group=group, settings=settings)
    try:
        outcomes = bodies.rdd.mapPartitions(write).collect()
    except (Py4JJavaError, PySparkException) as fault:
        raise DynamoDbError(settings.table, "not every item was written") from fault
    return PushReport(sum(done for done, _ in outcomes), sum(not_done for _, not_done in outcomes))


def _write_partition(
    items: Iterable[tuple[str, int, int | None, str]],
    group: Group,
    settings: DynamoDbSettings,
) -> Iterator[tuple[int, int]]:
    """Write the items of one partition, `writers` at a time: how many (written, refused)."""
    write = partial(_write_item, client(settings), settings.table, group)
    with ThreadPoolExecutor(settings.writers, thread_name_prefix="push") as pool:
        # a bounded window: a partition may be larger than memory
        for window in _windows(items, _WINDOW):
            written = sum(pool.map(write, *zip(*window, strict=True)))
            yield written, len(window) - written


def _windows(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while window := list(islice(rest, size)):
        yield window


def _write_item(
    store: DynamoDBClient,
    table: str,
    group: Group,
    transaction_id: str,
    version: int,
    expires_at: int | None,
    body: str,
) -> bool:
    """Write one group over a smaller version of itself; False if an equal or newer one stands."""
    attributes = json.loads(body, parse_float=Decimal)
    names = {"#group": group, "#version": f"{group}_version"}
    values = {":group": attributes, ":version": version}
    update = partial(_update, store, table, transaction_id)
    if expires_at is None:
        return update("SET #group = :group, #version = :version", names, values) is None
    current = update(
        "SET #group = :group, #version = :version, #expiry = :expiry",
        {**names, "#expiry": EXPIRY},
        {**values, ":expiry": expires_at},
        and_only_if="(attribute_not_exists(#expiry) OR #expiry <= :expiry)",
    )
    if current is None:
        return True
    if int(current.get(names["#version"], {}).get("N", -1)) >= version:
        return False
    # the other group keeps the item for longer: its expiry stays
    return update("SET #group = :group, #version = :version", names, values) is None


def _update(
    store: DynamoDBClient,
    table: str,
    transaction_id: str,
    expression: str,
    names: Mapping[str, str],
    values: Mapping[str, Any],
    and_only_if: str = "",
) -> Mapping[str, Any] | None:
    """Update an item of a smaller version; else change nothing and return the one that stands."""
    condition = "(attribute_not_exists(#version) OR #version < :version)"
    writer = TypeSerializer()
    try:
        store.update_item(
            TableName=table,
            Key={KEY: {"S": transaction_id}},
            UpdateExpression=expression,
            ConditionExpression=" AND ".join(filter(None, (condition, and_only_if))),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={
                name: writer.serialize(value) for name, value in values.items()
            },
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except store.exceptions.ConditionalCheckFailedException as refusal:
        # mypy_boto3 knows no `Item` in an error's response
        return cast(Mapping[str, Any], refusal.response.get("Item", {}))
    return None


def _create(store: DynamoDBClient, table: str) -> None:
    # in use: another job created it a moment ago
    with suppress(store.exceptions.ResourceInUseException):
        store.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": KEY, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": KEY, "AttributeType": "S"}],
        )


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
