"""`lakehouse deploy`: what an account is given, derived from the jobs and the config."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lakehouse.cli.options import DEFAULT_CONFIG, ConfigPath
from lakehouse.cli.terminal import show_json
from lakehouse.config import Config

app = typer.Typer(help="Print what runs the jobs in an account.", no_args_is_help=True)

JobName = Annotated[str | None, typer.Argument(metavar="JOB", help="Only this job.")]


@app.command()
def jobs(job: JobName = None, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Print EMR Serverless StartJobRun requests by job; one as --cli-input-json takes it."""
    settings = Config.load(config)
    from lakehouse.deployment.requests import job_requests
    from lakehouse.errors import UnknownJobError

    requests = job_requests(settings)
    if job is None:
        show_json(requests)
    elif job in requests:
        show_json(requests[job])
    else:
        raise UnknownJobError(job, sorted(requests))


@app.command()
def roles() -> None:
    """Print the template of the IAM roles: deploy/roles.yaml."""
    # the declarations of tables take a second to import
    from lakehouse.deployment.roles import roles_template

    print(roles_template(), end="")


@app.command()
def day(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Print the Step Functions definition of the day: deploy/day.asl.json."""
    settings = Config.load(config)
    from lakehouse.deployment.machines import day_machine

    print(json.dumps(day_machine(settings), indent=1))


@app.command()
def streams(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Print the Step Functions definition that keeps streams up: deploy/streams.asl.json."""
    settings = Config.load(config)
    from lakehouse.deployment.machines import streams_machine

    print(json.dumps(streams_machine(settings), indent=1))
