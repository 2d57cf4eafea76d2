"""Who reads a table version by version, and how far: what VACUUM must not pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gold.following import NOTHING_YET, gold_table_id
from gold.position import position_of
from gold.record_history import complete_through
from lakehouse.checkpoint import Checkpoint
from lakehouse.context import Lakehouse
from lakehouse.delta import exists, path_of, table_id
from lakehouse.tables import (
    GOLD_HISTORY_CHAIN,
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    SILVER_OFFLINE_SCORES,
    Table,
)

_STREAMS: Mapping[str, tuple[Table, ...]] = {
    "consolidate": (SILVER_BATCH_TRANSACTIONS, SILVER_MONEY_EVENTS, SILVER_OFFLINE_SCORES),
    "compare_paths": (SILVER_BATCH_TRANSACTIONS,),
}


def read_through_of(lake: Lakehouse, table: Table) -> dict[str, int]:
    """Jobs that follow a table, and the version through which each has read it; -1: none yet.

    Raises:
        FollowerAheadError: a follower has read another table of this name.
    """
    if table is GOLD_TRANSACTIONS:
        is_recorded = exists(lake.spark, path_of(lake.config, GOLD_HISTORY_CHAIN))
        pushing = replace(lake, job="sync_dynamodb")
        return {
            "record_history": complete_through(lake) if is_recorded else NOTHING_YET,
            "sync_dynamodb": position_of(pushing, gold_table_id(lake)),
        }
    followed = table_id(lake.spark, path_of(lake.config, table))
    return {
        job: Checkpoint(lake.spark, lake.config, job).next_versions().get(followed, 0) - 1
        for job, tables in _STREAMS.items()
        if table in tables
    }
