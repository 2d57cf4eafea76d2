"""`lakehouse runs`: each run of each job, with what it took and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath
from lakehouse.cli.terminal import show_grid, show_json
from lakehouse.config import Config
from lakehouse.runs import run_store_of


def runs(
    job: Annotated[str | None, typer.Option(metavar="JOB", help="Only this job.")] = None,
    days: Annotated[int, typer.Option(min=1, help="Begun or ended in so many days.")] = 7,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show the runs of jobs, the newest first; one that was killed stays `running`."""
    settings = Config.load(config)
    now = datetime.now(UTC)
    found = run_store_of(settings).since((now - timedelta(days=days - 1)).date(), now.date())
    chosen = [run for run in found if job is None or run.job == job]
    if as_json:
        show_json([run.model_dump(mode="json") for run in chosen])
        return
    columns = ("job", "run", "started (UTC)", "seconds", "outcome", "error", "wrote")
    show_grid("runs", columns, [
        [r.job, r.run_id, r.started_at, r.seconds, r.outcome, r.error, dict(r.outputs)]
        for r in chosen
    ])  # fmt: skip
