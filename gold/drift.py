"""The serving store beside Gold, as of one version: items that are not what they must be.

Who has to be there is asked for by key, from the executors; who else is there is found by a scan.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.config import DynamoDbSettings
from lakehouse.dynamodb import ways_of_expiry
from lakehouse.records.codes import Finality
from lakehouse.serving import client, faults_named
from lakehouse.serving_item import EXPIRY, KEY, STORED_NAMES, Item, stored

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEYS_AT_ONCE = 100  # of one BatchGetItem, by DynamoDB's limit
_PAGE = 1_000
_INSTANTS = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
_FOUND = "transaction_id string, kind string, seen_version long"
_COOLED, _FINALITY, _FINAL_FROM = (
    STORED_NAMES[name] for name in ("cooled", "finality", "final_from")
)


class Drift(StrEnum):
    """How an item is not what Gold says."""

    MISSING = "missing"  # a hot payment has no item
    EXTRA = "extra"  # Gold has no such payment
    STALE = "stale"  # of a version that Gold has changed since, and the sync has passed
    DIFFERING = "differing"  # of its newest version, with other content or too near an expiry; or
    # of one so old that Gold's change feed cannot tell whether it is stale
    BACKWARDS = "backwards"  # of a version that Gold has not (any more): nothing can replace it


UNEQUAL = "unequal"
"""Stale or differing: the item alone does not tell."""
AHEAD = "ahead"
"""Of a version behind the one compared: the sync has gone on, and nothing is wrong."""


@dataclass(frozen=True)
class Versions:
    """The version that is compared, and the newest that Gold has."""

    compared: int
    newest: int


def compared(items: DataFrame, settings: DynamoDbSettings, versions: Versions) -> DataFrame:
    """Items that drift: `transaction_id, kind` (or UNEQUAL, AHEAD), `seen_version`.

    `items` are those of `gold.serving`, and `is_hot`: of another, no item or a tombstone will do.
    """
    attributes = [name for name in items.columns if name in STORED_NAMES]
    bodies = items.select(
        KEY, EXPIRY, "is_hot", F.to_json(F.struct(*attributes), _INSTANTS).alias("body")
    )
    look = partial(_compare_partition, settings=settings, versions=versions)
    return items.sparkSession.createDataFrame(bodies.rdd.mapPartitions(look), _FOUND)


def scanned(
    spark: SparkSession, settings: DynamoDbSettings, of_segments: int, segments: Sequence[int]
) -> DataFrame:
    """Items with a group of Gold that is no tombstone: `transaction_id, seen_version`.

    Those of some segments of the table, out of `of_segments`.
    """
    parts = spark.sparkContext.parallelize(list(segments), len(segments))
    scan = partial(_scan_segments, settings=settings, of_segments=of_segments)
    return spark.createDataFrame(
        parts.mapPartitions(scan), "transaction_id string, seen_version long"
    )


def replace_equal(items: DataFrame, settings: DynamoDbSettings) -> int:
    """Write items over their own version: how many were written. `items` are few.

    A push replaces smaller versions alone; what was changed behind its back has the newest. An
    item of another version than this stays: somebody has pushed it. So does a later expiry: the
    live group's, perhaps.
    """
    attributes = [name for name in items.columns if name in STORED_NAMES]
    bodies = items.select(
        KEY, "version", EXPIRY, F.to_json(F.struct(*attributes), _INSTANTS).alias("body")
    )
    store, writer = client(settings, settings.push_attempts), TypeSerializer()
    written = 0
    with faults_named(settings):
        for transaction_id, version, expires_at, body in bodies.collect():
            own = {":group": _attributes_of(body), ":version": version}
            for way in ways_of_expiry(expires_at):
                values = {**own, **way.values}
                condition = " AND ".join(filter(None, ("#version = :version", way.condition)))
                try:
                    store.update_item(
                        TableName=settings.table,
                        Key={KEY: {"S": transaction_id}},
                        UpdateExpression=f"SET {', '.join(('gold = :group', *way.assignments))}",
                        ConditionExpression=condition,
                        ExpressionAttributeNames={"#version": "gold_version", **way.names},
                        ExpressionAttributeValues={
                            name: writer.serialize(value) for name, value in values.items()
                        },
                    )
                except store.exceptions.ConditionalCheckFailedException:
                    continue
                written += 1
                break
    return written


def is_equal(item: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a stored group says what it must.

    An outcome becomes FINAL by the passing of time: an item that was written before tells when.
    """
    told, must = item.get(_FINALITY), wanted.get(_FINALITY)
    concluded = told == Finality.PROVISIONAL and must == Finality.FINAL and _FINAL_FROM in wanted
    rest = ({k: v for k, v in side.items() if k != _FINALITY} for side in (item, wanted))
    return (told == must or concluded) and next(rest) == next(rest)


