"""The catalog in which analysts find tables and views: Glue, with Athena as the maker of views.

First a plan of how the catalog stands to the declarations, then what it asks for. Nothing here
reads or changes a row: a table's data and log stay as they are, whatever is registered or removed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.catalog_entry import (
    OURS,
    OWNER,
    VIRTUAL_VIEW,
    Entry,
    Standing,
    create_view,
    marked_views,
    standing_of,
    table_input,
    view_mark,
    view_print,
)
from lakehouse.config import CatalogSettings, Config
from lakehouse.errors import CatalogError, CatalogNameTakenError, ConfigError
from lakehouse.tables import TABLES
from lakehouse.views import View, load_views, tables_read, views_read

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client

_POLL_SECONDS = 0.2
_BEING_MADE = "being made"  # the print of no view
_LAYERS = ("bronze", "silver", "gold")


@dataclass(frozen=True)
class Catalog:
    """The services that hold the catalog, and what is to be in it."""

    settings: CatalogSettings
    root: str  # s3://BUCKET/PREFIX of all tables
    views: Mapping[str, View]  # each behind those that it reads
    glue: GlueClient
    athena: AthenaClient
    s3: S3Client


@dataclass(frozen=True)
class _Database:
    """What Glue holds under a layer's name: its own input, and its tables and views by name."""

    exists: bool
    parameters: Mapping[str, str]
    entries: Mapping[str, Mapping[str, Any]]


def open_catalog(config: Config) -> Catalog:
    """The catalog that the config names. Asks nothing yet.

    Raises:
        ConfigError: the config names none, or the lake is not on S3, where Athena reads.
    """
    settings = config.catalog
    if settings is None:
        problem = "is null: there is no Glue here. `lakehouse query` asks the same tables and views"
        raise ConfigError("catalog", [f"{problem}; for AWS, give --config conf/aws.yaml"])
    if not config.lake.root.startswith(("s3a://", "s3://")):
        raise ConfigError("lake.root", [f"is {config.lake.root}: Athena reads S3 only"])
    opened: dict[str, Any] = {
        name: boto3.client(name, endpoint_url=settings.endpoint_url, region_name=settings.region)
        for name in ("glue", "athena", "s3")
    }
    root = f"s3://{config.lake.tables.partition('://')[2]}"
    return Catalog(settings, root, load_views(config.rules.views), **opened)


def planned(catalog: Catalog) -> list[Entry]:
    """How the catalog stands to every declared table and view, and to what it has beyond them.

    Views stand behind those that they read.

    Raises:
        CatalogError: Glue or S3 does not answer, or refuses.
    """
    found = {layer: _database(catalog, layer) for layer in _LAYERS}
    written = {name for name in TABLES if _is_written(catalog, name)}
    tables = [
        Entry(name, "table", _table_standing(catalog, name, found, name in written))
        for name in TABLES
    ]
    views = [
        Entry(view.name, "view", _view_standing(catalog, view, found, written))
        for view in catalog.views.values()
    ]
    return [*tables, *views, *_left_over(catalog, found)]


def register(catalog: Catalog, plan: list[Entry], prune: bool = False) -> dict[str, str]:
    """Do what a plan asks for: what was done (created, updated, removed), by name.

    `prune` removes what is left over. A run that dies is completed by the next.

    Raises:
        CatalogNameTakenError: others have registered one of the names; nothing was done.
        CatalogError: Glue or Athena does not answer, or refuses; what was done before stands.
    """
    if taken := [entry.name for entry in plan if entry.standing == Standing.TAKEN]:
        raise CatalogNameTakenError(taken)
    done: dict[str, str] = {}
    todo = [entry for entry in plan if entry.standing in (Standing.MISSING, Standing.DIFFERS)]
    for layer in sorted({entry.name.partition(".")[0] for entry in todo}):
        _ensure_database(catalog, layer)
    for entry in todo:
        if entry.kind == "table":
            _register_table(catalog, entry)
        else:
            _register_view(catalog, catalog.views[entry.name])
        done[entry.name] = "created" if entry.standing == Standing.MISSING else "updated"
    for entry in plan:
        if prune and entry.standing == Standing.LEFT_OVER:
            _remove(catalog, entry)
            done[entry.name] = "removed"
    return done


