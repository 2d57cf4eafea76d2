"""`lakehouse status`: how full and how fresh each table is, and how far each stream has come."""

from __future__ import annotations

from dataclasses import asdict

from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath
from lakehouse.cli.terminal import show_grid, show_json, step
from lakehouse.config import Config


def status(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show each table (rows, newest event, version) and each stream (last batch, lag)."""
    settings = Config.load(config)
    # Spark takes a second to import
    from lakehouse.cli.freshness import table_statuses
    from lakehouse.cli.streams import stream_statuses
    from lakehouse.session import open_session

    with step("reading tables and checkpoints"):
        spark = open_session(settings, "status")
        tables = table_statuses(spark, settings)
        streams = stream_statuses(spark, settings)
    if as_json:
        show_json({"tables": [asdict(t) for t in tables], "streams": [asdict(s) for s in streams]})
        return
    show_grid("tables", ["table", "rows", "newest event (UTC)", "version"],
              [[t.table, t.rows, t.newest, t.version] for t in tables])  # fmt: skip
    show_grid("streams", ["stream", "last batch", "lag"],
              [[s.stream, s.last_batch, s.lag] for s in streams])  # fmt: skip
