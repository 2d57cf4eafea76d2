"""Where signed heads are kept: one object each, never overwritten; a folder, or S3 Object Lock."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.config import BucketOfHeads, FolderOfHeads
from lakehouse.errors import HeadNotKeptError

_SUFFIX = ".json"
# somebody stored the name before, or does so now
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict")


class Heads(Protocol):
    """A place of heads, each under the number of its version."""

    def put(self, version: int, content: bytes) -> bytes:
        """Store a head where none is; what stands there then: this one, or the earlier one."""

    def get(self, version: int) -> bytes | None:
        """The head that was stored first under this number."""

    def versions(self) -> list[int]:
        """Every number that has a head, rising."""


def heads_of(settings: FolderOfHeads | BucketOfHeads) -> Heads:
    """The place that the config names.

    Its methods raise HeadNotKeptError where the place does not answer, or refuses.
    """
    if isinstance(settings, FolderOfHeads):
        return FolderHeads(Path(settings.location))
    return BucketHeads(settings)


class FolderHeads:
    """Files on this machine: whoever may write the folder could delete one, never sign another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, version: int, content: bytes) -> bytes:
        """Store a head where none is; what stands there then."""
        path = self._folder / _name_of(version)
        with _named(str(self._folder)):
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder) as partial:
                partial.write(content)
                partial.flush()
                os.fsync(partial.fileno())
                Path(partial.name).chmod(0o444)
                # a link never replaces, and a reader never sees half of it
                with suppress(FileExistsError):
                    os.link(partial.name, path)
            return path.read_bytes()

    def get(self, version: int) -> bytes | None:
        """The head of this number."""
        with _named(str(self._folder)), suppress(FileNotFoundError):
            return (self._folder / _name_of(version)).read_bytes()
        return None

    def versions(self) -> list[int]:
        """Every number that has a head."""
        return sorted(_numbers(path.name for path in self._folder.glob(f"*{_SUFFIX}")))


class BucketHeads:
    """Objects under Object Lock: what was stored first under a name cannot change or go."""

    def __init__(self, settings: BucketOfHeads) -> None:
        self._settings = settings
        self._prefix = f"{settings.prefix.strip('/')}/"
        self._place = f"s3://{settings.bucket}/{self._prefix}"
        # stubs of S3 are no part of the lock
        self._client: Any = boto3.client(
            "s3", endpoint_url=settings.endpoint_url, region_name=settings.region
        )

    def put(self, version: int, content: bytes) -> bytes:
        """Store a head where none is; what stands there then."""
        until = datetime.now(UTC) + timedelta(days=self._settings.lock_days)
        with _named(self._place):
            try:
                self._client.put_object(
                    Bucket=self._settings.bucket,
                    Key=self._prefix + _name_of(version),
                    Body=content,
                    IfNoneMatch="*",
                    ChecksumAlgorithm="SHA256",
                    ObjectLockMode="COMPLIANCE",
                    ObjectLockRetainUntilDate=until,
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in _TAKEN:
                    raise
        # behind a delete marker S3 takes another one: the first of all is the head
        return self.get(version) or content

    def get(self, version: int) -> bytes | None:
        """The head that was stored first under this number, whatever was laid over it."""
        key = self._prefix + _name_of(version)
        with _named(self._place):
            # S3 lists the versions of a key newest first
            stored = [each["VersionId"] for each in self._stored(key) if each["Key"] == key]
            if not stored:
                return None
            first = self._client.get_object(
                Bucket=self._settings.bucket, Key=key, VersionId=stored[-1]
            )
            return bytes(first["Body"].read())

    def versions(self) -> list[int]:
        """Every number that has a head, also where a delete marker hides it."""
        with _named(self._place):
            names = [each["Key"].removeprefix(self._prefix) for each in self._stored(self._prefix)]
        return sorted(set(_numbers(iter(names))))

    def _stored(self, prefix: str) -> Iterator[Any]:
        pages = self._client.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self._settings.bucket, Prefix=prefix):
            yield from page.get("Versions", [])


def _name_of(version: int) -> str:
    return f"{version:020d}{_SUFFIX}"


def _numbers(names: Iterator[str]) -> Iterator[int]:
    stems = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
    return (int(stem) for stem in stems if stem.isdigit())


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Tell a fault of the place by its name."""
    try:
        yield
    except (OSError, BotoCoreError, ClientError) as fault:
        raise HeadNotKeptError(place, str(fault) or type(fault).__name__) from fault
