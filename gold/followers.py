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
    BRONZE_DROP_FILES,
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    GOLD_HISTORY_CHAIN,
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_CORRECTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    SILVER_OFFLINE_SCORES,
    Table,
)

STREAMS: Mapping[str, tuple[Table, ...]] = {
    "enrich_live": (BRONZE_TRANSACTIONS, BRONZE_FRAUD_SCORES, SILVER_CORRECTIONS),
    "build_batch": (BRONZE_DROP_FILES,),
    "consolidate": (
        SILVER_LIVE_TRANSACTIONS, SILVER_BATCH_TRANSACTIONS, SILVER_MONEY_EVENTS,
        SILVER_FRAUD_SCORES, SILVER_OFFLINE_SCORES,
    ),
    "compare_paths": (SILVER_LIVE_TRANSACTIONS, SILVER_BATCH_TRANSACTIONS),
}  # fmt: skip
"""Jobs that stream tables, and which; their checkpoints say how far."""


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
    return {job: (following or 0) - 1 for job, following in _next_of(lake, table).items()}


def goes_on_behind(lake: Lakehouse, table: Table) -> dict[str, int]:
    """The same of those that go on by the table's log, version by version: it must last.

    A stream that has read nothing yet begins with the table as it stands, and needs no log.

    Raises:
        FollowerAheadError: a follower has read another table of this name.
    """
    if table is GOLD_TRANSACTIONS:
        return read_through_of(lake, table)
    positions = _next_of(lake, table).items()
    return {job: following - 1 for job, following in positions if following is not None}


def _next_of(lake: Lakehouse, table: Table) -> dict[str, int | None]:
    """The next version that each stream over a table reads; None: it has read nothing yet."""
    jobs = [job for job, tables in STREAMS.items() if table in tables]
    if not jobs:
        return {}
    followed = table_id(lake.spark, path_of(lake.config, table))
    return {
        job: Checkpoint(lake.spark, lake.config, job).next_versions().get(followed) for job in jobs
    }
