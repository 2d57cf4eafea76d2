"""Signed heads are never overwritten: in a folder, and in S3 under Object Lock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lakehouse.config import BucketOfHeads, FolderOfHeads
from lakehouse.errors import HeadNotKeptError
from lakehouse.heads import Heads, heads_of
from tests.s3_server import s3_server

BUCKET, LOCK_DAYS = "heads", 30


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A server that answers as S3 does, with a bucket under Object Lock."""
    with s3_server() as address:
        yield address


@pytest.fixture
def client(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")


@pytest.fixture
def bucket(client: Any, endpoint: str) -> BucketOfHeads:
    name = f"{BUCKET}-{len(client.list_buckets()['Buckets'])}"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return BucketOfHeads(
        store="s3", bucket=name, prefix="a/b", region="us-east-1", endpoint_url=endpoint,
        lock_days=LOCK_DAYS,
    )  # fmt: skip


@pytest.fixture(params=["folder", "s3"])
def heads(request: pytest.FixtureRequest, tmp_path: Path) -> Heads:
    if request.param == "folder":
        return heads_of(FolderOfHeads(store="folder", location=str(tmp_path / "heads")))
    return heads_of(request.getfixturevalue("bucket"))


def test_the_first_head_of_a_version_stays(heads: Heads) -> None:
    assert (heads.versions(), heads.get(3)) == ([], None)
    assert heads.put(12, b"twelve") == b"twelve"
    assert heads.put(3, b"three") == b"three"
    assert heads.put(3, b"another") == b"three"
    assert (heads.versions(), heads.get(3), heads.get(12)) == ([3, 12], b"three", b"twelve")


def test_an_object_is_locked_and_what_is_laid_over_it_hides_nothing(
    bucket: BucketOfHeads, client: Any
) -> None:
    heads = heads_of(bucket)
    heads.put(3, b"three")
    heads.put(3, b"another")
    assert len(client.list_object_versions(Bucket=bucket.bucket)["Versions"]) == 1
    (key,) = [each["Key"] for each in client.list_objects_v2(Bucket=bucket.bucket)["Contents"]]
    stored = client.head_object(Bucket=bucket.bucket, Key=key)
    assert stored["ObjectLockMode"] == "COMPLIANCE"
    kept_for = stored["ObjectLockRetainUntilDate"] - stored["LastModified"]
    assert kept_for.days >= LOCK_DAYS - 1
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket=bucket.bucket, Key=key, VersionId=stored["VersionId"])
    # a newer version, and a delete marker: S3 allows both
    client.put_object(Bucket=bucket.bucket, Key=key, Body=b"forged")
    assert heads.get(3) == b"three"
    client.delete_object(Bucket=bucket.bucket, Key=key)
    assert (heads.get(3), heads.versions()) == (b"three", [3])
    assert heads.put(3, b"again") == b"three"


def test_a_place_that_does_not_answer_is_named(
    bucket: BucketOfHeads, tmp_path: Path, client: Any
) -> None:
    nowhere = bucket.model_copy(update={"bucket": "no-such-bucket"})
    with pytest.raises(HeadNotKeptError, match=r"s3://no-such-bucket/a/b/.*NoSuchBucket"):
        heads_of(nowhere).put(1, b"one")
    (tmp_path / "file").write_text("no folder")
    blocked = FolderOfHeads(store="folder", location=str(tmp_path / "file"))
    with pytest.raises(HeadNotKeptError, match="file"):
        heads_of(blocked).put(1, b"one")
