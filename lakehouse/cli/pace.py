"""What `lakehouse up` shows: how fast each stream goes, what waits, how old the Live Index is."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from lakehouse.cli.progress import Arrivals, Told
from lakehouse.cli.streams import READ_BY_STREAM, how_many
from lakehouse.cli.terminal import Picture
from lakehouse.config import Config
from lakehouse.delta import path_of
from lakehouse.errors import ServiceError
from lakehouse.monitoring import told
from lakehouse.supervisor import MOST_FAILURES, Ending, Supervised
from lakehouse.tables import BRONZE_FRAUD_SCORES, BRONZE_TRANSACTIONS

_COLUMNS = ("stream", "state", "records/s", "lag", "micro-batch", "took (s)")
_TOPICS = (BRONZE_TRANSACTIONS, BRONZE_FRAUD_SCORES)
_SAID_BY_PICTURE = ("started", "enriched", "committed", "finished")


class Pace:
    """Follows the streams from picture to picture.

    `newest_version` says at which version the table at a path stands, `ends` up to which offset
    each partition of a topic is written.
    """

    def __init__(
        self,
        config: Config,
        newest_version: Callable[[str], int],
        ends: Callable[[str], Mapping[int, int]],
    ) -> None:
        self._root, self._newest_version, self._ends = config.lake.root, newest_version, ends
        self._interval = timedelta(seconds=config.trigger.interval_seconds)
        topics = config.kafka.topics
        self._topics = {
            "ingest_transactions": topics.transactions,
            "ingest_fraud_scores": topics.fraud_scores,
        }
        self._paths = [path_of(config, table) for table in READ_BY_STREAM["enrich_live"]]
        self._last: dict[str, Told] = {}
        self._arrivals = Arrivals()
        self._counts: Counter[str] = Counter()
        self._is_on_terminal = sys.stderr.isatty()

    def hear(self, event: str, fields: Mapping[str, Any]) -> bool:
        """Count what jobs log of their micro-batches; on a terminal the picture says it instead."""
        if event == "enriched":
            self._counts.update(fields["counts"])
            self._counts["pushed"] += fields["rows"]
        return self._is_on_terminal and event in _SAID_BY_PICTURE

    def picture(self, streams: Sequence[Supervised], ending: Ending) -> Picture:
        """How they go now: asks the queries, the broker and Delta's logs, and runs no query."""
        now = datetime.now(UTC)
        asked = {stream.name: _asked(stream) for stream in streams}
        self._last |= {name: tells for name, tells in asked.items() if tells}
        # behind the queries: a version that they had not told of yet makes none younger
        newest = {path: self._newest_version(path) for path in self._paths}
        age = self._age(asked, newest, now)
        rows = [self._row(stream, asked[stream.name], newest, ending) for stream in streams]
        goes = [f"{name} {_number(rate)}/s, {lag} behind" for name, _, rate, lag, *_ in rows]
        index = f"Live Index: has all that arrived up to {_number(age)} s ago"
        return Picture(
            f"lakehouse up: {self._root}",
            _COLUMNS,
            rows,
            [index, self._counted(), *_faults(streams), _end_of(streams, ending)],
            "; ".join([*goes, index, self._counted(), *_faults(streams)]),
        )

    def _row(
        self, stream: Supervised, tells: Told | None, newest: Mapping[str, int], ending: Ending
    ) -> list[Any]:
        state: str = stream.state
        if ending.asked and not stream.ended():
            state = "stopping"
        if tells is None:
            last = self._last.get(stream.name)
            return [stream.name, state, None, "-", last and last.batch, last and last.seconds]
        if stream.name in self._topics:
            lag = self._records_behind(self._topics[stream.name], tells)
        else:
            lag = _versions_behind(tells, newest)
        return [stream.name, state, round(tells.rate, 1), lag, tells.batch, tells.seconds]

    def _records_behind(self, topic: str, tells: Told) -> str:
        if tells.progress is None:
            return how_many(0, "record") if tells.has_all else "-"
        landed = tells.landed()
        try:
            end = self._ends(topic)
        except ServiceError:
            return "no broker"
        behind = sum(max(0, offset - landed.get(partition, 0)) for partition, offset in end.items())
        return how_many(behind, "record")

    def _age(
        self, asked: Mapping[str, Told | None], newest: Mapping[str, int], now: datetime
    ) -> float | None:
        """Seconds since the last instant up to which all payments that arrived can be looked up."""
        payments = self._paths[0]
        ingestion, enrichment = asked.get("ingest_transactions"), asked.get("enrich_live")
        if ingestion is not None:
            self._arrivals.note(newest[payments], ingestion.landed_through(now, self._interval))
        if enrichment is None:
            return None
        through = self._arrivals.through(enrichment.next_version(payments))
        return round((now - through).total_seconds(), 1) if through else None

    def _counted(self) -> str:
        def standing(*names: str) -> int:
            return sum(self._counts[f"{table.name} {name}"] for table in _TOPICS for name in names)

        payments = BRONZE_TRANSACTIONS.name
        return (
            f"since the start: {self._counts[f'{payments} NEW']} payment events decided "
            f"({self._counts[f'{payments} UNSCORED']} without a score), "
            f"{standing('DUPLICATE')} duplicates, {standing('REFUSED', 'CONFLICT')} in quarantine, "
            f"{self._counts['pushed']} items pushed"
        )


def _asked(stream: Supervised) -> Told | None:
    query = stream.query
    # it may end while it is asked
    with suppress(Exception):
        return Told.by(query) if query is not None else None
    return None


def _versions_behind(tells: Told, newest: Mapping[str, int]) -> str:
    if tells.progress is None:
        return "-"
    reached = {path: tells.next_version(path) for path in newest}
    # version 0 creates a table and holds no row
    behind = sum(max(0, version + 1 - (reached[path] or 1)) for path, version in newest.items())
    return how_many(behind, "version")


def _faults(streams: Sequence[Supervised]) -> list[str]:
    return [
        f"{stream.name} failed ({stream.failures} of {MOST_FAILURES} times): {told(stream.fault)}"
        for stream in streams
        if stream.fault and stream.failures
    ]


def _end_of(streams: Sequence[Supervised], ending: Ending) -> str:
    if all(stream.ended() for stream in streams):
        return "all streams have ended"
    if ending.asked:
        return "ends behind the micro-batches under way; Ctrl-C again ends it at once"
    return "Ctrl-C ends it"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
