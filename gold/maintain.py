"""Gold and batch tables: compaction, declared statistics, VACUUM behind the audit and followers.

A table has one writer, so a table is maintained under the lease of the job that writes it: waited
for, and then that job is refused until its tables are done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import Annotated

import typer
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from gold.followers import goes_on_behind, read_through_of
from gold.maintenance import (
    RETENTION,
    Partition,
    Version,
    corrections,
    crowded,
    days_of,
    has_expired,
    in_partitions,
    small_bytes,
    target_bytes,
    unread,
)
from lakehouse.context import Lakehouse
from lakehouse.delta import (
    CONFLICTS,
    exists,
    forget_old_log,
    latest_version,
    live_files,
    path_of,
    properties_of,
    stored_properties,
)
from lakehouse.errors import (
    FollowerAheadError,
    FollowerBehindError,
    LeaseHeldError,
    RetentionTooShortError,
    TablesNotMaintainedError,
)
from lakehouse.job import run
from lakehouse.lease import awaited_lease
from lakehouse.monitoring import log
from lakehouse.tables import TABLES, Table

_MEANWHILE = 1_000  # versions, of a table that streams write while its log is looked at
# Jobs that run and end, in the order of the flow. A stream keeps the lease of its tables: two of
# Silver are compacted by Delta behind its commits (`autoCompact` in tables.py), Bronze of topics
# and the quarantine of live by nobody; and none of them is vacuumed (docs/scale.md).
_WRITERS = (
    "load_drops", "build_batch", "compare_paths", "consolidate", "record_history", "reconcile",
)  # fmt: skip
MAINTAINED: Mapping[str, tuple[Table, ...]] = {
    job: tuple(table for table in TABLES.values() if table.written_by == job) for job in _WRITERS
}
"""Tables by the job that writes them."""


@dataclass(frozen=True)
class Upkeep:
    """What was done to a table."""

    table: str
    version: int
    files_before: int
    files_after: int
    partitions: int  # compacted
    vacuumed: bool


@dataclass(frozen=True)
class LeftAlone:
    """A table that could not be done, or not whole, and why."""

    table: str
    reason: str


def maintain(
    lake: Lakehouse,
    retain_days: Annotated[
        int | None,
        typer.Option(help="Keep deleted files so long; no less than the audit horizon."),
    ] = None,
) -> list[Upkeep]:
    """Compact crowded partitions and delete what neither the audit nor a follower can ask for.

    Raises:
        RetentionTooShortError: `retain_days` is below a horizon; nothing was done.
        TablesNotMaintainedError: some tables could not be done now; all others are.
    """
    there = {
        job: [table for table in tables if exists(lake.spark, path_of(lake.config, table))]
        for job, tables in MAINTAINED.items()
    }
    kept_days = {
        table.name: _days_to_keep(lake, table, retain_days)
        for tables in there.values()
        for table in tables
    }
    outcomes = [
        outcome
        for job, tables in there.items()
        for outcome in _under_lease(lake, job, tables, kept_days)
    ]
    outcomes += _forget_old_logs(lake)
    left = {one.table: one.reason for one in outcomes if isinstance(one, LeftAlone)}
    if left:
        raise TablesNotMaintainedError(left)
    return [one for one in outcomes if isinstance(one, Upkeep)]


def _forget_old_logs(lake: Lakehouse) -> Iterator[LeftAlone]:
    """Shorten every table's log, those of streams too: it adds no version, so needs no lease."""
    for table in TABLES.values():
        if exists(lake.spark, path_of(lake.config, table)):
            try:
                _forget_old_log(lake, table)
            except (FollowerBehindError, FollowerAheadError) as fault:
                yield LeftAlone(table.name, str(fault))


def _forget_old_log(lake: Lakehouse, table: Table) -> None:
    """Delete what the log says of versions behind the retention and behind every follower.

    Raises:
        FollowerBehindError: one has still to read rows that are older than the retention; what it
            needs of the log stays, and what was before is deleted.
    """
    path = path_of(lake.config, table)
    newest = latest_version(lake.spark, path)
    behind = {job: v for job, v in goes_on_behind(lake, table).items() if v < newest}
    if not behind:
        forget_old_log(lake.spark, path)
        return
    slowest = min(behind, key=lambda job: behind[job])
    # it goes on from the table as it stood behind the last version that it has read
    last = max(behind[slowest], 0)
    # writers go on meanwhile, so the newest are counted now, and some more are asked for
    versions = _versions(lake, table, latest_version(lake.spark, path) + 1 - last + _MEANWHILE)
    found = [version.committed_at for version in versions if version.number == last]
    if found:
        forget_old_log(lake.spark, path, keep_since=found[0])
    stored = stored_properties(lake.spark, path)
    cutoff = lake.clock() - timedelta(days=days_of(stored.get(RETENTION[0], "")))
    needed = unread(versions, behind[slowest], cutoff)
    if needed is not None:
        raise FollowerBehindError(table.name, slowest, behind[slowest], needed)


