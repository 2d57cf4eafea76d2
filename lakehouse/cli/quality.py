"""`lakehouse quality show|release`: how delivered batches were judged, how a held one goes on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lakehouse.cli.brief import be_brief
from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, some_text
from lakehouse.cli.terminal import say, show_grid, show_json, step
from lakehouse.config import Config
from lakehouse.errors import BatchNotJudgedError, BatchStillHeldError
from lakehouse.records.codes import BatchVerdict

app = typer.Typer(help="Gates of delivered batches.", no_args_is_help=True)

BatchName = Annotated[str, typer.Argument(metavar="BATCH", help="KIND/date=DAY, as `show` names.")]
SomeBatchName = Annotated[
    str | None, typer.Argument(metavar="BATCH", help="Only this batch, with all its checks.")
]


@app.command()
def show(
    batch: SomeBatchName = None,
    held: Annotated[bool, typer.Option("--held", help="Only batches that are held.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Batches to show, newest first.")] = 20,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show the verdict on each delivered batch; of one batch, every check with its figure."""
    settings = Config.load(config)
    # Spark takes a second to import
    from lakehouse.cli.judged import checks_of, judged_batches, skipped_checks
    from lakehouse.session import open_session

    be_brief()
    with step("reading the verdicts"):
        session = open_session(settings, "quality")
        batches = judged_batches(session, settings, batch, held)[:limit]
        checks = checks_of(session, settings, batches[0]) if batch and batches else []
        skipped = skipped_checks(session, settings, batches)
    if batch is not None and not batches:
        raise BatchNotJudgedError(batch)
    if as_json:
        found = [asdict(each) for each in batches]
        show_json({"batches": found, "checks": [asdict(check) for check in checks]})
        return
    columns = ("batch", "verdict", "files", "failed", "reason", "recorded_at")
    show_grid("delivered batches", columns, [each.cells() for each in batches])
    if batch is not None:
        names = ("check", "severity", "measure", "value", "expected", "verdict", "reason")
        show_grid(f"checks of {batch}", names, [check.cells() for check in checks])
    if skipped:
        say(f"SKIPPED, since Deequ's jar was absent: {', '.join(skipped)}. Run `make setup`.")


@app.command()
def release(
    batch: BatchName,
    reason: Annotated[
        str, typer.Option(parser=some_text, metavar="TEXT", help="Why it may go on; is recorded.")
    ],
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Publish a held batch as it was delivered: runs build_batch, which records the reason.

    Fails if the batch is held afterwards all the same.
    """
    settings = Config.load(config)
    from lakehouse.cli.judged import judged_batches
    from lakehouse.job import execute, job_named
    from lakehouse.session import open_session

    with step("publishing the batch"):
        execute(job_named("build_batch"), settings, release=batch, reason=reason)
        (now,) = judged_batches(open_session(settings, "quality"), settings, batch, False)
    # what came since makes it another batch, and that one is judged for itself
    if now.verdict is not BatchVerdict.PUBLISHED:
        raise BatchStillHeldError(batch, now.verdict, now.reason)
    say(f"{batch} is {now.verdict}" + (f": {now.reason}" if now.reason else ""))
