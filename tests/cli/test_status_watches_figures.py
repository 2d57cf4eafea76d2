"""`lakehouse status --watch` shows what jobs have sent, without Spark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.cli.watching import figures_picture, watch
from lakehouse.config import Config, FiguresInCloudWatch
from lakehouse.errors import ConfigError
from lakehouse.metrics.file_store import FileOfFigures
from lakehouse.metrics.places import figures_of
from lakehouse.metrics.points import Metric, Point, point
from lakehouse.runs import JobRun
from tests.conftest import LOCAL, NOON


def test_each_job_and_table_has_a_line_of_its_newest_minute(tmp_path: Path) -> None:
    figures = FileOfFigures(tmp_path / "m.sqlite", keep_days=8, keep_score_days=35)
    table = "silver.live_transactions"
    figures.send([
        point(Metric.RECORDS_IN, "enrich_live", NOON - timedelta(minutes=1), 99),
        point(Metric.RECORDS_IN, "enrich_live", NOON, 5),
        point(Metric.RECORDS_IN, "enrich_live", NOON, 7),
        point(Metric.ALIVE, "enrich_live", NOON, 1),
        point(Metric.CONSUMER_LAG, "ingest_transactions/0", NOON, 12),
        Point(Metric.FRESHNESS_SECONDS, table, NOON, {1.0: 9, 11.0: 1}),
    ])  # fmt: skip
    run = JobRun(
        run_id="r1", job="enrich_live", started_at=NOON, ended_at=NOON + timedelta(seconds=2),
        outcome="failed", error="DynamoDbError",
    )  # fmt: skip
    newest = figures.newest(NOON - timedelta(hours=1))
    picture = figures_picture("/lake", [run], newest, NOON)
    assert [list(row) for row in picture.rows] == [
        ["enrich_live", "failed in 2.0 s: DynamoDbError", NOON, "RecordsIn 12"],
        ["ingest_transactions/0", None, NOON, "ConsumerLag 12"],
        [table, None, NOON, "FreshnessSeconds 2 (p95 11)"],
    ]
    assert "enrich_live: RecordsIn 12" in picture.line
    assert figures_picture("/lake", [], [], NOON).line == "no figures yet: run a job"


class Enough(Exception):
    """Somebody looked long enough."""


def test_it_shows_the_lakes_own_file_until_it_is_ended(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    figures_of(config).send([point(Metric.RECORDS_IN, "a_job", datetime.now(UTC), 4)])

    def pause(_: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        watch(config, pause)
    assert "a_job: RecordsIn 4" in capsys.readouterr().err


def test_figures_elsewhere_are_not_shown_here(config: Config) -> None:
    away = FiguresInCloudWatch(
        store="cloudwatch", namespace="L", dimensions={}, region="eu-central-1", endpoint_url=None
    )
    elsewhere = config.model_copy(
        update={"metrics": config.metrics.model_copy(update={"to": away})}
    )
    with pytest.raises(ConfigError, match="CloudWatch"):
        watch(elsewhere)
    words = ["status", "--watch", "--json", "--config", str(LOCAL)]
    assert CliRunner().invoke(app, words).exit_code == 2
