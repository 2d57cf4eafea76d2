"""Gold on S3, its heads in a bucket with Object Lock: recorded and proven by Hadoop's own S3A."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from pyspark.sql import SparkSession

from lakehouse.config import Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.delta import path_of
from lakehouse.lease import held_lease
from lakehouse.tables import GOLD_TRANSACTIONS
from tests.cli.processes import lakehouse
from tests.conftest import NOON
from tests.faults.world import FIRST_SEED
from tests.gold.busy import busy
from tests.s3_server import local_without_files, s3_server, s3a_settings

BUCKET, HEADS = "payments", "heads"
GOLD = "lake/tables/gold/transactions"


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A server that answers as S3 does."""
    with s3_server() as address:
        yield address


@pytest.fixture
def client(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    client.create_bucket(Bucket=HEADS, ObjectLockEnabledForBucket=True)
    return client


@pytest.fixture
def on_s3(
    endpoint: str, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, ...]:
    """`--config` of a lake and its heads in those buckets."""
    for name in ("LAKE__ROOT", "HISTORY__HEADS__LOCATION"):
        monkeypatch.delenv(f"LAKEHOUSE__{name}")
    values = local_without_files(endpoint)
    values["lake"]["root"] = f"s3a://{BUCKET}/lake"
    values["spark"]["settings"] |= s3a_settings(endpoint)
    values["history"]["heads"] = {
        "store": "s3", "bucket": HEADS, "prefix": "gold", "region": "us-east-1",
        "endpoint_url": endpoint, "lock_days": 30,
    }  # fmt: skip
    file = tmp_path / "s3.yaml"
    file.write_text(yaml.safe_dump(values))
    return "--config", str(file)


def test_a_changed_byte_of_an_object_is_found(
    config: Config, spark: SparkSession, client: Any, on_s3: tuple[str, ...]
) -> None:
    # written here and copied byte by byte: a process of its own for each commit takes too long
    with held_lease(config, "consolidate") as lease:
        gold = Lakehouse(config, spark, "consolidate", Trigger("once", 1), lease, lambda: NOON)
        busy(gold, random.Random(FIRST_SEED), merges=4)
    folder = Path(path_of(config, GOLD_TRANSACTIONS))
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix != ".crc":
            key = f"{GOLD}/{file.relative_to(folder)}"
            client.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())

    recorded = lakehouse("run", "record_history", *on_s3)
    assert recorded.returncode == 0, recorded.stderr[-2000:]
    (head,) = client.list_objects_v2(Bucket=HEADS)["Contents"]
    assert client.head_object(Bucket=HEADS, Key=head["Key"])["ObjectLockMode"] == "COMPLIANCE"
    sound = lakehouse("prove", "history", "--json", *on_s3)
    assert sound.returncode == 0, sound.stderr[-2000:]
    assert json.loads(sound.stdout)["files"] > 1

    listed = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{GOLD}/event_date=")["Contents"]
    key = next(each["Key"] for each in listed if each["Key"].endswith(".parquet"))
    content = bytearray(client.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    content[len(content) // 2] ^= 1
    client.put_object(Bucket=BUCKET, Key=key, Body=bytes(content))
    broken = lakehouse("prove", "history", *on_s3)
    assert broken.returncode == 1
    path = key.removeprefix(f"{GOLD}/")
    assert f"added {path}, which holds other bytes now" in broken.stdout