def _compare_partition(
    rows: Iterable[Any], settings: DynamoDbSettings, versions: Versions
) -> Iterator[tuple[str, str, int | None]]:
    store = client(settings, settings.read_attempts)
    with faults_named(settings):
        rest = iter(rows)
        while window := list(islice(rest, _KEYS_AT_ONCE)):
            items = _items(store, settings.table, [row[0] for row in window])
            for transaction_id, expires_at, is_hot, body in window:
                item = items.get(transaction_id, {})
                kind = _kind(item, _attributes_of(body), expires_at, is_hot, versions)
                if kind is not None:
                    seen = item.get("gold_version")
                    yield transaction_id, str(kind), None if seen is None else int(seen)


def _kind(
    item: Item, wanted: Mapping[str, Any], expires_at: int, is_hot: bool, versions: Versions
) -> str | None:
    group, version = item.get("gold"), int(item.get("gold_version", -1))
    if version > versions.newest:
        return Drift.BACKWARDS
    if version > versions.compared:
        return AHEAD
    if group is None or _COOLED in group:
        if not is_hot:
            return None
        return Drift.MISSING if group is None else UNEQUAL
    goes_too_early = is_hot and item.get(EXPIRY, 0) < expires_at
    return UNEQUAL if goes_too_early or not is_equal(group, wanted) else None


def _items(store: DynamoDBClient, table: str, ids: Sequence[str]) -> dict[str, Item]:
    reader, found = TypeDeserializer(), dict[str, Item]()
    # a key twice is refused: a transaction that Gold has twice is for `lakehouse prove gold`
    keys = [{KEY: {"S": each}} for each in dict.fromkeys(ids)]
    asked: Any = {table: {"Keys": keys, "ConsistentRead": True}}
    while asked:
        answer = store.batch_get_item(RequestItems=asked)
        for item in answer["Responses"].get(table, []):
            plain = {name: reader.deserialize(value) for name, value in item.items()}
            found[plain[KEY]] = plain
        # what it had no capacity for; the client has waited
        asked = answer.get("UnprocessedKeys")
    return found


def _scan_segments(
    segments: Iterable[int], settings: DynamoDbSettings, of_segments: int
) -> Iterator[tuple[str, int]]:
    store = client(settings, settings.read_attempts)
    with faults_named(settings):
        for segment in segments:
            pages = store.get_paginator("scan").paginate(
                TableName=settings.table,
                Segment=segment,
                TotalSegments=of_segments,
                ConsistentRead=True,
                ProjectionExpression=f"{KEY}, gold_version",
                FilterExpression="attribute_exists(gold) AND attribute_not_exists(gold.#cooled)",
                ExpressionAttributeNames={"#cooled": _COOLED},
                PaginationConfig={"PageSize": _PAGE},
            )
            for page in pages:
                for item in page["Items"]:
                    yield item[KEY]["S"], int(item["gold_version"]["N"])


def _attributes_of(body: str) -> Item:
    return stored(json.loads(body, parse_float=Decimal))
