"""Every table that is not there yet, empty: before the first run of a new account or release.

A job creates what it misses, but where each has a role of its own none may write another's table.
This one may add to all of them, and delete nothing.
"""

from __future__ import annotations

from lakehouse.context import Lakehouse
from lakehouse.delta import exists, path_of
from lakehouse.job import run
from lakehouse.monitoring import log
from lakehouse.tables import TABLES


def create_tables(lake: Lakehouse) -> list[str]:
    """Create what is missing, and name it.

    Raises:
        SchemaDriftError: a table is there with other columns than are declared.
    """
    missing = [
        table for table in TABLES.values() if not exists(lake.spark, path_of(lake.config, table))
    ]
    for table in TABLES.values():
        lake.read(table)
    log("created", job=lake.job, counts={"tables": len(missing)})
    return [table.name for table in missing]


if __name__ == "__main__":
    run(create_tables)
