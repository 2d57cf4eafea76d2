"""`lakehouse status`: how full and fresh each table is, how far each stream is, what waits."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from lakehouse.cli.brief import be_brief
from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath
from lakehouse.cli.terminal import show_grid, show_json, step
from lakehouse.config import Config


def status(
    watch_figures: Annotated[
        bool, typer.Option("--watch", help="Show what jobs measure, until Ctrl-C; starts no Spark.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show each table (rows, newest event, version) and each stream (last batch, lag).

    And how many money events wait for their payment, by age; how many transactions break a rule.
    """
    settings = Config.load(config)
    if watch_figures:
        if as_json:
            raise typer.BadParameter("goes with no --json", param_hint="--watch")
        # takes half a second to import
        from lakehouse.cli.watching import watch

        watch(settings)
    # Spark takes a second to import
    from lakehouse.cli.broken_rules import broken_rules
    from lakehouse.cli.freshness import table_statuses
    from lakehouse.cli.streams import stream_statuses
    from lakehouse.cli.unknown_money import unknown_money
    from lakehouse.session import open_session

    be_brief()
    with step("reading tables and checkpoints"):
        spark = open_session(settings, "status")
        tables = table_statuses(spark, settings)
        streams = stream_statuses(spark, settings)
        unknown = unknown_money(spark, settings, datetime.now(UTC))
        broken = broken_rules(spark, settings)
    if as_json:
        found = {
            "tables": [asdict(t) for t in tables],
            "streams": [asdict(s) for s in streams],
            "unknown_money_events": [asdict(u) for u in unknown],
            "broken_rules": [asdict(b) for b in broken],
        }
        show_json(found)
        return
    show_grid("tables", ["table", "rows", "newest event (UTC)", "version"],
              [[t.table, t.rows, t.newest, t.version] for t in tables])  # fmt: skip
    show_grid("streams", ["stream", "last batch", "lag"],
              [[s.stream, s.last_batch, s.lag] for s in streams])  # fmt: skip
    if unknown:
        show_grid("money events of payments that neither topic nor log tells of",
                  ["age", "events"], [[u.age, u.events] for u in unknown])  # fmt: skip
    if broken:
        show_grid("transactions with what should not have happened (gold.exceptions)",
                  ["rule", "transactions", "what happened"],
                  [[b.rule, b.transactions, b.sentence] for b in broken])  # fmt: skip
