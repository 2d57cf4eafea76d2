"""How Spark tells of its streaming queries: one listener a session, whichever jobs share that.

It is told outside of the query's thread, and nothing that happens here reaches the query.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Lock
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.streaming.listener import (
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

Hear = Callable[[Mapping[str, Any]], None]


class Heard:
    """What one job wants to hear of its queries; `ended` is set behind the last word of each."""

    def __init__(self, hear: Hear) -> None:
        self.hear = hear
        self.ended = Event()


class _Listener(StreamingQueryListener):
    def __init__(self) -> None:
        self.jobs: dict[str, Heard] = {}
        self._names: dict[str, str] = {}

    def onQueryStarted(self, event: QueryStartedEvent) -> None:
        """Spark waits for this one: note its name, and be off."""
        with suppress(Exception):
            name = event.name or ""
            self._names[str(event.runId)] = name
            if name in self.jobs:
                self.jobs[name].ended.clear()

    def onQueryProgress(self, event: QueryProgressEvent) -> None:
        with suppress(Exception):
            heard = self.jobs.get(event.progress.name or "")
            if heard:
                heard.hear(json.loads(event.progress.json))

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:
        with suppress(Exception):
            heard = self.jobs.get(self._names.pop(str(event.runId), ""))
            if heard:
                heard.ended.set()


# of each application, because a listener of PySpark's ends with its session
_listeners: dict[str, _Listener] = {}
_turn = Lock()


def listen(spark: SparkSession, job: str, hear: Hear) -> Heard:
    """Tell `hear` each micro-batch of the queries that have the job's name, until `unheard`."""
    with _turn:
        application = str(spark.sparkContext.applicationId)
        if application not in _listeners:
            listener = _Listener()
            spark.streams.addListener(listener)
            _listeners[application] = listener
    heard = Heard(hear)
    _listeners[application].jobs[job] = heard
    return heard


def unheard(spark: SparkSession, job: str) -> None:
    """Tell nobody of that job any more."""
    listener = _listeners.get(str(spark.sparkContext.applicationId))
    if listener:
        listener.jobs.pop(job, None)
