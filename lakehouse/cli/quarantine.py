"""`lakehouse quarantine list|show|replay`: what could not go on, why, and how it goes on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.brief import be_brief
from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, some_text
from lakehouse.cli.terminal import say, show_grid, show_json, step
from lakehouse.config import Config
from lakehouse.errors import NotInQuarantineError

app = typer.Typer(help="Records that could not go on.", no_args_is_help=True)


@app.command("list")
def list_rules(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Count the records by the rule that they broke."""
    settings = Config.load(config)
    # Spark takes a second to import
    from lakehouse.cli.quarantined import broken_rules
    from lakehouse.session import open_session

    be_brief()
    with step("reading the quarantine"):
        rules = [asdict(r) for r in broken_rules(open_session(settings, "quarantine"), settings)]
    if as_json:
        show_json(rules)
    else:
        columns = ("source_table", "rule_id", "reason", "records", "open", "newest")
        show_grid("quarantine by rule", columns, [list(rule.values()) for rule in rules])


@app.command()
def show(
    coordinates: Annotated[str | None, typer.Argument(help="Only this record.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only records that broke this rule.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Records to show.")] = 20,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show records with all their reasons, and their payload as it was delivered."""
    settings = Config.load(config)
    from lakehouse.cli.quarantined import quarantined_records
    from lakehouse.session import open_session

    be_brief()
    with step("reading the quarantine"):
        session = open_session(settings, "quarantine")
        records = quarantined_records(session, settings, coordinates, rule, limit)
    if coordinates is not None and not records:
        raise NotInQuarantineError(coordinates)
    if as_json:
        show_json([asdict(record) for record in records])
        return
    for record in records:
        show_grid(
            record.coordinates + (" (resolved)" if record.resolved else ""),
            ("broken rule", "reason"),
            list(zip(record.rule_ids, record.reasons, strict=True)),
        )
        payload = record.payload
        say("no payload" if payload is None else payload.decode("utf-8", errors="replace"))


@app.command()
def replay(
    coordinates: Annotated[str, typer.Argument(help="Of the record, as `show` names them.")],
    payload: Annotated[
        Path,
        typer.Argument(help="File with the whole corrected value.", exists=True, dir_okay=False),
    ],
    reason: Annotated[
        str, typer.Option(parser=some_text, metavar="TEXT", help="Why it may go on; is recorded.")
    ],
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Put a corrected record back in under its own identity and coordinates.

    The next micro-batch of enrich_live takes it; then it counts as resolved.
    """
    settings = Config.load(config)
    from lakehouse.job import execute, job_named

    with step("checking the correction"):
        execute(
            job_named("correct_record"),
            settings,
            coordinates=coordinates,
            payload=payload,
            reason=reason,
        )
    say(f"{coordinates} is corrected. `lakehouse run enrich_live` takes it, if it is not running.")