def _database(catalog: Catalog, layer: str) -> _Database:
    name = f"{catalog.settings.database_prefix}{layer}"
    with _named(catalog, f"Glue database {name}"):
        try:
            held = catalog.glue.get_database(Name=name)["Database"]
        except catalog.glue.exceptions.EntityNotFoundException:
            return _Database(False, {}, {})
        pages = catalog.glue.get_paginator("get_tables").paginate(DatabaseName=name)
        entries = {table["Name"]: table for page in pages for table in page["TableList"]}
    return _Database(True, held.get("Parameters") or {}, entries)


def _is_written(catalog: Catalog, name: str) -> bool:
    """Whether a table has a log: Athena would refuse every question to a table without one."""
    bucket, _, prefix = catalog.root.removeprefix("s3://").partition("/")
    log = f"{prefix}/{name.replace('.', '/')}/_delta_log/"
    with _named(catalog, f"s3://{bucket}/{log}"):
        listed = catalog.s3.list_objects_v2(Bucket=bucket, Prefix=log, MaxKeys=1)
    return bool(listed.get("Contents"))


def _table_standing(
    catalog: Catalog, name: str, found: Mapping[str, _Database], is_written: bool
) -> Standing:
    layer, _, short = name.partition(".")
    wanted = table_input(TABLES[name], catalog.root)
    standing = standing_of(wanted, found[layer].entries.get(short))
    waits = standing == Standing.MISSING and not is_written
    return Standing.NOT_WRITTEN if waits else standing


def _view_standing(
    catalog: Catalog, view: View, found: Mapping[str, _Database], written: set[str]
) -> Standing:
    layer, _, short = view.name.partition(".")
    held, known = found[layer].entries.get(short), found[layer].parameters.get(view_mark(view.name))
    if held is None:
        reads = tables_read([view.name], catalog.views)
        return Standing.MISSING if written.issuperset(reads) else Standing.NOT_WRITTEN
    if known is None or held.get("TableType") != VIRTUAL_VIEW:
        return Standing.TAKEN
    is_same = known == _print_of(catalog, view, held)
    return Standing.REGISTERED if is_same else Standing.DIFFERS


def _left_over(catalog: Catalog, found: Mapping[str, _Database]) -> Iterator[Entry]:
    for layer, database in found.items():
        for short, held in database.entries.items():
            name = f"{layer}.{short}"
            if held.get("Parameters", {}).get(OWNER) == OURS and name not in TABLES:
                yield Entry(name, "table", Standing.LEFT_OVER)
        for short in marked_views(database.parameters):
            name = f"{layer}.{short}"
            held = database.entries.get(short, {})
            if held.get("TableType") == VIRTUAL_VIEW and name not in catalog.views:
                yield Entry(name, "view", Standing.LEFT_OVER)


def _ensure_database(catalog: Catalog, layer: str) -> None:
    name = f"{catalog.settings.database_prefix}{layer}"
    about = f"The {layer} layer of the payments lakehouse."
    with _named(catalog, f"Glue database {name}"):
        try:
            catalog.glue.create_database(DatabaseInput={"Name": name, "Description": about})
        except catalog.glue.exceptions.AlreadyExistsException:
            return


def _register_table(catalog: Catalog, entry: Entry) -> None:
    wanted: Any = table_input(TABLES[entry.name], catalog.root)
    database, short = _place(catalog, entry.name)
    with _named(catalog, f"Glue table {database}.{short}"):
        if entry.standing == Standing.MISSING:
            catalog.glue.create_table(DatabaseName=database, TableInput=wanted)
            return
        # Athena and Lake Formation keep parameters of their own beside ours
        held = catalog.glue.get_table(DatabaseName=database, Name=short)["Table"]
        wanted["Parameters"] = dict(held.get("Parameters", {})) | wanted["Parameters"]
        catalog.glue.update_table(DatabaseName=database, TableInput=wanted)


