"""Delta tables on disk: where they lie, how they are created, at which version they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from delta import exceptions
from delta.tables import DeltaTable
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from lakehouse.config import AuditSettings, Config
from lakehouse.errors import OvertakenError, SchemaDriftError
from lakehouse.files import bytes_of, first_line
from lakehouse.tables import TABLES, Table

# Reader version 1 is what Athena reads: no deletion vectors, no column mapping.
_PUBLISHED = {
    "delta.enableInCommitTimestamps": "true",
    "delta.enableDeletionVectors": "false",
    "delta.checkpointPolicy": "classic",
    # else any writer deletes old log files as it writes a checkpoint; `maintain` alone may delete
    "delta.enableExpiredLogCleanup": "false",
}
_COMMIT = re.compile(r"(\d{20})\.json")
CONFLICTS = (
    exceptions.DeltaConcurrentModificationException,
    exceptions.ConcurrentWriteException,
    exceptions.MetadataChangedException,
    exceptions.ProtocolChangedException,
    exceptions.ConcurrentAppendException,
    exceptions.ConcurrentDeleteReadException,
    exceptions.ConcurrentDeleteDeleteException,
    exceptions.ConcurrentTransactionException,
)
"""How Delta refuses a commit that another one has overtaken: in Python these are no kin."""
_WRITE = "spark.databricks.delta.write"
_LAST_COMMIT = "spark.databricks.delta.lastCommitVersionInSession"


def path_of(config: Config, table: Table) -> str:
    """Where a table lies."""
    layer, _, name = table.name.partition(".")
    return f"{config.lake.tables}/{layer}/{name}"


def kept_days(table: Table, audit: AuditSettings) -> int:
    """For so many days every version of a table can be read."""
    return audit.horizon_days if table.audited else audit.working_days


def properties_of(table: Table, audit: AuditSettings) -> dict[str, str]:
    """All properties of a table; retention stands from its first commit on."""
    days = kept_days(table, audit)
    return {
        **_PUBLISHED,
        "delta.logRetentionDuration": f"interval {days} days",
        "delta.deletedFileRetentionDuration": f"interval {days} days",
        **table.properties,
    }


def exists(spark: SparkSession, path: str) -> bool:
    """Whether a Delta table lies at `path`."""
    return DeltaTable.isDeltaTable(spark, path)


def create(spark: SparkSession, config: Config, table: Table) -> None:
    """Create an empty table with all that its declaration says. Commits once per constraint."""
    builder = (
        DeltaTable.createIfNotExists(spark)
        .location(path_of(config, table))
        .addColumns(table.schema)
        .comment((table.record.__doc__ or "").strip().splitlines()[0])
    )
    if table.partitioned_by:
        builder = builder.partitionedBy(*table.partitioned_by)
    for key, value in properties_of(table, config.audit).items():
        builder = builder.property(key, value)
    # a constraint as a property holds from version 0 on; ALTER TABLE would add a version each
    for name, condition in table.constraints.items():
        builder = builder.property(f"delta.constraints.{name}", condition)
    builder.execute()


def check_schema(stored: DataFrame, table: Table) -> None:
    """Compare a stored table with its declaration.

    Raises:
        SchemaDriftError: a column is missing or unknown.
    """
    found, declared = set(stored.columns), set(table.columns)
    if found != declared:
        raise SchemaDriftError(table.name, sorted(declared - found), sorted(found - declared))


def last_turn(spark: SparkSession, path: str, table: Table) -> int:
    """The turn of the last commit to a table that took one; -1 before the first.

    Two runs that note the same turn stand before the same commits of that kind, whatever versions
    others (a compaction) have added between them. Costs what Delta looks up for the commit anyway.
    """
    taken = _snapshot(spark, path).transactions().get(_turns_of(table))
    return int(taken.get()) if taken.isDefined() else -1


def behind_turn(table: Table, turn: int) -> dict[str, str]:
    """What a commit to `table` tells Delta if it is made of what was read behind `turn`.

    Delta skips the commit if another one has taken a turn in between, before it began, and refuses
    it if one does while it is under way: commit within `ensured`.
    """
    return {"txnAppId": _turns_of(table), "txnVersion": str(turn + 1)}


def session_behind(spark: SparkSession, table: Table, turn: int) -> SparkSession:
    """A session for one such commit, and no other, for a MERGE takes no options."""
    session = spark.newSession()
    for name, value in behind_turn(table, turn).items():
        session.conf.set(f"{_WRITE}.{name}", value)
    return session


@contextmanager
def ensured(session: SparkSession, name: str) -> Iterator[None]:
    """Commit to a table in the block, as the last commit of this session; or hear of it.

    Raises:
        OvertakenError: Delta has skipped it, or refused it beside another one.
    """
    # let the session seem to have committed nothing yet
    session.conf.unset(_LAST_COMMIT)
    try:
        yield
    except CONFLICTS as conflict:
        raise OvertakenError(name) from conflict
    if session.conf.get(_LAST_COMMIT, None) is None:
        raise OvertakenError(name)


def _turns_of(table: Table) -> str:
    return f"behind/{table.name}"


def latest_version(spark: SparkSession, path: str) -> int:
    """The newest version of the table at `path`, -1 where there is none. Runs no query."""
    return int(_snapshot(spark, path).version())


def known_version(spark: SparkSession, path: str) -> int:
    """The newest version that this process has seen, -1 of none; reads no log it has read once."""
    return int(_log(spark, path).unsafeVolatileSnapshot().version())


def oldest_version(spark: SparkSession, path: str) -> int:
    """The oldest version that the log can still put together; from it on, it has each commit."""
    return int(_log(spark, path).history().getEarliestRecreatableCommit())


def commit_path(path: str, version: int) -> str:
    """Where Delta keeps the commit of one version of the table at `path`."""
    return f"{path}/_delta_log/{version:020d}.json"


def commit_info(spark: SparkSession, path: str, version: int) -> Mapping[str, Any]:
    """What a commit says of itself: operation, `operationMetrics`, `inCommitTimestamp` (ms).

    It is the first line of its file, because our tables have in-commit timestamps. Empty where that
    is not so.
    """
    line = first_line(spark, commit_path(path, version))
    info: Mapping[str, Any] = json.loads(line or "{}").get("commitInfo", {})
    return info


def live_files(spark: SparkSession, path: str) -> DataFrame:
    """The data files of a table now: (partitionValues map, size in bytes). Reads the log alone."""
    files = DataFrame(_snapshot(spark, path).allFiles().toDF(), spark)
    return files.select("partitionValues", "size")


def table_id(spark: SparkSession, path: str) -> str:
    """Delta's id of this very table: another one after it was dropped and created again.

    Runs no query.
    """
    return str(_snapshot(spark, path).metadata().id())


def stored_properties(spark: SparkSession, path: str) -> dict[str, str]:
    """The properties that a table was created with, or given since."""
    detail = DeltaTable.forPath(spark, path).detail().select("properties").first()
    return dict(detail["properties"]) if detail else {}


def forget_old_log(spark: SparkSession, path: str, keep_since: datetime | None = None) -> None:
    """Delete log files that are older than the table's log retention and in a checkpoint since.

    Whole UTC days go, and none from that of `keep_since` (UTC) on: every version that was committed
    since can still be read. Other writers may be at work: none of them needs what is deleted here.
    """
    log, snapshot = _log(spark, path), _snapshot(spark, path)
    # Delta's own defaults: the retention of the table, cut to days
    retention, days = (getattr(log, f"cleanUpExpiredLogs$default${place}")() for place in (2, 3))
    if keep_since is not None:
        age = log.clock().getTimeMillis() - int(keep_since.timestamp() * 1000)
        kept = max(age, log.deltaRetentionMillis(snapshot.metadata()))
        # an Option of a Scala Long: py4j would hand over a number of few digits as an Int
        retention = spark.sql(f"SELECT {kept}L")._jdf.head().toSeq().headOption()
    log.cleanUpExpiredLogs(snapshot, retention, days)


def first_commit_at(spark: SparkSession, path: str) -> datetime | None:
    """When version 0 of a table was committed (UTC); None where its log has let go of it."""
    content = bytes_of(spark, commit_path(path, 0))
    if content is None:
        return None
    # nothing but a line feed ends a line: a text of Delta's may hold other separators
    actions = [json.loads(line) for line in content.decode("utf-8").split("\n") if line]
    info = next(each["commitInfo"] for each in actions if "commitInfo" in each)
    return datetime.fromtimestamp(info.get("inCommitTimestamp", info["timestamp"]) / 1000, UTC)


def log_begins_at(spark: SparkSession, path: str) -> datetime:
    """When the oldest commit was made that the log of a table still has (UTC)."""
    # in order: a stream's log has hundreds of thousands, and each costs a call
    files = _log(spark, path).listFrom(0)
    while not (oldest := _COMMIT.fullmatch(files.next().getPath().getName())):
        pass
    info = commit_info(spark, path, int(oldest[1]))
    return datetime.fromtimestamp(info["inCommitTimestamp"] / 1000, UTC)


def _snapshot(spark: SparkSession, path: str) -> Any:
    jvm: Any = spark.sparkContext._jvm
    log = _log(spark, path)
    # Delta's own defaults
    defaults = [getattr(log, f"update$default${place + 1}")() for place in range(_parameters(jvm))]
    return log.update(*defaults)


def _log(spark: SparkSession, path: str) -> Any:
    jvm: Any = spark.sparkContext._jvm
    return _log_class(jvm).forTable(spark._jsparkSession, path)


@cache
def _log_class(jvm: Any) -> Any:
    """Found once: each part of the name is a search through all jars."""
    return jvm.org.apache.spark.sql.delta.DeltaLog


@cache
def _parameters(jvm: Any) -> int:
    """How many parameters this release's DeltaLog.update has; asked once, it is 500 calls."""
    # the loader that also knows jars given to spark-submit
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    methods = loader.loadClass("org.apache.spark.sql.delta.DeltaLog").getMethods()
    return max(int(m.getParameterCount()) for m in methods if m.getName() == "update")


def commit_times(spark: SparkSession, path: str) -> dict[int, datetime]:
    """When each version that the log still has was committed (UTC, by in-commit timestamps)."""
    commits = DeltaTable.forPath(spark, path).history().select("version", "timestamp").collect()
    return {row.version: row.timestamp.astimezone(UTC) for row in sorted(commits)}


def register(spark: SparkSession, config: Config, names: list[str]) -> None:
    """Give tables their SQL names in this session's catalog; tables that don't exist are left."""
    for table in (TABLES[name] for name in names):
        path = path_of(config, table)
        if exists(spark, path):
            layer = table.name.partition(".")[0]
            spark.sql(f"CREATE DATABASE IF NOT EXISTS {layer}")
            try:
                # the name may be that of another lake, which this session asked before
                spark.sql(f"DROP TABLE IF EXISTS {table.name}")
                spark.sql(f"CREATE TABLE {table.name} USING delta LOCATION '{path}'")
            except AnalysisException as error:
                raise SchemaDriftError(table.name, [], []) from error
