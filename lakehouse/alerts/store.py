"""Where episodes are kept, each with what channels have not heard of it yet.

An episode and its unsent messages are one record, written at once: there is no moment in which an
alert is known and its message is lost, and no transaction over two tables is needed. The one
writer is `lakehouse alerts check`, under the lease `alerts`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict

from lakehouse.alerts.episodes import Change, Episode, Event
from lakehouse.config import Config
from lakehouse.errors import AlertStoreError

_KEPT = timedelta(days=400)
_PATIENCE_SECONDS = 10.0


class Record(BaseModel):
    """An episode, and by channel the changes of it that are still to be told, oldest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    episode: Episode
    unsent: Mapping[str, tuple[Change, ...]] = {}

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will come of it."""
        return self.episode.resolved_at is not None and not any(self.unsent.values())

    def after(self, change: Change, channels: Sequence[str]) -> Record:
        """With a change: queued for channels, where an update replaces an unsent one."""
        unsent = dict(self.unsent)
        for channel in channels if change.is_told else ():
            waiting = unsent.get(channel, ())
            if waiting and change.event == waiting[-1].event == Event.UPDATED:
                waiting = waiting[:-1]
            unsent[channel] = (*waiting, change)
        return Record(episode=change.episode, unsent=unsent)

    def sent(self, channel: str, change: Change) -> Record:
        """Without a change that a channel has heard."""
        left = tuple(each for each in self.unsent.get(channel, ()) if each != change)
        return self.model_copy(update={"unsent": {**self.unsent, channel: left}})


class AlertStore(Protocol):
    """Records by the id of their episode. One in DynamoDB raises AlertStoreError."""

    def unsettled(self) -> list[Record]:
        """Open ones, and those of which something is still to be told; oldest first."""

    def newest(self, limit: int) -> list[Record]:
        """The last that were opened, newest first."""

    def put(self, record: Record) -> None:
        """Write one, in place of what stood there."""


def store_of(config: Config) -> AlertStore:
    """The store that the config names."""
    if config.alerts.store == "file":
        return FileOfAlerts(Path(config.lake.operations) / "alerts.sqlite")
    return TableOfAlerts(config)


class FileOfAlerts:
    """A SQLite file on this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def unsettled(self) -> list[Record]:
        """Open ones, and those of which something is still to be told; oldest first."""
        return self._records("WHERE NOT settled ORDER BY opened_at, id")

    def newest(self, limit: int) -> list[Record]:
        """The last that were opened, newest first."""
        return self._records("ORDER BY opened_at DESC, id LIMIT ?", limit)

    def put(self, record: Record) -> None:
        """Write one, in place of what stood there."""
        episode = record.episode
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as store:
            store.execute(
                "INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?)",
                (
                    episode.id,
                    episode.opened_at.isoformat(),
                    record.is_settled,
                    record.model_dump_json(),
                ),
            )

    def _records(self, clause: str, *values: object) -> list[Record]:
        if not self._path.exists():
            return []
        with self._open() as store:
            rows = store.execute(f"SELECT record FROM alerts {clause}", values).fetchall()
        return [Record.model_validate_json(row[0]) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=_PATIENCE_SECONDS)) as store, store:
            store.execute(
                "CREATE TABLE IF NOT EXISTS alerts (id TEXT PRIMARY KEY, opened_at TEXT NOT NULL, "
                "settled INTEGER NOT NULL, record TEXT NOT NULL)"
            )
            yield store


class TableOfAlerts:
    """A DynamoDB table with the key `id`; settled ones expire by `expires_at`.

    Alerts are few: a look at all of them is a page or two.
    """

    def __init__(self, config: Config) -> None:
        resource = boto3.resource(
            "dynamodb",
            endpoint_url=config.dynamodb.endpoint_url,
            region_name=config.dynamodb.region,
        )
        self._name = config.alerts.table or ""
        self._table: Any = resource.Table(self._name)

    def unsettled(self) -> list[Record]:
        """Open ones, and those of which something is still to be told; oldest first."""
        records = [record for record in self._all() if not record.is_settled]
        return sorted(records, key=_age)

    def newest(self, limit: int) -> list[Record]:
        """The last that were opened, newest first."""
        return sorted(self._all(), key=_age, reverse=True)[:limit]

    def put(self, record: Record) -> None:
        """Write one, in place of what stood there."""
        episode = record.episode
        item: dict[str, Any] = {"id": episode.id, "record": record.model_dump_json()}
        if record.is_settled and episode.resolved_at:
            item["expires_at"] = int((episode.resolved_at + _KEPT).timestamp())
        with self._named():
            self._table.put_item(Item=item)

    def _all(self) -> list[Record]:
        with self._named():
            page = self._table.scan(ConsistentRead=True)
            items = page["Items"]
            while "LastEvaluatedKey" in page:
                following = page["LastEvaluatedKey"]
                page = self._table.scan(ConsistentRead=True, ExclusiveStartKey=following)
                items += page["Items"]
        return [Record.model_validate_json(item["record"]) for item in items]

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except ClientError as fault:
            raise AlertStoreError(self._name, fault.response["Error"]["Code"]) from fault
        except BotoCoreError as fault:
            raise AlertStoreError(self._name, type(fault).__name__) from fault


def _age(record: Record) -> tuple[str, str]:
    return record.episode.opened_at.isoformat(), record.episode.id
