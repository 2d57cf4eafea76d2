"""The run table: each run of each job, with what it read and wrote, how long, and its outcome.

One object a run, below `{lake.root}/operations/runs/date=YYYY-MM-DD/` (the UTC day of its start),
written at its start and in its place again at its end. A run that ended on another day stands below
that one too: a stream may have begun before the days that anybody reads. Jobs run side by side, and
a table has one writer; objects that nobody shares need no such thing. The object of a killed run
says `running`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol, Self
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from lakehouse.config import Config

Outcome = Literal["running", "finished", "failed"]


class JobRun(BaseModel):
    """One run. Instants are UTC; versions are Delta's, by table; of a topic, offsets by partition.

    `error` is the class of the fault, never its text: that could name a record.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    job: str
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    outcome: Outcome = "running"
    error: str | None = None
    inputs: Mapping[str, str] = Field(default_factory=dict)
    outputs: Mapping[str, str] = Field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else None

    @classmethod
    def read(cls, text: str) -> Self:
        """From its record."""
        return cls.model_validate_json(text)


@dataclass(frozen=True)
class Recorded:
    """A run under way: its id, and what it notes of the versions that it read and wrote.

    An input is the version of its first read; of a stream, and of a change feed, all that was read:
    `12-57`. Of a topic it is the offsets, by partition. `stood` are the versions of tables before
    the run committed to them for the first time, -1 of one that was not there.
    """

    run_id: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    stood: dict[str, int] = field(default_factory=dict)


@contextmanager
def recorded(config: Config, job: str, run_id: str) -> Iterator[Recorded]:
    """Record a run at its start and at its end. A record that cannot be written fails no run."""
    notes = Recorded(run_id)
    begun = JobRun(run_id=notes.run_id, job=job, started_at=datetime.now(UTC))
    _put(config, begun)
    outcome, error = "failed", None
    try:
        yield notes
        outcome = "finished"
    except BaseException as fault:
        error = type(fault).__name__
        raise
    finally:
        news = {
            "ended_at": datetime.now(UTC), "outcome": outcome, "error": error,
            "inputs": dict(notes.inputs), "outputs": dict(notes.outputs),
        }  # fmt: skip
        _put(config, begun.model_copy(update=news))


def _put(config: Config, run: JobRun) -> None:
    with suppress(Exception):
        run_store_of(config).put(run)


def newest_of_each_job(runs: Iterable[JobRun]) -> dict[str, JobRun]:
    """The run that began last, by job."""
    newest: dict[str, JobRun] = {}
    for run in runs:
        if run.job not in newest or run.started_at > newest[run.job].started_at:
            newest[run.job] = run
    return newest


def last_ended_of_each_job(runs: Iterable[JobRun]) -> dict[str, JobRun]:
    """The run that began last of those that have ended, by job."""
    return newest_of_each_job(run for run in runs if run.ended_at is not None)


class RunStore(Protocol):
    """Runs by the day of their start."""

    def put(self, run: JobRun) -> None:
        """Write a run, in place of what it said before."""

    def since(self, first: date, last: date) -> list[JobRun]:
        """Runs that began or ended on these UTC days, both inclusive; the last begun first."""


def run_store_of(config: Config) -> RunStore:
    """The place of a lake's runs."""
    place = f"{config.lake.operations}/runs"
    return BucketOfRuns(place) if "://" in place else FolderOfRuns(Path(place))


class FolderOfRuns:
    """Files on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, run: JobRun) -> None:
        """Write a run, in place of what it said before; a reader never sees half of it."""
        for name in _names_of(run):
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_text(run.model_dump_json(), encoding="utf-8")
            os.replace(partial, path)  # noqa: PTH105  both are of one folder

    def since(self, first: date, last: date) -> list[JobRun]:
        """Runs that began or ended on these UTC days, both inclusive; the last begun first."""
        texts = (
            path.read_text(encoding="utf-8")
            for day in _days(first, last)
            for path in (self._folder / f"date={day}").glob("*.json")
        )
        return _read(texts)


class BucketOfRuns:
    """Objects of S3."""

    def __init__(self, place: str) -> None:
        # a tenth of a second to import, and a laptop has no use for it
        import boto3

        address = urlsplit(place)
        self._bucket, self._prefix = address.netloc, address.path.strip("/")
        # stubs of S3 are no part of the lock
        self._client: Any = boto3.client("s3")

    def put(self, run: JobRun) -> None:
        """Write a run, in place of what it said before."""
        body = run.model_dump_json().encode()
        for name in _names_of(run):
            key = f"{self._prefix}/{name}"
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body)

    def since(self, first: date, last: date) -> list[JobRun]:
        """Runs that began or ended on these UTC days, both inclusive; the last begun first."""
        pages = self._client.get_paginator("list_objects_v2")
        keys = [
            each["Key"]
            for day in _days(first, last)
            for page in pages.paginate(Bucket=self._bucket, Prefix=f"{self._prefix}/date={day}/")
            for each in page.get("Contents", [])
        ]
        bodies = (self._client.get_object(Bucket=self._bucket, Key=key)["Body"] for key in keys)
        return _read(body.read().decode() for body in bodies)


def _names_of(run: JobRun) -> list[str]:
    instants = (run.started_at, run.ended_at or run.started_at)
    days = dict.fromkeys(f"{at.astimezone(UTC):%Y-%m-%d}" for at in instants)
    return [f"date={day}/{run.job}-{run.run_id}.json" for day in days]


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _read(texts: Iterable[str]) -> list[JobRun]:
    runs: dict[str, JobRun] = {}
    for text in texts:
        try:
            run = JobRun.read(text)
        except ValidationError:
            continue  # of another release: it is no reason to show none
        # of a run that ends meanwhile the first of two records may be the older
        if run.run_id not in runs or run.ended_at is not None:
            runs[run.run_id] = run
    return sorted(runs.values(), key=lambda run: (run.started_at, run.run_id), reverse=True)
