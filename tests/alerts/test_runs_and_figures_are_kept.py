"""A run leaves a record and its figures, and `lakehouse runs` and `alerts` show them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.config import Config, FiguresInFile
from lakehouse.metrics.places import figures_in_file, figures_of, metered
from lakehouse.metrics.points import Metric, Point
from lakehouse.monitoring import configure_logging, log
from lakehouse.runs import JobRun, recorded, run_store_of
from tests.conftest import LOCAL

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def shown(*words: str) -> Any:
    result = CliRunner().invoke(app, [*words, "--config", str(LOCAL), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_failed_run_is_recorded_measured_and_alerted(config: Config) -> None:
    configure_logging()
    with (
        pytest.raises(ValueError, match="secret"),
        recorded(config, "enrich_live", "r1") as record,
        metered(config, "enrich_live"),
    ):
        log("enriched", job="enrich_live", rows=3, counts={"bronze.transactions REFUSED": 2})
        record.outputs["silver.live_transactions"] = "7"
        raise ValueError("a secret")
    (run,) = shown("runs")
    assert (run["outcome"], run["error"], run["outputs"]) == (
        "failed", "ValueError", {"silver.live_transactions": "7"},
    )  # fmt: skip
    figures, now = figures_of(config), datetime.now(UTC)
    hour = timedelta(hours=1)
    (refused,) = figures.stats(
        Metric.QUARANTINED, "bronze.transactions", now - hour, now + hour, 2 * hour
    )
    assert refused.total == 2
    assert figures.subjects(Metric.ALIVE) == ["enrich_live"]
    changes = shown("alerts", "check")["changes"]
    assert ("job_failed", "enrich_live") in {
        (c["episode"]["rule"], c["episode"]["subject"]) for c in changes
    }
    alerts = json.dumps(shown("alerts", "list"))
    assert "job_failed" in alerts and "a secret" not in alerts


def test_a_stream_of_weeks_that_failed_is_read_by_the_day_of_its_end(config: Config) -> None:
    runs, today = run_store_of(config), NOW.date()
    begun = JobRun(run_id="old", job="enrich_live", started_at=NOW - 20 * DAY)
    runs.put(begun)
    assert runs.since(today - 9 * DAY, today) == []
    failed = begun.model_copy(update={"ended_at": NOW, "outcome": "failed", "error": "ValueError"})
    again = JobRun(run_id="new", job="enrich_live", started_at=NOW)
    runs.put(failed)
    runs.put(again)
    assert runs.since(today - 9 * DAY, today) == [again, failed]
    # read in both of its days: one run, as it ended
    assert runs.since(today - 30 * DAY, today) == [again, failed]


def test_a_metric_of_another_release_hides_none_of_this_one(config: Config) -> None:
    assert isinstance(config.metrics.to, FiguresInFile)
    figures = figures_in_file(config, config.metrics.to)
    figures.send([Point(Metric.ALIVE, "enrich_live", NOW, {1.0: 1})])
    file = Path(config.lake.operations) / "metrics.sqlite"
    with closing(sqlite3.connect(file)) as store, store:
        store.execute("INSERT INTO points SELECT 'OnceThere', subject, minute, value FROM points")
    told = figures.newest(NOW - DAY)
    assert [(metric, subject) for metric, subject, *_ in told] == [(Metric.ALIVE, "enrich_live")]


def test_a_score_of_next_year_takes_no_figure_with_it(config: Config) -> None:
    figures = figures_of(config)
    table = "silver.live_scores"
    figures.send([Point(Metric.ALIVE, "enrich_live", NOW, {1.0: 1}),
                  Point(Metric.FRAUD_SCORE, table, NOW, {0.5: 1})])  # fmt: skip
    figures.send([Point(Metric.FRAUD_SCORE, table, NOW + 365 * DAY, {0.5: 1})])
    assert figures.subjects(Metric.ALIVE) == ["enrich_live"]
    span = (NOW - DAY, NOW + 366 * DAY, 400 * DAY)
    (scores,) = figures.stats(Metric.FRAUD_SCORE, table, *span)
    assert scores.count == 2
    figures.send([Point(Metric.ALIVE, "ingest_transactions", NOW + 400 * DAY, {1.0: 1})])
    assert figures.subjects(Metric.ALIVE) == ["ingest_transactions"]
    assert figures.subjects(Metric.FRAUD_SCORE) == [table]
