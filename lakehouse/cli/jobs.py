"""`lakehouse run JOB`: the same as `spark-submit` of the job's file, in this process."""

from __future__ import annotations

from functools import wraps
from typing import Any

import typer
from typer.core import TyperGroup

from lakehouse.cli.terminal import step


class _Jobs(TyperGroup):
    """Each job is a command with its own options, found by its entry point."""

    # typer carries a click of its own, whose types have no public name
    def list_commands(self, _: Any) -> list[str]:
        # Spark takes a second to import
        from lakehouse.job import job_names

        return job_names()

    def get_command(self, _: Any, name: str) -> Any:
        from lakehouse.job import command_of, job_named

        run = command_of(job_named(name))

        @wraps(run)
        def shown(**options: Any) -> None:
            with step(name):
                run(**options)

        command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        command.command(name)(shown)
        return typer.main.get_command(command)


app = typer.Typer(
    cls=_Jobs,
    help="Run one job. Its options: `lakehouse run JOB --help`.",
    subcommand_metavar="JOB [OPTIONS]",
)
