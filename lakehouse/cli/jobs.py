"""`lakehouse run JOB`: the same as `spark-submit` of the job's file, in this process."""

from __future__ import annotations

from typing import Annotated

import typer

from lakehouse.job import command_of, job_named

PASS_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def run(
    context: typer.Context,
    job: Annotated[str, typer.Argument(help="A job, such as consolidate.")],
) -> None:
    """Run one job. Its options: `lakehouse run JOB --help`."""
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command(job)(command_of(job_named(job)))
    command(context.args, prog_name=f"lakehouse run {job}")
