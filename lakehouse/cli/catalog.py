"""`lakehouse catalog`: tables and views where analysts find them, in Glue and Athena."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath
from lakehouse.cli.terminal import note, show_grid, show_json, step
from lakehouse.config import Config
from lakehouse.errors import CatalogDiffersError, CatalogNameTakenError

if TYPE_CHECKING:
    from lakehouse.catalog_entry import Entry

app = typer.Typer(help="Tables and views in Glue, for Athena.", no_args_is_help=True)

Prune = Annotated[
    bool, typer.Option("--prune", help="Remove from the catalog what is no longer declared.")
]


@app.callback()
def catalog() -> None:
    """Tables and views in Glue, for Athena; the data itself is never touched."""


@app.command()
def register(
    config: ConfigPath = DEFAULT_CONFIG, prune: Prune = False, as_json: AsJson = False
) -> None:
    """Give every written table (as native Delta) and every view its name in Glue and Athena."""
    settings = Config.load(config)
    # boto3 and the types of Spark take a second to import
    from lakehouse.catalog import open_catalog, planned
    from lakehouse.catalog import register as registered

    with step("registering tables and views"):
        opened = open_catalog(settings)
        plan = planned(opened)
        done = registered(opened, plan, prune)
    _show(plan, done, as_json)
    waiting = sum(entry.standing == "NOT_WRITTEN" for entry in plan)
    if waiting:
        note(f"{waiting} wait for a job to write their table; register again then")


@app.command()
def check(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Compare the catalog with what is declared, and change nothing; exit code 1 if it differs."""
    settings = Config.load(config)
    # boto3 and the types of Spark take a second to import
    from lakehouse.catalog import open_catalog, planned

    with step("comparing the catalog with the declarations"):
        plan = planned(open_catalog(settings))
    _show(plan, {}, as_json)
    if taken := [entry.name for entry in plan if entry.standing == "TAKEN"]:
        raise CatalogNameTakenError(taken)
    sound = ("REGISTERED", "NOT_WRITTEN")
    if wrong := [entry.name for entry in plan if entry.standing not in sound]:
        raise CatalogDiffersError(wrong)


def _show(plan: Sequence[Entry], done: Mapping[str, str], as_json: bool) -> None:
    rows = [(entry.name, entry.kind, str(entry.standing), done.get(entry.name)) for entry in plan]
    columns = ("name", "kind", "standing", "done")
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        counts = ", ".join(
            f"{sum(one == what for one in done.values())} {what}"
            for what in ("created", "updated", "removed")
        )
        show_grid(f"{len(rows)} tables and views: {counts}", columns, rows)
