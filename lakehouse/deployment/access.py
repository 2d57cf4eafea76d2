"""What each job may touch, once: roles, documents and tests are made from it.

Tables that a job writes are those whose declaration names it. What it reads beside them, and what
is no table, is said here; `tests/deployment/` compares it with what the job's modules import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lakehouse.tables import TABLES

DROPS = tuple(name for name in TABLES if name.startswith("bronze.drops_"))
_BRONZE_TOPICS = ("bronze.transactions", "bronze.fraud_scores")
_DECIDED = ("silver.live_transactions", "silver.fraud_scores")
_CHAIN = ("gold.transactions", "gold.transaction_history", "gold.history_chain")

Need = Literal[
    "kafka",
    "landing",
    "card_key",
    "history_key",
    "write_heads",
    "read_heads",
    "index",
    "read_index",
    "scoring",
]


@dataclass(frozen=True)
class Access:
    """The needs of one job beyond the tables that it writes.

    `positions_of` are jobs whose checkpoints it reads, `leases` those that it takes beside its own.
    """

    streaming: bool = False
    reads: tuple[str, ...] = ()
    needs: frozenset[Need] = frozenset()
    has_checkpoint: bool = False
    positions_of: tuple[str, ...] = ()
    leases: tuple[str, ...] = ()
    creates_tables: bool = False
    maintains: bool = False


def _needs(*names: Need) -> frozenset[Need]:
    return frozenset(names)


ACCESS: Mapping[str, Access] = {
    "ingest_transactions": Access(
        streaming=True, needs=_needs("kafka", "card_key"), has_checkpoint=True
    ),
    "ingest_fraud_scores": Access(
        streaming=True, needs=_needs("kafka", "card_key"), has_checkpoint=True
    ),
    "enrich_live": Access(
        streaming=True,
        reads=(*_BRONZE_TOPICS, "silver.corrections", "silver.policies"),
        needs=_needs("index", "scoring"),
        has_checkpoint=True,
    ),
    "load_drops": Access(needs=_needs("landing", "card_key")),
    "correct_record": Access(
        reads=(*_BRONZE_TOPICS, *_DECIDED, "silver.quarantine_live"),
        needs=_needs("card_key"),
    ),
    "build_batch": Access(reads=(*DROPS, "bronze.drop_files"), has_checkpoint=True),
    "compare_paths": Access(
        reads=(
            *_DECIDED, "silver.batch_transactions", "silver.offline_scores", "silver.policies",
            "bronze.drop_files",
        ),
        has_checkpoint=True,
    ),
    "consolidate": Access(
        reads=(
            *_DECIDED, "silver.batch_transactions", "silver.money_events", "silver.offline_scores",
        ),
        has_checkpoint=True,
    ),
    "record_history": Access(
        reads=("gold.transactions",), needs=_needs("history_key", "write_heads", "read_heads")
    ),
    "sync_dynamodb": Access(
        reads=("gold.transactions",), needs=_needs("index"), has_checkpoint=True
    ),
    "compare_serving": Access(
        reads=("gold.transactions",),
        # by --repair it pushes what drifts
        needs=_needs("index", "read_index"),
        positions_of=("sync_dynamodb",),
    ),
    "audit": Access(reads=tuple(TABLES)),
    "reconcile": Access(
        reads=(
            *_BRONZE_TOPICS, *DROPS, "bronze.drop_files", *_DECIDED, "silver.batch_transactions",
            "silver.corrections", "silver.fx_rates", "silver.money_events",
            "silver.offline_scores", "silver.policies", "silver.quality_batches",
            "silver.quarantine_batch", "silver.quarantine_live", "gold.transactions",
        ),
        # the senders' totals lie beside what they delivered; what a job has not read excuses a gap
        needs=_needs("landing"),
        positions_of=("consolidate", "enrich_live", "build_batch"),
    ),
    "prove_history": Access(reads=_CHAIN, needs=_needs("history_key", "read_heads")),
    "maintain": Access(
        reads=tuple(TABLES),
        positions_of=("consolidate", "compare_paths", "sync_dynamodb"),
        # compacting and vacuuming is done as the job that writes the table
        leases=(
            "load_drops", "build_batch", "compare_paths", "consolidate", "record_history",
            "reconcile",
        ),
        maintains=True,
    ),
    "create_tables": Access(reads=tuple(TABLES), creates_tables=True),
}  # fmt: skip
"""By the job's name."""

STREAMS = tuple(job for job, access in ACCESS.items() if access.streaming)


def written_by(job: str) -> tuple[str, ...]:
    """Tables that the job may add to: those it is declared to write, or all that it looks after."""
    access = ACCESS[job]
    if access.maintains or access.creates_tables:
        return tuple(TABLES)
    return tuple(table.name for table in TABLES.values() if table.written_by == job)


def read_by(job: str) -> tuple[str, ...]:
    """Tables that the job may read: what it needs, and what it writes (Delta reads the log)."""
    wanted = {*ACCESS[job].reads, *written_by(job)}
    return tuple(name for name in TABLES if name in wanted)
