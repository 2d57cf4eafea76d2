"""The run table: each run of each job, with what it read and wrote, how long, and its outcome.

Two records a run, each an object of its own below `{lake.root}/runs/date=YYYY-MM-DD/`: one at its
start, one at its end. Jobs run side by side, and a table has one writer; objects that nobody shares
need none. A run that was killed has the first record only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Outcome = Literal["running", "finished", "failed"]


class JobRun(BaseModel):
    """One run. Instants are UTC; versions are Delta's, by table; of a topic, offsets by partition.

    `error` is the class of the fault, never its text: that could name a record.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    job: str
    started_at: datetime
    ended_at: datetime | None = None
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


def standing(records: Iterable[JobRun]) -> list[JobRun]:
    """One record of each run, the last said, newest start first."""
    runs: dict[str, JobRun] = {}
    for record in records:
        known = runs.get(record.run_id)
        if known is None or known.ended_at is None:
            runs[record.run_id] = record
    return sorted(runs.values(), key=lambda run: (run.started_at, run.run_id), reverse=True)


def newest_of_each_job(runs: Iterable[JobRun]) -> dict[str, JobRun]:
    """The run that began last, by job."""
    newest: dict[str, JobRun] = {}
    for run in runs:
        if run.job not in newest or run.started_at > newest[run.job].started_at:
            newest[run.job] = run
    return newest