def _register_view(catalog: Catalog, view: View) -> None:
    """Let Athena make a view, and keep the print of what it made."""
    database, short = _place(catalog, view.name)
    settings = catalog.settings
    # a run that dies behind the statement must know the view for its own
    _keep_mark(catalog, view.name, _BEING_MADE)
    with _named(catalog, f"Athena view {database}.{short}"):
        asked: dict[str, Any] = {
            "QueryString": create_view(view, settings.database_prefix),
            "QueryExecutionContext": {"Database": database},
            "WorkGroup": settings.workgroup,
        }
        if settings.results is not None:
            asked["ResultConfiguration"] = {"OutputLocation": settings.results}
        query = catalog.athena.start_query_execution(**asked)["QueryExecutionId"]
        _await(catalog, query, f"Athena view {database}.{short}")
        held = catalog.glue.get_table(DatabaseName=database, Name=short)["Table"]
    _keep_mark(catalog, view.name, _print_of(catalog, view, held))


def _await(catalog: Catalog, query: str, place: str) -> None:
    deadline = time.monotonic() + catalog.settings.view_seconds
    while True:
        execution = catalog.athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
        status = execution["Status"]
        if status["State"] == "SUCCEEDED":
            return
        if status["State"] in ("FAILED", "CANCELLED"):
            raise CatalogError(place, status.get("StateChangeReason", status["State"].lower()))
        if time.monotonic() > deadline:
            seconds = catalog.settings.view_seconds
            raise CatalogError(place, f"Athena has not made it in {seconds} s (query {query})")
        time.sleep(_POLL_SECONDS)


def _print_of(catalog: Catalog, view: View, held: Mapping[str, Any]) -> str:
    prefix = catalog.settings.database_prefix
    statements = [create_view(each, prefix) for each in views_read([view.name], catalog.views)]
    read = [TABLES[name] for name in tables_read([view.name], catalog.views)]
    return view_print(statements, read, held)


def _keep_mark(catalog: Catalog, view: str, kept: str | None) -> None:
    """Set or remove the print of a view among the parameters of its database."""
    database, _ = _place(catalog, view)
    with _named(catalog, f"Glue database {database}"):
        held = catalog.glue.get_database(Name=database)["Database"]
        parameters = dict(held.get("Parameters") or {})
        parameters.pop(view_mark(view), None)
        if kept is not None:
            parameters[view_mark(view)] = kept
        # an update replaces all: what is not said again is gone
        kept_too = ("Description", "LocationUri", "CreateTableDefaultPermissions")
        told: Any = {key: value for key, value in held.items() if key in kept_too and value}
        told |= {"Name": database, "Parameters": parameters}
        catalog.glue.update_database(Name=database, DatabaseInput=told)


def _remove(catalog: Catalog, entry: Entry) -> None:
    """Take a name out of the catalog; the table's files stay."""
    database, short = _place(catalog, entry.name)
    with _named(catalog, f"Glue table {database}.{short}"):
        catalog.glue.delete_table(DatabaseName=database, Name=short)
    if entry.kind == "view":
        _keep_mark(catalog, entry.name, None)


def _place(catalog: Catalog, name: str) -> tuple[str, str]:
    layer, _, short = name.partition(".")
    return f"{catalog.settings.database_prefix}{layer}", short


@contextmanager
def _named(catalog: Catalog, place: str) -> Iterator[None]:
    """Tell a fault of the services by the thing that was asked for."""
    try:
        yield
    except (BotoCoreError, ClientError) as fault:
        where = catalog.settings.endpoint_url or catalog.settings.region
        raise CatalogError(f"{place} ({where})", str(fault) or type(fault).__name__) from fault
