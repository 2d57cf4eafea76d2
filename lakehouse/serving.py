"""The serving store as its readers meet it: one DynamoDB item per transaction.

An item is `{transaction_id, live, live_version, gold, gold_version, expires_at}`. `live` and
`gold` are maps, each written by one job (`lakehouse.dynamodb`), and named here as the contract
names them (`lakehouse.serving_item` has what is stored). A reader needs no Spark.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.config import DynamoDbSettings
from lakehouse.errors import DynamoDbError, IndexNotFoundError, UserIndexNotFoundError
from lakehouse.records.codes import Finality, ScoreSource
from lakehouse.serving_item import (
    AS_OF,
    EVENT_TIME,
    INDEX_KEY,
    KEY,
    STORED_NAMES,
    USER,
    Item,
    micros_of,
    plain,
    shortened,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BY_USER = "by-user-and-time"
"""The index of all items by user and event time; it holds keys only."""
EVENT_AS_OF = "event_as_of"

_PAGE = 25
_SCORE = ("fraud_score", "fraud_reason_code", "score_source", "model_version")
_SCORE_RANK = [
    ScoreSource.NONE,
    ScoreSource.API,
    ScoreSource.TOPIC,
    ScoreSource.OFFLINE,
]


@lru_cache(maxsize=8)
def client(settings: DynamoDbSettings, attempts: int) -> DynamoDBClient:
    """Open a thread-safe client with adaptive retries, shared in this process.

    A request that is throttled, gets a 5xx or no answer is sent again, `attempts` times in all;
    throttling also slows down all further requests of this client. A loopback endpoint gets fixed
    credentials, so that a laptop needs no cloud account.
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
        return _item(settings, transaction_id)


def payments_of(
    settings: DynamoDbSettings, user_id: str, since: datetime | None, limit: int
) -> list[Item]:
    """Read the newest items of a user, at most `limit`, none of a payment before `since`.

    The index is behind the items by moments: a payment of just now may not be found yet, but what
    is found is as it stands.

    Raises:
        IndexNotFoundError: no job has created the table yet.
        UserIndexNotFoundError: the table has no index by user, or has not built it yet.
        DynamoDbError: the service does not answer, or refuses.
    """
    with faults_named(settings), ThreadPoolExecutor(settings.writers) as pool:
        found = (
            item
            for ids in _pages_of_ids(settings, shortened(USER, user_id), since, limit)
            for item in pool.map(lambda each: _item(settings, each, of_user=user_id), ids)
            if item is not None
        )
        return list(islice(found, limit))


def count_items(settings: DynamoDbSettings, group: str) -> int:
    """Count the items that have a group, tombstones not; reads the whole table.

    Raises:
        IndexNotFoundError: no job has created the table yet.
        DynamoDbError: the service does not answer, or refuses.
    """
    with faults_named(settings):
        pages = (
            client(settings, settings.read_attempts)
            .get_paginator("scan")
            .paginate(
                TableName=settings.table,
                Select="COUNT",
                FilterExpression=(
                    "attribute_exists(#group) AND attribute_not_exists(#group.#cooled)"
                ),
                ExpressionAttributeNames={"#group": group, "#cooled": STORED_NAMES["cooled"]},
            )
        )
        return sum(page["Count"] for page in pages)


def combined(live: Item | None, gold: Item | None, now: datetime) -> Item:
    """Read two groups as one, as the clock stands: Gold's, unless live has seen a newer event.

    By `event_as_of`, the newest payment event behind each group: a score or money that only one
    of them knows yet makes nobody's facts newer. The older group fills what the newer one lacks,
    but not with when its own facts become final. Where Gold says that a payment was withdrawn,
    live has one that Gold has not read yet, or Gold would not say so: live's alone. Live's alone
    too where Gold's group has `cooled` down to a tombstone: then Gold itself knows more. The
    score's attributes come from one group together: the better source, then the greater `as_of`,
    which is the newest event time in either.
    """
    if not live or not gold:
        return _concluded(dict(live or gold or {}), now)
    if gold.get("withdrawn"):
        return dict(live)
    if gold.get("cooled"):
        return _concluded(dict(live) | {"cooled": True}, now)
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


def _item(
    settings: DynamoDbSettings, transaction_id: str, of_user: str | None = None
) -> Item | None:
    """The item as it stands; None where there is none, or it is not that user's (any more)."""
    found = client(settings, settings.read_attempts).get_item(
        TableName=settings.table, Key={KEY: {"S": transaction_id}}, ConsistentRead=True
    )
    reader = TypeDeserializer()
    item = {name: reader.deserialize(value) for name, value in found.get("Item", {}).items()}
    if not item or (of_user is not None and item.get(USER) != shortened(USER, of_user)):
        return None
    groups = {name: plain(item[name]) if name in item else None for name in ("live", "gold")}
    rest = {name: item[name] for name in item if name not in (*groups, *INDEX_KEY)}
    both = combined(groups["live"], groups["gold"], datetime.now(UTC))
    return plain(rest) | groups | {"combined": both}


def _pages_of_ids(
    settings: DynamoDbSettings, user: str, since: datetime | None, limit: int
) -> Iterator[list[str]]:
    """Transaction ids of the index, the newest payment first."""
    names, values = {"#user": USER}, {":user": {"S": user}}
    condition = "#user = :user"
    if since is not None:
        names["#time"], values[":since"] = EVENT_TIME, {"N": str(micros_of(since))}
        condition += " AND #time >= :since"
    pages = (
        client(settings, settings.read_attempts)
        .get_paginator("query")
        .paginate(
            TableName=settings.table,
            IndexName=BY_USER,
            KeyConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ScanIndexForward=False,
            PaginationConfig={"PageSize": min(limit, _PAGE)},
        )
    )
    try:
        for found in pages:
            yield [key[KEY]["S"] for key in found["Items"]]
    except ClientError as fault:
        # the request is ours and well-formed: only the index can be what is wrong with it
        if fault.response["Error"]["Code"] == "ValidationException":
            raise UserIndexNotFoundError(settings.table, BY_USER) from fault
        raise
