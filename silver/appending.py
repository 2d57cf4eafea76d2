"""How rows get into the batch tables: in one commit, in files that a look-up can pass over."""

from __future__ import annotations

from pyspark.sql import DataFrame

from lakehouse.context import Lakehouse
from lakehouse.delta import path_of
from lakehouse.frames import Keep
from lakehouse.tables import (
    SILVER_BATCH_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    SILVER_OFFLINE_SCORES,
    Table,
)
from silver.batch import same_rows

_LOOKED_UP_BY = {
    table.name: "transaction_id"
    for table in (SILVER_BATCH_TRANSACTIONS, SILVER_MONEY_EVENTS, SILVER_OFFLINE_SCORES)
}


def append_sorted(lake: Lakehouse, rows: DataFrame, to: Table) -> None:
    """Append rows in one commit, one file per partition, in the order of what they are found by.

    So parts of a file, and in time whole files, say in their statistics what they cannot hold.
    """
    order = (*to.partitioned_by, _LOOKED_UP_BY.get(to.name, "coordinates"))
    lake.append(rows.repartition(*to.partitioned_by).sortWithinPartitions(*order), to)


def append_if_any(lake: Lakehouse, keep: Keep, rows: DataFrame, to: Table) -> bool:
    """The same; without rows there is no commit. Whether there was one."""
    found = keep(rows)
    if found.isEmpty():
        return False
    append_sorted(lake, found, to)
    return True


def replace_if_other(lake: Lakehouse, keep: Keep, rows: DataFrame, table: Table) -> None:
    """Make a table hold exactly `rows`, in one commit; where it does already, in none."""
    wanted = keep(rows.coalesce(1))
    if not same_rows(wanted, lake.read(table)):
        lake.writable(table)
        overwriting = wanted.write.format("delta").mode("overwrite")
        overwriting.save(path_of(lake.config, table))
