"""What the Glue catalog is told of a table and of a view, and how the two compare.

Athena reads a table that Glue calls `DELTA` natively: schema, partitions and files come from the
table's own log. What stands in Glue is for people, and for engines that look there first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlglot
from sqlglot import exp

from lakehouse.tables import Table
from lakehouse.views import View

OWNER = "registered_by"
"""The parameter of a Glue table that says who registered it, and its value."""
OURS = "lakehouse"
VIRTUAL_VIEW = "VIRTUAL_VIEW"
_VIEW_MARK = "lakehouse.view."


class Standing(StrEnum):
    """How the catalog stands to the declaration of a table or view."""

    REGISTERED = "REGISTERED"  # as declared
    MISSING = "MISSING"  # not in the catalog
    DIFFERS = "DIFFERS"  # registered by us, otherwise than declared now
    NOT_WRITTEN = "NOT_WRITTEN"  # no job has created the table, or one that the view reads
    LEFT_OVER = "LEFT_OVER"  # registered by us, and no longer declared
    TAKEN = "TAKEN"  # something of this name is there that we have not registered


@dataclass(frozen=True)
class Entry:
    """One table or view, and how the catalog stands to it."""

    name: str  # as declared: gold.transactions
    kind: str  # table or view
    standing: Standing


def table_input(table: Table, root: str) -> dict[str, Any]:
    """A native Delta table as Glue's TableInput; `root` is an `s3://` prefix.

    Columns are in Hive's types, partition columns among them: Delta's log knows the partitions,
    and Glue is to look for none.
    """
    layer, _, name = table.name.partition(".")
    location = f"{root}/{layer}/{name}"
    about = (table.record.__doc__ or "").strip().splitlines()[0]
    return {
        "Name": name,
        "Description": about,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {
            "EXTERNAL": "TRUE",
            # Athena goes by either; Spark and Trino go by the provider
            "table_type": "DELTA",
            "spark.sql.sources.provider": "delta",
            "classification": "delta",
            OWNER: OURS,
        },
        "PartitionKeys": [],
        "StorageDescriptor": {
            "Columns": [
                {"Name": field.name, "Type": field.dataType.simpleString()}
                for field in table.schema
            ],
            "Location": location,
            # what Glue's own crawler writes for a native Delta table: nobody reads by these
            "InputFormat": "org.apache.hadoop.mapred.SequenceFileInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat",
            "SerdeInfo": {
                "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                # engines built on Trino find the table by this path, not by Location
                "Parameters": {"path": location, "serialization.format": "1"},
            },
        },
    }


def standing_of(wanted: Mapping[str, Any], found: Mapping[str, Any] | None) -> Standing:
    """Compare a TableInput with what Glue holds under its name; what others added does not count.

    What others registered for the very same place is the same table, and is taken over.
    """
    if found is None:
        return Standing.MISSING
    is_ours = found.get("Parameters", {}).get(OWNER) == OURS
    place = found.get("StorageDescriptor", {}).get("Location", "").rstrip("/")
    if not is_ours and place != wanted["StorageDescriptor"]["Location"]:
        return Standing.TAKEN
    return Standing.REGISTERED if _within(wanted, found) else Standing.DIFFERS


def _within(wanted: Any, found: Any) -> bool:
    """Whether all that is wanted is there; an empty value may be left out."""
    if isinstance(wanted, Mapping):
        held = found if isinstance(found, Mapping) else {}
        return all(_within(value, held.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        listed = found or []
        return len(wanted) == len(listed) and all(map(_within, wanted, listed))
    return bool(wanted == found)


def create_view(view: View, prefix: str) -> str:
    """The statement that gives Athena a view, its databases named with `prefix`."""
    layer, _, name = view.name.partition(".")
    return f'CREATE OR REPLACE VIEW "{prefix}{layer}"."{name}" AS\n{_prefixed(view, prefix)}'


def _prefixed(view: View, prefix: str) -> str:
    if not prefix:
        return view.athena  # as its file says it
    query = sqlglot.parse_one(view.athena, read="athena")
    for table in query.find_all(exp.Table):
        if table.db:
            table.set("db", exp.to_identifier(f"{prefix}{table.db}", quoted=True))
    return query.sql(dialect="athena", pretty=True, comments=False)


def view_mark(name: str) -> str:
    """The parameter of a Glue database under which the print of a view is kept."""
    return f"{_VIEW_MARK}{name.partition('.')[2]}"


def marked_views(parameters: Mapping[str, str]) -> list[str]:
    """Views, without their layer, that the parameters of a database know."""
    return sorted(key.removeprefix(_VIEW_MARK) for key in parameters if key.startswith(_VIEW_MARK))


def view_print(statements: Sequence[str], read: Sequence[Table], stored: Mapping[str, Any]) -> str:
    """A SHA-256 that changes with a view's SQL, with what it reads, or with what is stored.

    `statements` are those of the view and of all views below it. Athena keeps its own rendering of
    the SQL, so the text alone could not be compared; and it keeps the types of a view's columns, so
    that the view must be made anew when a table or view below it gives others.
    """
    parts = [*statements, *(f"{table.name}:{table.schema.simpleString()}" for table in read)]
    parts.append(str(stored.get("ViewOriginalText", "")))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
