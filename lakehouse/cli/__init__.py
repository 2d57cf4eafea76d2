"""The command line: `lakehouse --help`. Each command is a module; this page only lists them.

A command's module imports little: what takes seconds to load (Spark, the generator) is imported
by the command that runs, so that `--help` and `lookup` answer at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lakehouse.cli import (
    alerts,
    audit,
    catalog,
    demo,
    deploy,
    drops,
    explain,
    feeding,
    generate,
    jobs,
    lookup,
    prove,
    quality,
    quarantine,
    query,
    report,
    runs,
    services,
    status,
    up,
)
from lakehouse.monitoring import configure_logging, finish

app = typer.Typer(name="lakehouse", pretty_exceptions_enable=False, add_completion=False)
app.command("demo")(demo.demo)
app.command("up")(up.up)
app.add_typer(services.app, name="services")
app.command("generate")(generate.generate)
app.add_typer(feeding.app, name="topics")
app.add_typer(jobs.app, name="run")
app.command("lookup")(lookup.lookup)
app.command("explain")(explain.explain)
app.add_typer(audit.app, name="audit")
app.add_typer(drops.app, name="drops")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(quality.app, name="quality")
app.add_typer(prove.app, name="prove")
app.add_typer(deploy.app, name="deploy")
app.command("query")(query.query)
app.add_typer(catalog.app, name="catalog")
app.command("report")(report.report)
app.command("status")(status.status)
app.command("runs")(runs.runs)
app.add_typer(alerts.app, name="alerts")


@app.callback()
def lakehouse(
    debug: Annotated[
        bool, typer.Option("--debug", help="With any command: show the stack trace of a fault.")
    ] = False,
) -> None:
    """Payment and fraud signals, from Kafka and daily drops to Gold and DynamoDB."""


def main() -> None:
    """Run the command line; every fault is one line, not a stack trace."""
    words = sys.argv[1:]
    debug = "--debug" in words
    # it may stand anywhere, and belongs to the first command of the line
    arguments = [*["--debug"][:debug], *(word for word in words if word != "--debug")]
    configure_logging()
    finish(lambda: app(arguments if words else ["--help"], standalone_mode=False), debug)