def _under_lease(
    lake: Lakehouse, job: str, tables: Sequence[Table], kept_days: Mapping[str, float]
) -> Iterator[Upkeep | LeftAlone]:
    """Maintain the tables of a job as that job: nobody else writes them meanwhile."""
    if not tables:
        return
    try:
        with awaited_lease(lake.config, job, holder=lake.job) as lease:
            for table in tables:
                yield _outcome(replace(lake, lease=lease), table, kept_days[table.name])
    except LeaseHeldError as held:
        yield from (LeftAlone(table.name, str(held)) for table in tables)


def _outcome(lake: Lakehouse, table: Table, kept_days: float) -> Upkeep | LeftAlone:
    try:
        return _maintain_table(lake, table, kept_days)
    except CONFLICTS:
        # a writer that had lost its lease: what it wrote stands, and the next run compacts
        return LeftAlone(table.name, "another writer changed it meanwhile; run maintain again")
    except (FollowerBehindError, FollowerAheadError) as fault:
        return LeftAlone(table.name, str(fault))


def _maintain_table(lake: Lakehouse, table: Table, kept_days: float) -> Upkeep:
    path = path_of(lake.config, table)
    _align_properties(lake, table)
    files_before = live_files(lake.spark, path).count()
    partitions = _compact(lake, table)
    files_after = live_files(lake.spark, path).count() if partitions else files_before
    vacuumed = _vacuum(lake, table, kept_days)
    version = latest_version(lake.spark, path)
    upkeep = Upkeep(table.name, version, files_before, files_after, len(partitions), vacuumed)
    counts = {"files_before": files_before, "files_after": files_after}
    log("maintained", job=lake.job, table=table.name, version=version, counts=counts)
    return upkeep


def _days_to_keep(lake: Lakehouse, table: Table, asked: int | None) -> float:
    """Days for which VACUUM spares what was deleted: what config or table promise, or more."""
    stored = stored_properties(lake.spark, path_of(lake.config, table))
    declared = properties_of(table, lake.config.audit)
    required = max(days_of(each.get(name, "")) for each in (stored, declared) for name in RETENTION)
    if asked is not None and asked < required:
        raise RetentionTooShortError(table.name, asked, required)
    return required if asked is None else asked


def _align_properties(lake: Lakehouse, table: Table) -> None:
    """Set what an older release, or somebody, left otherwise than it is declared."""
    path = path_of(lake.config, table)
    stored = stored_properties(lake.spark, path)
    wanted = corrections(stored, properties_of(table, lake.config.audit))
    if wanted:
        lake.writable(table)
        pairs = ", ".join(f"'{name}' = '{value}'" for name, value in wanted.items())
        lake.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ({pairs})")


def _compact(lake: Lakehouse, table: Table) -> list[Partition]:
    """Rewrite the small files of crowded partitions: a commit that changes no row."""
    settings = lake.config.maintenance
    files = live_files(lake.spark, path_of(lake.config, table))
    partitions = crowded(files, table.partitioned_by, settings)
    if partitions:
        sizes = {
            "spark.databricks.delta.optimize.maxFileSize": target_bytes(settings),
            "spark.databricks.delta.optimize.minFileSize": small_bytes(settings),
        }
        with _set(lake.spark, sizes):
            rewrite = lake.writable(table).optimize()
            if table.partitioned_by:
                rewrite = rewrite.where(in_partitions(partitions))
            if table.in_order_of:
                rewrite.executeZOrderBy(*table.in_order_of)
            else:
                rewrite.executeCompaction()
    return partitions


def _vacuum(lake: Lakehouse, table: Table, kept_days: float) -> bool:
    """Delete files that no version within the days needs, if every follower has read so far."""
    versions = _versions(lake, table)
    cutoff = lake.clock() - timedelta(days=kept_days)
    if not has_expired(versions, cutoff):
        return False
    for follower, read_through in read_through_of(lake, table).items():
        needed = unread(versions, read_through, cutoff)
        if needed is not None:
            raise FollowerBehindError(table.name, follower, read_through, needed)
    # Delta refuses by itself what is below the retention of the table
    lake.writable(table).vacuum(kept_days * 24)
    return True


def _versions(lake: Lakehouse, table: Table, newest: int | None = None) -> list[Version]:
    """All versions that the log still has, or so many of the newest."""
    history = DeltaTable.forPath(lake.spark, path_of(lake.config, table)).history(newest)
    rows = history.select("version", "timestamp", "operation").collect()
    return [Version(row[0], row[1].astimezone(UTC), row[2]) for row in rows]


@contextmanager
def _set(spark: SparkSession, settings: Mapping[str, int]) -> Iterator[None]:
    """Settings of the session while the block runs."""
    before = {name: spark.conf.get(name, None) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, str(value))
    try:
        yield
    finally:
        for name, earlier in before.items():
            if earlier is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, earlier)


if __name__ == "__main__":
    run(maintain)
