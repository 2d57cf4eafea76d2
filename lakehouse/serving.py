"""The serving store as its readers meet it: one DynamoDB item per transaction.

An item is `{transaction_id, live, live_version, gold, gold_version, expires_at}`. `live` and
`gold` are maps, each written by one job (`lakehouse.dynamodb`). A reader needs no Spark.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.config import DynamoDbSettings
from lakehouse.errors import DynamoDbError, IndexNotFoundError
from lakehouse.records.codes import Finality, ScoreSource

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]

KEY = "transaction_id"
EXPIRY = "expires_at"
AS_OF = "as_of"
EVENT_AS_OF = "event_as_of"

PATIENT = 10
"""Attempts of a job, about a minute of backoff: throttling passes."""
BRISK = 3
"""Attempts while a person waits."""
_SCORE = ("fraud_score", "fraud_reason_code", "score_source", "model_version")
_SCORE_RANK = [
    ScoreSource.NONE,
    ScoreSource.API,
    ScoreSource.TOPIC,
    ScoreSource.OFFLINE,
]


@lru_cache(maxsize=8)
def client(settings: DynamoDbSettings, attempts: int = PATIENT) -> DynamoDBClient:
    """Open a thread-safe client with adaptive retries, shared in this process.

    A loopback endpoint gets fixed credentials, so that a laptop needs no cloud account.
    """
    local = "local" if _is_loopback(settings.endpoint_url) else None
    return boto3.client(
        "dynamodb",
        endpoint_url=settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id=local,
        aws_secret_access_key=local,
        config=ClientConfig(
            retries={"mode": "adaptive", "total_max_attempts": attempts},
            max_pool_connections=settings.writers,
            connect_timeout=2,
            read_timeout=10,
        ),
    )


def lookup(settings: DynamoDbSettings, transaction_id: str) -> Item | None:
    """Read one item: its groups `live` and `gold` (None where absent) and both `combined`.

    Raises:
        IndexNotFoundError: no job has created the table yet.
        DynamoDbError: the service does not answer, or refuses.
    """
    with faults_named(settings):
        found = client(settings, BRISK).get_item(
            TableName=settings.table,
            Key={KEY: {"S": transaction_id}},
            ConsistentRead=True,
        )
    if "Item" not in found:
        return None
    reader = TypeDeserializer()
    item = {name: _plain(reader.deserialize(value)) for name, value in found["Item"].items()}
    live, gold = item.setdefault("live", None), item.setdefault("gold", None)
    return item | {"combined": combined(live, gold, datetime.now(UTC))}


def count_items(settings: DynamoDbSettings, group: str) -> int:
    """Count the items that have a group; reads the whole table.

    Raises:
        IndexNotFoundError: no job has created the table yet.
        DynamoDbError: the service does not answer, or refuses.
    """
    with faults_named(settings):
        pages = (
            client(settings, BRISK)
            .get_paginator("scan")
            .paginate(
                TableName=settings.table,
                Select="COUNT",
                FilterExpression="attribute_exists(#group)",
                ExpressionAttributeNames={"#group": group},
            )
        )
        return sum(page["Count"] for page in pages)


def combined(live: Item | None, gold: Item | None, now: datetime) -> Item:
    """Read two groups as one, as the clock stands: Gold's, unless live has seen a newer event.

    By `event_as_of`, the newest payment event behind each group: a score or money that only one
    of them knows yet makes nobody's facts newer. The older group fills what the newer one lacks,
    but not with when its own facts become final. Where Gold says that a payment was withdrawn,
    live has one that Gold has not read yet, or Gold would not say so: live's alone. The score's
    attributes come from one group together: the better source, then the greater `as_of`, which is
    the newest event time in either.
    """
    if not live or not gold:
        return _concluded(dict(live or gold or {}), now)
    if gold.get("withdrawn"):
        return dict(live)
    older, newer = (gold, live) if _seen(live) > _seen(gold) else (live, gold)
    scored = max((gold, live), key=lambda group: (_score_rank(group), group[AS_OF]))
    whole = {name: value for name, value in older.items() if name != "final_from"} | newer
    return _concluded(
        {name: value for name, value in whole.items() if name not in _SCORE}
        | {name: scored[name] for name in _SCORE if name in scored}
        | {AS_OF: max(live[AS_OF], gold[AS_OF])},
        now,
    )


def _seen(group: Item) -> str:
    """The newest payment event behind a group, as far as it tells."""
    return str(group.get(EVENT_AS_OF, group[AS_OF]))


def _concluded(group: Item, now: datetime) -> Item:
    """The group with what the passing of time alone has made final."""
    from_then_on = group.get("final_from")
    if from_then_on is None or datetime.fromisoformat(from_then_on) > now:
        return group
    return group | {"finality": str(Finality.FINAL)}


def _score_rank(group: Item) -> int:
    return _SCORE_RANK.index(group.get("score_source", ScoreSource.NONE))


@contextmanager
def faults_named(settings: DynamoDbSettings) -> Iterator[None]:
    """Turn what the service answers, and its silence, into errors that name the table."""
    try:
        yield
    except ClientError as fault:
        if fault.response["Error"]["Code"] == "ResourceNotFoundException":
            raise IndexNotFoundError(settings.table) from fault
        raise DynamoDbError(settings.table, fault.response["Error"]["Code"]) from fault
    except BotoCoreError as fault:
        where = settings.endpoint_url or settings.region
        raise DynamoDbError(settings.table, f"no answer from {where}") from fault


def _is_loopback(endpoint: str | None) -> bool:
    host = urlsplit(endpoint).hostname if endpoint else None
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _plain(value: Any) -> Any:
    """Whole numbers as int, others as Decimal; never a float."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else value
    return value
