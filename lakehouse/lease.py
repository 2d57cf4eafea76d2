"""One writer per table: a lease with a fencing token, per job (a job owns its tables).

Delta checks no token. A run that loses its lease between `check` and the commit that follows
can still commit: the window is that one commit. What comes of it:

- Bronze: rows are there twice; Silver drops them, and `lakehouse prove offsets` names them.
- Silver: rows are there twice, under the same identity and revision; Gold folds them once.
- Gold, its history and its chain: nothing. Such a commit takes the turn behind the one that was the
  last when its run began to read; Delta skips it if another commit has taken that turn since,
  whatever either has read, and the run fails (`delta.behind_turn`).

On S3 two writers can put one and the same version: there the lease alone keeps the second one out.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random

from lakehouse.config import Config, DynamoDbSettings
from lakehouse.errors import LeaseHeldError, LeaseLostError


class Lease(Protocol):
    """A held lease."""

    token: int

    def check(self) -> None:
        """Raise LeaseLostError unless this run still holds the lease."""


@contextmanager
def held_lease(config: Config, name: str, holder: str = "") -> Iterator[Lease]:
    """Hold the lease `name` while the block runs; `holder` says who, where that is another job.

    Raises:
        LeaseHeldError: another live run holds it.
    """
    if config.lease.store == "file":
        with _file_lease(Path(config.lease.location), name, _owner(holder)) as lease:
            yield lease
    else:
        with _dynamodb_lease(config, name, _owner(holder)) as lease:
            yield lease


@contextmanager
def awaited_lease(config: Config, name: str, holder: str = "") -> Iterator[Lease]:
    """Hold a lease that others hold for moments only: wait for it, `lease.seconds` at most.

    Raises:
        LeaseHeldError: it is still held then.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(LeaseHeldError),
        stop=stop_after_delay(config.lease.seconds),
        wait=wait_random(0.05, 0.5),
        reraise=True,
    )
    with ExitStack() as held:
        yield attempts(lambda: held.enter_context(held_lease(config, name, holder)))


def _owner(holder: str) -> str:
    process = f"process {os.getpid()} on {socket.gethostname()}"
    return f"{holder}, {process}" if holder else process


class FileLease:
    """A lock file: the kernel frees it when its process dies."""

    def __init__(self, name: str, token: int, path: Path) -> None:
        self.name, self.token, self._path = name, token, path

    def check(self) -> None:
        """Raise LeaseLostError if the lock file was removed or carries another token."""
        recorded = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        if recorded.partition(" ")[0] != str(self.token):
            raise LeaseLostError(self.name, self.token)


@contextmanager
def _file_lease(folder: Path, name: str, owner: str) -> Iterator[FileLease]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.lease"
    with path.open("a+", encoding="utf-8") as handle:
        _lock_or_refuse(handle, name)
        handle.seek(0)
        token = int(handle.read().partition(" ")[0] or 0) + 1
        handle.truncate(0)
        handle.write(f"{token} {owner}")
        handle.flush()
        yield FileLease(name, token, path)


def _lock_or_refuse(handle: IO[str], name: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        raise LeaseHeldError(name, handle.read().partition(" ")[2] or "another process") from None


class DynamoDbLease:
    """An item `{name, token, owner, expires_at}`, taken and renewed by conditional writes."""

    def __init__(self, table: Any, name: str, seconds: int, owner: str) -> None:
        self.name, self._table, self._seconds = name, table, seconds
        self.token = self._take(owner)
        self._lost = threading.Event()
        self._released = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name=f"lease-{name}", daemon=True)
        self._renewer.start()

    def check(self) -> None:
        """Raise LeaseLostError unless the stored token is still this run's."""
        item = self._table.get_item(Key={"name": self.name}, ConsistentRead=True).get("Item", {})
        if self._lost.is_set() or item.get("token") != self.token or item["expires_at"] < _now():
            raise LeaseLostError(self.name, self.token)

    def release(self) -> None:
        """Free the lease for the next run; its token stays, so that the next one is greater."""
        self._released.set()
        self._renewer.join()
        with suppress(ClientError):
            self._extend(until=0)

    def _take(self, owner: str) -> int:
        item = self._table.get_item(Key={"name": self.name}, ConsistentRead=True).get("Item", {})
        token = int(item.get("token", 0))
        try:
            self._table.put_item(
                Item={
                    "name": self.name,
                    "token": token + 1,
                    "owner": owner,
                    "expires_at": _now() + self._seconds,
                },
                ConditionExpression=(
                    "attribute_not_exists(#n) OR (#t = :seen AND expires_at < :now)"
                ),
                ExpressionAttributeNames={"#n": "name", "#t": "token"},
                ExpressionAttributeValues={":seen": token, ":now": _now()},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            raise LeaseHeldError(self.name, str(item.get("owner", "another process"))) from None
        return token + 1

    def _extend(self, until: int) -> None:
        self._table.update_item(
            Key={"name": self.name},
            UpdateExpression="SET expires_at = :until",
            ConditionExpression="#t = :mine",
            ExpressionAttributeNames={"#t": "token"},
            ExpressionAttributeValues={":until": until, ":mine": self.token},
        )

    def _renew(self) -> None:
        while not self._released.wait(self._seconds / 3):
            try:
                self._extend(until=_now() + self._seconds)
            except ClientError as error:
                if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                    self._lost.set()
                    return
            except BotoCoreError:
                # no answer: try again while the lease lasts; `check` sees it when it is over
                continue


@contextmanager
def _dynamodb_lease(config: Config, name: str, owner: str) -> Iterator[DynamoDbLease]:
    table = _lease_table(config.dynamodb, config.lease.location)
    lease = DynamoDbLease(table, name, config.lease.seconds, owner)
    try:
        yield lease
    finally:
        lease.release()


def _lease_table(settings: DynamoDbSettings, name: str) -> Any:
    resource = boto3.resource(
        "dynamodb", endpoint_url=settings.endpoint_url, region_name=settings.region
    )
    return resource.Table(name)


def _now() -> int:
    return int(time.time())
