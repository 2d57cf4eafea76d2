"""The command line: `lakehouse --help`. Each command is a module; this page only lists them."""

from __future__ import annotations

import sys

import typer

from lakehouse.cli import demo, explain, generate, jobs, lookup, query, services, status
from lakehouse.errors import LakehouseError
from lakehouse.monitoring import configure_logging

app = typer.Typer(
    name="lakehouse",
    help="Payment and fraud signals, from Kafka and daily drops to Gold and DynamoDB.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("demo")(demo.demo)
app.add_typer(services.app, name="services")
app.command("generate")(generate.generate)
app.command("run", context_settings=jobs.PASS_OPTIONS)(jobs.run)
app.command("lookup")(lookup.lookup)
app.command("explain")(explain.explain)
app.command("query")(query.query)
app.command("status")(status.status)


def main() -> None:
    """Run the command line; a fault that a person can mend is one line, not a stack trace."""
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    configure_logging()
    try:
        app(arguments)
    except LakehouseError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
