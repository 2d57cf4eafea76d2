"""Consolidation, history, maintenance and the audit on S3, checkpoints and all, by Hadoop's S3A."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from lakehouse.tables import WAITING_DAY
from tests.conftest import ROOT
from tests.s3_server import local_without_files, s3_server, s3a_settings

BUCKET, HEADS = "payments", "heads"


def test_gold_is_made_followed_audited_and_maintained_on_s3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with s3_server() as endpoint:
        client: Any = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        client.create_bucket(Bucket=HEADS, ObjectLockEnabledForBucket=True)
        run = subprocess.run(
            [sys.executable, "-m", "tests.long.gold_on_s3", str(_config(tmp_path, endpoint))],
            cwd=ROOT, capture_output=True, text=True, timeout=550, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr[-4000:]
        listed = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        keys = [each["Key"] for page in listed for each in page.get("Contents", [])]
    found = json.loads(run.stdout.splitlines()[-1])

    assert found["before"] == {
        "t-1": ["1100.00", None, "2026-03-08"], "t-2": ["1200.00", None, "2026-03-08"],
        "early": ["None", None, str(WAITING_DAY)],
    }  # fmt: skip
    assert found["after"]["t-1"][0] == "900.00"
    assert found["after"]["early"][1:] == ["SETTLED", "2026-03-08"]
    assert found["commits_of_nothing_new"] == 0
    assert found["decisions"] == [2, 2]
    assert found["rows_at_version_1"] == 3
    assert found["known_at_version_1"] == 2  # `early` waits for its payment
    assert found["changed_since"] == ["early", "t-1"]
    assert found["seen"] == ["gold.transactions", "silver.batch_transactions",
                             "silver.live_transactions"]  # fmt: skip
    assert found["states"] == [1, found["version_before_maintenance"]]
    assert {"gold.transactions", "gold.transaction_history"} <= set(found["maintained"])
    # nothing is older than the audit horizon, so nothing is deleted
    assert found["maintained"]["gold.transactions"][1] is False
    # two runs of record_history, two small files
    assert found["maintained"]["gold.transaction_history"] == [1, False]
    assert found["history_is_time_travel"]
    assert found["complete_through"] == found["version"]
    assert found["after_maintenance"] == found["after"]

    # nothing went to this machine: all of the lake is in the bucket
    assert found["gold"] == f"s3a://{BUCKET}/lake/tables/gold/transactions"
    assert any(key.startswith("lake/checkpoints/consolidate/commits/") for key in keys)
    assert not (tmp_path / "lake").exists()


def _config(folder: Path, endpoint: str) -> Path:
    """A lake and its heads in those buckets; two small files in a partition are many."""
    values = local_without_files(endpoint)
    values["lake"] = {"root": f"s3a://{BUCKET}/lake", "landing": f"s3a://{BUCKET}/landing"}
    values["spark"]["settings"] |= s3a_settings(endpoint)
    values["maintenance"]["small_files"] = 2
    values["lease"]["location"] = str(folder / "leases")
    values["history"] = {
        "signing_key": f"generated-file:{folder / 'history.key'}",
        "heads": {
            "store": "s3", "bucket": HEADS, "prefix": "gold", "region": "us-east-1",
            "endpoint_url": endpoint, "lock_days": 30,
        },
    }  # fmt: skip
    file = folder / "s3.yaml"
    file.write_text(yaml.safe_dump(values))
    return file
