"""A run leaves a record and its figures, and `lakehouse runs` and `alerts` show them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.config import Config
from lakehouse.metrics.places import figures_of, metered
from lakehouse.metrics.points import Metric
from lakehouse.monitoring import configure_logging, log
from lakehouse.runs import recorded
from tests.conftest import LOCAL


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
