"""`lakehouse services start|stop|status`: Kafka, DynamoDB Local and the scoring service."""

from __future__ import annotations

import typer

from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath
from lakehouse.cli.terminal import show_grid, show_json, step
from lakehouse.config import Config

app = typer.Typer(help="Services on this machine.")


@app.command()
def start(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Start what does not run yet, and wait until each answers."""
    settings = Config.load(config)
    # clients of the services, which `--help` need not wait for
    from lakehouse.local import services

    with step("starting Kafka, DynamoDB Local and the scoring service"):
        services.start(settings)
    _show(settings, as_json)


@app.command()
def stop(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Stop what this project started."""
    settings = Config.load(config)
    from lakehouse.local import services

    with step("stopping what this project started"):
        services.stop(settings)
    _show(settings, as_json)


@app.command()
def status(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Say which services answer, and where."""
    _show(Config.load(config), as_json)


def _show(config: Config, as_json: bool) -> None:
    from lakehouse.local import services

    found = [vars(service) for service in services.status(config)]
    if as_json:
        show_json(found)
    else:
        columns = list(found[0]) if found else []
        show_grid("services", columns, [list(service.values()) for service in found])
