"""What Spark tells of a micro-batch, as figures: pure, over the JSON of a query's progress."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from lakehouse.intervals import told
from lakehouse.metrics.points import Metric, Point, point

Progress = Mapping[str, Any]
"""One micro-batch, as `StreamingQueryProgress.json` says it."""

_Offsets = Mapping[str, Mapping[str, int]]  # of a topic, by partition


def begun_at(progress: Progress, starting: Mapping[str, Mapping[int, int]]) -> Progress:
    """The same micro-batch; of a new checkpoint it does not say where a topic began, but we do.

    `starting` has the first offset of each partition, by topic.
    """
    return {**progress, "sources": [_begun(source, starting) for source in progress["sources"]]}


def _begun(
    source: Mapping[str, Any], starting: Mapping[str, Mapping[int, int]]
) -> Mapping[str, Any]:
    if not _is_topic(source) or source["startOffset"]:
        return source
    known = {t: _by_text(starting[t]) for t in source["endOffset"] if t in starting}
    return {**source, "startOffset": known}


def _by_text(offsets: Mapping[int, int]) -> dict[str, int]:
    return {str(partition): offset for partition, offset in offsets.items()}


def points_of_progress(progress: Progress, job: str, now: datetime) -> list[Point]:
    """Records, duration, and what waits in each partition of a topic.

    `numInputRows` of a topic would count what a micro-batch reads twice, so records of a topic are
    counted by their offsets: markers of transactions are among them.
    """
    seconds = progress["durationMs"].get("triggerExecution", 0) / 1000
    records = sum(_records(source) for source in progress["sources"])
    found = [
        point(Metric.RECORDS_IN, job, now, records),
        point(Metric.BATCH_SECONDS, job, now, seconds),
    ]
    if seconds:
        found.append(point(Metric.RECORDS_PER_SECOND, job, now, round(records / seconds, 3)))
    for source in progress["sources"]:
        for partition, waiting in _waiting(source):
            found.append(point(Metric.CONSUMER_LAG, f"{job}/{partition}", now, waiting))
    return found


def _records(source: Mapping[str, Any]) -> int:
    end = source["endOffset"]
    if not _is_topic(source):
        return int(source["numInputRows"])
    start: _Offsets = source["startOffset"] or {}
    return sum(
        offset - start.get(topic, {}).get(partition, 0)
        for topic, offsets in end.items()
        for partition, offset in offsets.items()
    )


def _waiting(source: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The end at the broker, as it was when the micro-batch began, minus what is processed."""
    if not _is_topic(source):
        return
    latest: _Offsets = source["latestOffset"] or {}
    for topic, offsets in latest.items():
        for partition, end in offsets.items():
            done = source["endOffset"].get(topic, {}).get(partition, 0)
            yield partition, max(0, end - done)


def _is_topic(source: Mapping[str, Any]) -> bool:
    return str(source["description"]).startswith("KafkaV2") and bool(source["endOffset"])


def next_versions(progress: Progress | None) -> dict[str, int]:
    """Of each Delta table that a stream reads, by its path: the next version that it will read."""
    return {
        _path(source): int(source["endOffset"]["reservoirVersion"])
        for source in (progress or {"sources": []})["sources"]
        if isinstance(source["endOffset"], Mapping) and "reservoirVersion" in source["endOffset"]
    }


def processed(progress: Progress | None) -> dict[str, dict[int, int]]:
    """Of each topic that a stream reads: the next offset of each partition."""
    return {
        topic: {int(partition): offset for partition, offset in offsets.items()}
        for source in (progress or {"sources": []})["sources"]
        if _is_topic(source)
        for topic, offsets in source["endOffset"].items()
    }


def read_through(progress: Sequence[Progress]) -> dict[str, str]:
    """What a stream has read from the first of these micro-batches to the last, by its inputs.

    Versions of tables by their names; offsets of `topic NAME` by partition; both ends inclusive.
    """
    if not progress:
        return {}
    found = {}
    for first, last in zip(progress[0]["sources"], progress[-1]["sources"], strict=True):
        start, end = first["startOffset"] or {}, last["endOffset"] or {}
        if _is_topic(last):
            for topic, offsets in end.items():
                own = start.get(topic, {})
                found[f"topic {topic}"] = ", ".join(
                    f"{partition}: {told(own.get(partition, 0), offset - 1)}"
                    for partition, offset in sorted(offsets.items())
                )
        elif isinstance(end, Mapping) and "reservoirVersion" in end:
            begun = int(start.get("reservoirVersion", 0))
            found[_table(_path(last))] = told(begun, int(end["reservoirVersion"]) - 1)
    return found


def _path(source: Mapping[str, Any]) -> str:
    return str(source["description"]).partition("[")[2].rstrip("]")


def _table(path: str) -> str:
    return ".".join(path.rstrip("/").split("/")[-2:])
