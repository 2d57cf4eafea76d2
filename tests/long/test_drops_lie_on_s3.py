"""The same on an S3 prefix: Hadoop's own S3A, against a server that answers as S3 does."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from pyspark.sql import SparkSession

from lakehouse.cli.delivered import delivered_files
from lakehouse.config import Config
from lakehouse.delta import path_of
from lakehouse.records.codes import DropFault, Verdict
from lakehouse.tables import DROPS
from tests.bronze.landing_folder import a_row, csv
from tests.cli.processes import lakehouse
from tests.s3_server import s3_server, s3a_settings

BUCKET = "payments"
DAY = "money_events/date=2026-03-08"


@dataclass(frozen=True)
class S3Landing:
    """A bucket with a landing prefix."""

    endpoint: str
    client: Any

    def deliver(self, path: str, content: bytes = b"", storage: str = "STANDARD") -> None:
        """Put an object below the prefix."""
        key = f"landing/{path}"
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content, StorageClass=storage)

    def load(self, *words: str) -> None:
        """Run load_drops, or what `words` say, as a process that knows S3A."""
        overrides = {
            "LAKE__LANDING": f"s3a://{BUCKET}/landing",
            "SPARK__SETTINGS": json.dumps(s3a_settings(self.endpoint)),
        }
        ended = lakehouse(*(words or ("run", "load_drops")), overrides=overrides)
        assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.fixture
def landing() -> Iterator[S3Landing]:
    with s3_server() as endpoint:
        client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket=BUCKET)
        yield S3Landing(endpoint, client)


def test_a_prefix_is_loaded_corrected_and_released(
    landing: S3Landing, config: Config, spark: SparkSession
) -> None:
    landing.deliver(f"{DAY}/a.csv", csv("1,100,EUR,").encode())
    landing.deliver(f"{DAY}/b [1].csv.gz", gzip.compress(csv('2,1,EUR,"two\nlines"').encode()))
    landing.deliver(f"{DAY}/empty.csv")
    # access to its bytes is denied until somebody restores it
    landing.deliver(f"{DAY}/archived.csv", csv("4,100,EUR,").encode(), storage="GLACIER")
    landing.deliver("money_events/loose.csv", csv("5,100,EUR,").encode())
    landing.deliver(f"{DAY}/_SUCCESS")
    landing.deliver("money_events/date=2026-03-09/c.csv", csv("3,100,EUR,").encode())
    landing.load()
    files = {file.path: file for file in delivered_files(spark, config)}
    assert {path: file.verdict for path, file in files.items()} == {
        f"{DAY}/a.csv": "LOADED",
        f"{DAY}/b [1].csv.gz": "LOADED",
        f"{DAY}/empty.csv": "HELD",
        f"{DAY}/archived.csv": "HELD",
        "money_events/loose.csv": "HELD",
        "money_events/date=2026-03-09/c.csv": "WAITING",
    }

    archived = files[f"{DAY}/archived.csv"]
    assert archived.fault == DropFault.UNREADABLE and "InvalidObjectState" in (
        archived.reason or ""
    )
    assert files["money_events/loose.csv"].fault == DropFault.MISPLACED

    landing.deliver(f"{DAY}/archived.csv", csv("4,100,EUR,").encode())
    landing.client.delete_object(Bucket=BUCKET, Key="landing/money_events/loose.csv")
    landing.deliver(f"{DAY}/a.csv", csv("1,90,EUR,corrected").encode())
    landing.load("drops", "release", f"{DAY}/empty.csv", "--reason", "nothing was paid")
    rows = spark.read.format("delta").load(path_of(config, DROPS["money_events"]))
    found = sorted((row["path"], row["file_revision"], row["raw"]) for row in rows.collect())
    assert found == [
        (f"{DAY}/a.csv", 0, a_row("1,100,EUR,")),
        (f"{DAY}/a.csv", 1, a_row("1,90,EUR,corrected")),
        (f"{DAY}/archived.csv", 0, a_row("4,100,EUR,")),
        (f"{DAY}/b [1].csv.gz", 0, a_row('2,1,EUR,"two\nlines"')),
    ]
    files = {file.path: file for file in delivered_files(spark, config)}
    assert files["money_events/loose.csv"].verdict == Verdict.GONE
    released = files[f"{DAY}/empty.csv"]
    assert (released.verdict, released.release_reason) == ("LOADED", "nothing was paid")
