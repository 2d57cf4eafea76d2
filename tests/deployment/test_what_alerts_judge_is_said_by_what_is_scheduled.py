"""A metric that nothing scheduled sends raises no alert: each one of conf/alerts.yaml has a job."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from lakehouse.deployment.access import STREAMS
from lakehouse.deployment.machines import DAY
from lakehouse.metrics.hearing import points_of
from lakehouse.metrics.points import Metric
from lakehouse.records.codes import ScoreSource
from silver.figures import points
from tests.conftest import ROOT

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
LINES: Sequence[tuple[str, str, Mapping[str, Any]]] = (
    ("enrich_live", "enriched", {"rows": 2, "counts": {
        "bronze.transactions NEW": 1, "bronze.transactions UNSCORED": 1,
        "bronze.transactions REFUSED": 1}}),
    ("load_drops", "drops", {"counts": {
        "loaded": 1, "bronze.drop_files ACCEPTED": 1, "bronze.drop_files REFUSED": 1}}),
    ("build_batch", "judged", {"counts": {"held transactions": 1}}),
    ("build_batch", "built", {"counts": {
        "bronze.drops_transactions ACCEPTED": 1, "bronze.drops_transactions REFUSED": 1}}),
    ("sync_dynamodb", "pushed", {"rows": 1, "counts": {}}),
    ("compare_serving", "sampled", {"counts": {"MISSING": 1}}),
    ("reconcile", "reconciled", {"counts": {"unexplained": 0}}),
)  # fmt: skip
"""Lines that jobs log, with the figures that alerts are judged by."""
OF_EACH_STREAM = frozenset({"ConsumerLag", "VersionsBehind"})
"""`lakehouse/metrics/meter.py` looks these up for whichever stream runs."""
JOBS: Mapping[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "entry-points"
]["lakehouse.jobs"]


def _judged() -> set[str]:
    rules = yaml.safe_load((ROOT / "conf" / "alerts.yaml").read_text())
    named = [rule for kind in ("thresholds", "spikes") for rule in rules[kind]]
    return {rule[key] for rule in named for key in ("metric", "share_of") if key in rule}


def _said(scheduled: set[str]) -> Iterator[str]:
    for job, event, fields in LINES:
        if job in scheduled:
            yield from (each.metric for each in points_of(event, {**fields, "job": job}, NOW))
    if scheduled & set(STREAMS):
        yield from OF_EACH_STREAM
    if "enrich_live" in scheduled:
        decided = {(ScoreSource.API, 12, False, NOW.timestamp()): 1}
        yield from (each.metric for each in points(decided, "silver.live_transactions", NOW))


def test_each_metric_that_is_judged_is_said_by_a_job_of_the_day_or_a_stream() -> None:
    assert not _judged() - set(_said({*DAY, *STREAMS}))


def test_a_metric_of_a_job_that_is_not_scheduled_is_missed() -> None:
    assert _judged() - set(_said({*DAY, *STREAMS} - {"compare_serving"})) == {"DriftedItems"}


def test_a_spike_of_refusals_is_judged_of_a_topic_of_files_and_of_rows_of_drops() -> None:
    told = {
        each.subject
        for job, event, fields in LINES
        for each in points_of(event, {**fields, "job": job}, NOW)
        if each.metric == Metric.QUARANTINED
    }
    assert told == {"bronze.transactions", "bronze.drop_files", "bronze.drops_transactions"}


@pytest.mark.parametrize("job, event", [line[:2] for line in LINES])
def test_the_layer_of_a_job_logs_its_line(job: str, event: str) -> None:
    layer = JOBS[job].partition(".")[0]
    sources = (path.read_text() for path in (ROOT / layer).glob("*.py"))
    assert any(f'("{event}", job=' in source for source in sources)
