"""maintain: rows stay as they are, followers see nothing, writers and the audit are safe."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from gold.chain import links_of
from gold.consolidate import consolidate
from gold.following import Span, changes_in, gold_table_id, newest_gold_version
from gold.maintain import Upkeep, maintain
from gold.position import move_position
from gold.prove_history import prove_history
from gold.record_history import record_history
from lakehouse.config import Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.delta import live_files, path_of
from lakehouse.errors import (
    LeaseHeldError,
    RetentionTooShortError,
    TablesNotMaintainedError,
)
from lakehouse.job import execute
from lakehouse.lease import held_lease
from lakehouse.tables import (
    GOLD_HISTORY_CHAIN,
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    Table,
)
from tests.gold.rows import a_gold_row, append, frame, merge_gold
from tests.gold.stalled import committing
from tests.long.test_consolidate_folds_silver_into_gold import a_batch_row, a_settlement

EIGHTH = date(2026, 3, 8)
DAY_MS = 86_400_000
_MOMENTS = {
    "timestamp", "inCommitTimestamp", "modificationTime", "deletionTimestamp", "createdTime",
}  # fmt: skip


@pytest.fixture
def own(config: Config) -> Config:
    """The configuration of this test; two small files in a partition are many."""
    many = config.maintenance.model_copy(update={"small_files": 2})
    return config.model_copy(update={"maintenance": many})


def test_streams_and_followers_see_no_change_and_rows_stay(
    own: Config, spark: SparkSession
) -> None:
    with as_job(own, spark, "build_batch") as silver:
        for number in range(4):
            append(silver, SILVER_BATCH_TRANSACTIONS, a_batch_row(f"t-{number}"))
            append(silver, SILVER_MONEY_EVENTS, a_settlement(f"t-{number}"))
    execute(consolidate, own, trigger="once")
    with as_job(own, spark, "consolidate") as gold:
        append(gold, GOLD_TRANSACTIONS, a_gold_row("planted", event_date=EIGHTH))
    execute(record_history, own)
    before = rows_of(spark, own, GOLD_TRANSACTIONS)

    done = by_table(execute(maintain, own))
    assert files_of(done, SILVER_BATCH_TRANSACTIONS) == (4, 1)
    assert files_of(done, SILVER_MONEY_EVENTS) == (4, 1)
    assert done[GOLD_TRANSACTIONS.name].partitions == 1
    assert rows_of(spark, own, GOLD_TRANSACTIONS) == before

    with as_job(own, spark, "record_history") as history:
        version = newest_gold_version(history)
        assert changes_in(history, Span(version - 1, version)).count() == 0
    execute(consolidate, own, trigger="once")
    with as_job(own, spark, "record_history") as history:
        assert newest_gold_version(history) == version, "compacted Silver is nothing new"
    # ... and behind the compaction the stream goes on
    with as_job(own, spark, "build_batch") as silver:
        append(silver, SILVER_BATCH_TRANSACTIONS, a_batch_row("t-9"))
    execute(consolidate, own, trigger="once")
    added = [row for row in rows_of(spark, own, GOLD_TRANSACTIONS) if row not in before]
    assert [row.transaction_id for row in added] == ["t-9"]
    execute(record_history, own)
    with as_job(own, spark, "prove_history") as asked:
        chain = {one.gold_version: one for one in links_of(asked.read(GOLD_HISTORY_CHAIN))}
        assert (chain[version].operation, chain[version].rows_changed) == ("OPTIMIZE", 0)
        assert prove_history(asked).breaks == []
    again = by_table(execute(maintain, own))
    assert again[SILVER_MONEY_EVENTS.name].partitions == 0, "one file is not many"


def test_a_table_whose_writer_runs_is_waited_for_then_named_and_all_others_are_done(
    own: Config, spark: SparkSession
) -> None:
    short = own.model_copy(update={"lease": own.lease.model_copy(update={"seconds": 1})})
    with as_job(own, spark, "build_batch") as silver:
        for number in range(3):
            append(silver, SILVER_BATCH_TRANSACTIONS, a_batch_row(f"t-{number}"))
    with as_job(own, spark, "consolidate") as gold:
        append(gold, GOLD_TRANSACTIONS, a_gold_row())
        with pytest.raises(
            TablesNotMaintainedError, match="consolidate is already running"
        ) as told:
            execute(maintain, short)
    assert list(told.value.reasons) == [GOLD_TRANSACTIONS.name]
    assert live_files(spark, path_of(own, SILVER_BATCH_TRANSACTIONS)).count() == 1


def test_the_writer_of_a_table_that_is_being_maintained_is_refused(
    own: Config, spark: SparkSession
) -> None:
    with (
        held_lease(own, "consolidate", holder="maintain"),
        pytest.raises(LeaseHeldError, match=r"consolidate is already running \(maintain, process"),
    ):
        execute(consolidate, own)


def test_consolidate_and_maintain_at_once_lose_nothing(own: Config, spark: SparkSession) -> None:
    """Both in a hurry, again and again; who is refused waits a moment and comes again."""
    rounds = 5

    def delivered(number: int) -> None:
        changing = a_batch_row("changing", revision=number, amount=str(100 + number))
        with as_job(own, spark, "build_batch") as silver:
            append(silver, SILVER_BATCH_TRANSACTIONS, a_batch_row(f"t-{number}"), changing)

    def consolidated() -> None:
        for number in range(rounds):
            until_free(lambda number=number: delivered(number))  # type: ignore[misc]
            until_free(lambda: execute(consolidate, own, trigger="once"))

    def maintained() -> None:
        for _ in range(rounds):
            until_free(lambda: execute(maintain, own))

    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(consolidated), pool.submit(maintained)]:
            each.result()
    execute(record_history, own)
    rows = {row.transaction_id: row for row in rows_of(spark, own, GOLD_TRANSACTIONS)}
    assert set(rows) == {"changing", *(f"t-{number}" for number in range(rounds))}
    assert int(rows["changing"].amount) == 100 + rounds - 1
    with as_job(own, spark, "prove_history") as asked:
        operations = [one.operation for one in links_of(asked.read(GOLD_HISTORY_CHAIN))]
        assert prove_history(asked).breaks == []
    print(f"Gold's versions: {operations}")


def test_a_compaction_that_meets_a_merge_leaves_its_table_to_the_next_run(
    own: Config, spark: SparkSession
) -> None:
    """A writer that lost its lease commits once more, between the two ends of OPTIMIZE."""
    with as_job(own, spark, "consolidate") as gold:
        for number in range(3):
            append(gold, GOLD_TRANSACTIONS, a_gold_row(f"t-{number}"))
        opened = gold.writable(GOLD_TRANSACTIONS)
    settled = frame(spark, GOLD_TRANSACTIONS, [a_gold_row("t-0", settlement_status="SETTLED")])
    merge = opened.alias("old").merge(
        settled.alias("new"), "old.transaction_id = new.transaction_id"
    )
    with (
        as_job(own, spark, "maintain") as lake,
        committing(maintain, lake, at=GOLD_TRANSACTIONS) as finish,
    ):
        merge.whenMatchedUpdateAll().execute()
        with pytest.raises(TablesNotMaintainedError, match="another writer changed it") as told:
            finish()
    assert list(told.value.reasons) == [GOLD_TRANSACTIONS.name]
    assert [row.settlement_status for row in rows_of(spark, own, GOLD_TRANSACTIONS)] == [
        "SETTLED", None, None,
    ]  # fmt: skip
    assert by_table(execute(maintain, own))[GOLD_TRANSACTIONS.name].files_after == 1


def test_vacuum_spares_the_horizon_and_what_a_follower_has_still_to_read(
    own: Config, spark: SparkSession
) -> None:
    with as_job(own, spark, "consolidate") as gold:
        for number in range(3):
            append(gold, GOLD_TRANSACTIONS, a_gold_row(f"t-{number}"))
        merge_gold(gold, a_gold_row("t-0", settlement_status="SETTLED"))
        gold.writable(GOLD_TRANSACTIONS).optimize().executeCompaction()
    folder = Path(path_of(own, GOLD_TRANSACTIONS))
    aged(spark, folder, days=100)
    before, rows = data_files(folder), rows_of(spark, own, GOLD_TRANSACTIONS)

    with pytest.raises(RetentionTooShortError, match="89 days is less than the 90"):
        execute(maintain, own, retain_days=89)
    with pytest.raises(TablesNotMaintainedError) as told:
        execute(maintain, own)
    reason = told.value.reasons[GOLD_TRANSACTIONS.name]
    assert "record_history has read it through version -1" in reason
    execute(record_history, own)
    with pytest.raises(TablesNotMaintainedError, match="sync_dynamodb has read it through version"):
        execute(maintain, own)
    assert data_files(folder) == before

    with as_job(own, spark, "sync_dynamodb") as pushed:
        move_position(pushed, gold_table_id(pushed), newest_gold_version(pushed))
    assert not by_table(execute(maintain, own, retain_days=101))[GOLD_TRANSACTIONS.name].vacuumed
    assert data_files(folder) == before
    assert by_table(execute(maintain, own))[GOLD_TRANSACTIONS.name].vacuumed
    live = {row.file for row in live_names(spark, folder)}
    assert data_files(folder) == live < before
    assert rows_of(spark, own, GOLD_TRANSACTIONS) == rows

    # who reads goes on with files that a compaction takes out of the table before a VACUUM runs
    with as_job(own, spark, "consolidate") as gold:
        append(gold, GOLD_TRANSACTIONS, a_gold_row("t-3"))
    with file_by_file(spark, folder) as under_way:
        read = [next(under_way).transaction_id]
        done = by_table(execute(maintain, own))[GOLD_TRANSACTIONS.name]
        assert done.vacuumed and (done.files_before, done.files_after) == (2, 1)
        read += [row.transaction_id for row in under_way]
    assert sorted(read) == ["t-0", "t-1", "t-2", "t-3"]
    execute(record_history, own)
    with as_job(own, spark, "prove_history") as asked:
        assert prove_history(asked).breaks == []


def test_the_log_outlasts_the_slowest_follower_and_a_new_one_begins_with_the_rows(
    own: Config, spark: SparkSession
) -> None:
    with as_job(own, spark, "build_batch") as silver:
        for number in range(11):  # a checkpoint of the log stands at version 10
            append(silver, SILVER_MONEY_EVENTS, a_settlement(f"t-{number}"))
        execute(consolidate, own, trigger="once")
        append(silver, SILVER_MONEY_EVENTS, a_settlement("late"))
    folder = Path(path_of(own, SILVER_MONEY_EVENTS))
    aged(spark, folder, days=9)
    first = folder / "_delta_log" / f"{0:020d}.json"

    with pytest.raises(
        TablesNotMaintainedError, match="consolidate has read it through version 11"
    ):
        execute(maintain, own)
    assert first.exists()
    execute(consolidate, own, trigger="once")
    execute(maintain, own)
    assert not first.exists()
    with as_job(own, spark, "build_batch") as silver:
        append(silver, SILVER_MONEY_EVENTS, a_settlement("later"))
    execute(consolidate, own, trigger="once")
    gold = rows_of(spark, own, GOLD_TRANSACTIONS)
    assert {row.transaction_id for row in gold} >= {"t-0", "t-10", "late", "later"}

    with as_job(own, spark, "consolidate") as lake:
        version = newest_gold_version(lake)
        lake.checkpoint.delete()
    execute(consolidate, own, trigger="once")
    with as_job(own, spark, "consolidate") as lake:
        assert newest_gold_version(lake) == version, "a deleted checkpoint changes nothing"


def test_a_table_that_somebody_let_keep_less_keeps_as_declared_again(
    own: Config, spark: SparkSession
) -> None:
    with as_job(own, spark, "consolidate") as gold:
        append(gold, GOLD_TRANSACTIONS, a_gold_row())
    path = path_of(own, GOLD_TRANSACTIONS)
    spark.sql(
        f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES "
        "('delta.deletedFileRetentionDuration' = 'interval 0 hours')"
    )
    execute(maintain, own)
    kept = spark.sql(f"SHOW TBLPROPERTIES delta.`{path}`").collect()
    properties = {row["key"]: row["value"] for row in kept}
    assert properties["delta.deletedFileRetentionDuration"] == "interval 90 days"


def test_statistics_are_of_keys_and_times_only(own: Config, spark: SparkSession) -> None:
    with as_job(own, spark, "build_batch") as silver:
        for number in range(2):
            append(silver, SILVER_MONEY_EVENTS, a_settlement(f"t-{number}"))
    execute(maintain, own)
    log = Path(path_of(own, SILVER_MONEY_EVENTS), "_delta_log")
    actions = [json.loads(line) for file in log.glob("*.json") for line in file.open()]
    added = [json.loads(action["add"]["stats"]) for action in actions if "add" in action]
    assert len(added) == 3
    for stats in added:
        assert set(stats["minValues"]) == {"transaction_id", "identity", "revision", "timestamp"}


@contextmanager
def as_job(config: Config, spark: SparkSession, job: str) -> Iterator[Lakehouse]:
    """The lakehouse as a job sees it, with its lease while the block runs."""
    with held_lease(config, job) as lease:
        yield Lakehouse(config, spark, job, Trigger("once", 1), lease, lambda: datetime.now(UTC))


def by_table(done: list[Upkeep]) -> dict[str, Upkeep]:
    return {upkeep.table: upkeep for upkeep in done}


def files_of(done: dict[str, Upkeep], table: Table) -> tuple[int, int]:
    return done[table.name].files_before, done[table.name].files_after


def rows_of(spark: SparkSession, config: Config, table: Table) -> list[Row]:
    rows = spark.read.format("delta").load(path_of(config, table))
    return sorted(rows.collect(), key=lambda row: row.transaction_id)


def until_free(run: Callable[[], object]) -> None:
    """Run, again and again while another holds what it needs."""
    for _ in range(100):
        try:
            run()
            return
        except (LeaseHeldError, TablesNotMaintainedError) as fault:
            print(f"refused: {fault}")
            time.sleep(0.5)
    raise AssertionError("never free")


@contextmanager
def file_by_file(spark: SparkSession, folder: Path) -> Iterator[Iterator[Row]]:
    """A query under way: its files are chosen, and each is opened when its turn comes."""
    alone = {"spark.sql.files.maxPartitionBytes": "64KB", "spark.sql.files.openCostInBytes": "64KB"}
    before = {name: spark.conf.get(name) for name in alone}
    try:
        for name, value in alone.items():
            spark.conf.set(name, value)
        yield spark.read.format("delta").load(str(folder)).toLocalIterator()
    finally:
        for name, earlier in before.items():
            assert earlier is not None
            spark.conf.set(name, earlier)


def data_files(folder: Path) -> set[str]:
    """Names of the data files on disk, live or not."""
    return {file.name for file in folder.glob("event_date=*/*/*.parquet")}


def live_names(spark: SparkSession, folder: Path) -> list[Row]:
    rows = spark.read.format("delta").load(str(folder))
    return rows.selectExpr("_metadata.file_name AS file").distinct().collect()


def aged(spark: SparkSession, folder: Path, days: int) -> None:
    """Let a table be so many days older: its commits, its files, and what Delta remembers of it."""
    # from before the commits are written anew: Delta tells their order by them, too
    times = {file: file.stat().st_mtime for file in folder.rglob("*") if file.is_file()}
    for commit in (folder / "_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in commit.read_text().splitlines()]
        commit.write_text("".join(f"{json.dumps(_aged(line, days))}\n" for line in lines))
    for file, time_of in times.items():
        if file.suffix == ".crc":
            file.unlink()
        else:
            then = time_of - days * DAY_MS / 1000
            os.utime(file, (then, then))
    jvm: Any = spark.sparkContext._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def _aged(value: Any, days: int) -> Any:
    if isinstance(value, dict):
        return {
            key: inner - days * DAY_MS if key in _MOMENTS else _aged(inner, days)
            for key, inner in value.items()
        }
    return value
