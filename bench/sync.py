"""Gold -> DynamoDB beside a bare client that does the same conditional writes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
from boto3.dynamodb.types import TypeSerializer
from botocore.config import Config as ClientConfig
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bench.place import in_folder
from bench.timing import best_of, show
from lakehouse.config import Config, DynamoDbSettings
from lakehouse.context import Lakehouse, Trigger
from lakehouse.job import execute, job_named
from lakehouse.lease import held_lease
from lakehouse.serving_item import STORED_NAMES, stored
from lakehouse.serving_table import ensure_table
from lakehouse.session import open_session
from lakehouse.tables import GOLD_TRANSACTIONS

LEAST_RATIO = 0.8  # of the bare client's items per second
_KEPT_SECONDS = 400 * 86_400
_WRITE = (
    "SET gold = :group, gold_version = :version, expires_at = :expiry, "
    "user_id = if_not_exists(#live.ui, :user), event_time = if_not_exists(#live.#at, :time)"
)
_IF_OLDER = (
    "(attribute_not_exists(gold_version) OR gold_version < :version) "
    "AND (attribute_not_exists(expires_at) OR expires_at <= :expiry)"
)


def sync(config: Config, items: int, rounds: int) -> None:
    """Time the push of so many changed transactions, each time into an empty table."""
    spark = open_session(config, "bench")
    own = in_folder(config, Path(config.lake.root) / "sync")
    _fill_gold(spark, own, items)
    bodies = _bodies(spark, own)

    def pushed() -> None:
        # without its position it pushes all of Gold
        shutil.rmtree(Path(own.lake.checkpoints) / "sync_dynamodb", ignore_errors=True)
        execute(job_named("sync_dynamodb"), _with_own_table(own), trigger="once")

    def written() -> None:
        settings = _with_own_table(own).dynamodb
        ensure_table(settings)
        _write_all(settings, bodies)

    works: dict[str, Callable[[], None]] = {"bare client": written, "sync_dynamodb": pushed}
    found = best_of(works, rounds)
    bare = found["bare client"]
    show(
        f"serving of {items:,} changed transactions",
        ("what", "seconds", "items/s", "ratio to the bare client", "at least"),
        [
            (name, f"{seconds:.1f}", f"{items / seconds:,.0f}", f"{bare / seconds:.2f}",
             str(LEAST_RATIO) if name == "sync_dynamodb" else "")
            for name, seconds in found.items()
        ],
    )  # fmt: skip


def _fill_gold(spark: SparkSession, config: Config, items: int) -> None:
    paid_at = F.lit(datetime(2026, 3, 8, 9, tzinfo=UTC))
    known = {
        "transaction_id": F.expr("uuid()"),
        "user_id": F.concat(F.lit("user-"), F.col("id").cast("string")),
        "timestamp": paid_at,
        "updated_at": paid_at,
        "amount": F.col("id") + 100,
        "currency": F.lit("EUR"),
        "fraud_score": F.rand(1),
        "score_source": F.lit("OFFLINE"),
        "model_version": F.lit("offline-1"),
        "transaction_status": F.lit("AUTHORIZED"),
        "settlement_status": F.lit("SETTLED"),
        "country": F.lit("DE"),
        "region": F.lit("EU"),
        "merchant_id": F.lit("DE-5411-00001"),
        "settled_amount": F.col("id") + 100,
        "last_money_at": paid_at,
        "event_date": F.to_date(paid_at),
        "exceptions": F.array(),
        "winners": F.array(),
        "contributions": F.array(),
    }
    zero = {"refunded_amount", "chargeback_amount", "chargeback_reversed_amount"}
    values = {name: F.lit(0) for name in zero} | known
    rows = spark.range(items).select(
        *[
            values.get(each.name, F.lit(None)).cast(each.dataType).alias(each.name)
            for each in GOLD_TRANSACTIONS.schema
        ]
    )
    with held_lease(config, "consolidate") as lease:
        lake = Lakehouse(
            config, spark, "consolidate", Trigger("once", 1), lease, lambda: datetime.now(UTC)
        )
        lake.append(rows, GOLD_TRANSACTIONS)


def _bodies(spark: SparkSession, config: Config) -> list[dict[str, Any]]:
    """Items as a program has them that was handed a list: that it costs nothing to make."""
    gold: DataFrame = spark.read.format("delta").load(f"{config.lake.tables}/gold/transactions")
    names = [name for name in gold.columns if name in STORED_NAMES and name != "winners"]
    texts = gold.select(
        F.to_json(
            F.struct("transaction_id", *names),
            {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"},
        )
    )
    return [json.loads(row[0], parse_float=Decimal) for row in texts.collect()]


def _write_all(settings: DynamoDbSettings, bodies: Sequence[dict[str, Any]]) -> None:
    store = boto3.client(
        "dynamodb",
        endpoint_url=settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=ClientConfig(max_pool_connections=settings.writers),
    )
    writer = TypeSerializer()
    expires_at = int(datetime.now(UTC).timestamp()) + _KEPT_SECONDS

    def write(body: dict[str, Any]) -> None:
        group = stored({name: value for name, value in body.items() if name != "transaction_id"})
        values = {
            ":group": group, ":version": 1, ":expiry": expires_at,
            ":user": group["ui"], ":time": group["at"],
        }  # fmt: skip
        store.update_item(
            TableName=settings.table,
            Key={"transaction_id": {"S": body["transaction_id"]}},
            UpdateExpression=_WRITE,
            ConditionExpression=_IF_OLDER,
            ExpressionAttributeNames={"#live": "live", "#at": "at"},
            ExpressionAttributeValues={
                name: writer.serialize(value) for name, value in values.items()
            },
        )

    with ThreadPoolExecutor(settings.writers) as pool:
        for _ in pool.map(write, bodies):
            pass


def _with_own_table(config: Config) -> Config:
    name = f"bench-{uuid4().hex[:12]}"
    return config.model_copy(
        update={"dynamodb": config.dynamodb.model_copy(update={"table": name})}
    )
