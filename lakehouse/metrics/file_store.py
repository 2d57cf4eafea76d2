"""Figures on this machine: one SQLite file, that all processes of a lake share, bounded by days."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lakehouse.metrics.points import Metric, Point, Stat, merged

_PATIENCE_SECONDS = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
    metric TEXT NOT NULL, subject TEXT NOT NULL, minute INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (metric, subject, minute)
) WITHOUT ROWID
"""
_METRICS = frozenset(map(str, Metric))
_KEPT_LONGER = (str(Metric.FRAUD_SCORE), str(Metric.SUSPICIOUS_SCORES))


class FileOfFigures:
    """Points by metric, subject and minute; values of one minute add up.

    `keep_days` bounds the file; scores stay `keep_score_days`, to be compared with.
    """

    def __init__(self, path: Path, keep_days: int, keep_score_days: int) -> None:
        self._path, self._keep_days, self._keep_score_days = path, keep_days, keep_score_days

    def send(self, points: Sequence[Point]) -> int:
        """Add points, all or none. Drops what is older than it keeps.

        That is counted from the newest figure; scores have the time of their event, and may come of
        a clock that is wrong, so they count only while there is nothing else. It can take each: 0.
        """
        if not points:
            return 0
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as store:
            store.execute(_SCHEMA)
            for each in points:
                key = (str(each.metric), each.subject, _seconds(each.at))
                row = store.execute(
                    "SELECT value FROM points WHERE metric = ? AND subject = ? AND minute = ?", key
                ).fetchone()
                values = merged(_values(row[0]), each.values) if row else each.values
                text = json.dumps({str(value): times for value, times in values.items()})
                store.execute("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?)", (*key, text))
            self._forget(store)
        return 0

    def _forget(self, store: sqlite3.Connection) -> None:
        (newest,) = store.execute(
            "SELECT coalesce(max(minute) FILTER (WHERE metric NOT IN (?, ?)), max(minute)) "
            "FROM points", _KEPT_LONGER,
        ).fetchone()  # fmt: skip
        for comparison, days in (("NOT IN", self._keep_days), ("IN", self._keep_score_days)):
            store.execute(
                f"DELETE FROM points WHERE metric {comparison} (?, ?) AND minute < ?",
                (*_KEPT_LONGER, newest - days * 86_400),
            )

    def subjects(self, metric: Metric) -> list[str]:
        """Of which subjects it has values."""
        rows = self._rows("SELECT DISTINCT subject FROM points WHERE metric = ? ORDER BY 1", metric)
        return [subject for (subject,) in rows]

    def stats(
        self, metric: Metric, subject: str, since: datetime, until: datetime, each: timedelta
    ) -> list[Stat]:
        """Per span of `each` from `since` on, to `until` (exclusive); spans without values lack."""
        rows = self._rows(
            "SELECT minute, value FROM points "
            "WHERE metric = ? AND subject = ? AND minute >= ? AND minute < ? ORDER BY minute",
            metric, subject, _seconds(since), _seconds(until),
        )  # fmt: skip
        spans: dict[int, list[Mapping[float, int]]] = defaultdict(list)
        for minute, value in rows:
            spans[(minute - _seconds(since)) // int(each.total_seconds())].append(_values(value))
        return [
            Stat.of(since + number * each, _all(values)) for number, values in sorted(spans.items())
        ]

    def newest(self, since: datetime) -> list[tuple[Metric, str, datetime, Stat]]:
        """The newest minute of each metric of each subject, of those since then."""
        rows = self._rows(
            "SELECT metric, subject, max(minute), value FROM points WHERE minute >= ? "
            "GROUP BY metric, subject ORDER BY subject, metric", _seconds(since),
        )  # fmt: skip
        found = []
        # the file may hold metrics that another release has sent
        known = (row for row in rows if row[0] in _METRICS)
        for metric, subject, minute, value in known:
            at = datetime.fromtimestamp(minute, UTC)
            found.append((Metric(metric), subject, at, Stat.of(at, _values(value))))
        return found

    def _rows(self, question: str, *values: object) -> list[Any]:
        if not self._path.exists():
            return []
        with self._open() as store:
            store.execute(_SCHEMA)
            return store.execute(question, [str(v) if isinstance(v, Metric) else v
                                            for v in values]).fetchall()  # fmt: skip

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=_PATIENCE_SECONDS)) as store:
            # readers never wait for a writer; a figure that a dead machine forgets is no loss
            store.execute("PRAGMA journal_mode=WAL")
            store.execute("PRAGMA synchronous=NORMAL")
            with store:  # one transaction: committed, or rolled back by a fault
                store.execute("BEGIN")
                yield store


def _values(text: str) -> dict[float, int]:
    return {float(value): times for value, times in json.loads(text).items()}


def _all(values: Sequence[Mapping[float, int]]) -> dict[float, int]:
    total: dict[float, int] = defaultdict(int)
    for each in values:
        for value, times in each.items():
            total[value] += times
    return total


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
