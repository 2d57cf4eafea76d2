"""`lakehouse query`: SQL over every table and view, with `VERSION AS OF`."""

from __future__ import annotations

from typing import Annotated

import typer

from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath
from lakehouse.cli.terminal import show_grid, show_json, step
from lakehouse.config import Config


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over bronze.*, silver.*, gold.*.")],
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=0, help="Rows to show.")] = 100,
) -> None:
    """Ask the tables by SQL: `SELECT * FROM gold.transactions VERSION AS OF 2`."""
    settings = Config.load(config)
    # Spark takes a second to import
    from lakehouse.cli.questions import answered, named_faults
    from lakehouse.cli.rows import records_of, rows_of
    from lakehouse.session import open_session

    with named_faults():
        with step("asking"):
            answer = answered(open_session(settings, "query"), settings, sql).limit(limit)
            rows = records_of(answer) if as_json else rows_of(answer)
        if as_json:
            show_json(rows)
        else:
            show_grid(f"{len(rows)} rows", answer.columns, [list(row) for row in rows])
