"""`lakehouse drops list|release`: what became of each delivered file, and what is let through."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from lakehouse.cli.brief import be_brief
from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, some_text
from lakehouse.cli.terminal import say, show_grid, show_json, step
from lakehouse.config import Config
from lakehouse.records.codes import Verdict

app = typer.Typer(help="Delivered files, and what became of them.", no_args_is_help=True)


@app.command("list")
def list_files(
    verdict: Annotated[
        Verdict | None, typer.Option(case_sensitive=False, help="Only files of this verdict.")
    ] = None,
    date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only files delivered for this day."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(parser=some_text, metavar="KIND", help="Only this kind of drop.")
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show each file with its newest verdict, and why it has it."""
    settings = Config.load(config)
    # Spark takes a second to import
    from lakehouse.cli.delivered import delivered_files
    from lakehouse.session import open_session

    be_brief()
    with step("reading the manifest of files"):
        session = open_session(settings, "drops")
        day = date.date() if date else None
        files = [asdict(file) for file in delivered_files(session, settings, verdict, day, kind)]
    if as_json:
        show_json(files)
        return
    columns = ("path", "revision", "rows", "verdict", "fault", "why", "judged_at")
    show_grid("delivered files", columns, [_cells(file) for file in files])


@app.command()
def release(
    path: Annotated[str, typer.Argument(help="KIND/date=YYYY-MM-DD/FILE, as `list` names it.")],
    reason: Annotated[
        str, typer.Option(parser=some_text, metavar="TEXT", help="Why it may load; is recorded.")
    ],
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Let a held file load as it is. What else is new in landing/ is loaded with it.

    Its rows answer to the rules of Silver one by one. What cannot be read stays held.
    """
    settings = Config.load(config)
    from lakehouse.job import execute, job_named

    with step("load_drops"):
        execute(job_named("load_drops"), settings, release=path, reason=reason)
    say(f"{path} is loaded. `lakehouse run build_batch` takes its rows into Silver.")


def _cells(file: dict[str, object]) -> list[object]:
    shown = ("path", "revision", "rows", "verdict", "fault")
    released = file["release_reason"]
    why = f"released: {released}" if released else file["reason"]
    return [*(file[name] for name in shown), why, file["judged_at"]]
