"""The lakehouse that a job sees: an append happens once, a missing table is an empty one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import delta
from lakehouse.context import Batch, Lakehouse
from lakehouse.errors import LakehouseError, LeaseLostError
from lakehouse.job import execute
from lakehouse.lease import FileLease
from lakehouse.runs import run_store_of
from lakehouse.tables import BRONZE_TRANSACTIONS, GOLD_TRANSACTIONS

Open = Callable[[str], Lakehouse]


def _records(lake: Lakehouse, *offsets: int) -> DataFrame:
    moment = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    rows = [
        ("t", "id", 0, offset, moment, 0, None, b"{}", None, 0, moment.date()) for offset in offsets
    ]
    return lake.spark.createDataFrame(rows, BRONZE_TRANSACTIONS.schema)


def test_a_table_that_nobody_wrote_is_empty(lake_for: Open) -> None:
    lake = lake_for("consolidate")
    assert lake.read(GOLD_TRANSACTIONS).columns == GOLD_TRANSACTIONS.columns
    assert lake.read(GOLD_TRANSACTIONS).isEmpty()


def test_a_batch_is_appended_once_however_often_it_is_tried(lake_for: Open) -> None:
    lake = lake_for("ingest_transactions")
    for _ in range(2):
        lake.append(_records(lake, 1, 2), to=BRONZE_TRANSACTIONS, batch=Batch("query", 0))
    assert lake.read(BRONZE_TRANSACTIONS).count() == 2


def test_a_new_checkpoint_counts_its_batches_anew(lake_for: Open) -> None:
    lake = lake_for("ingest_transactions")
    lake.append(_records(lake, 1), to=BRONZE_TRANSACTIONS, batch=Batch("query", 5))
    lake.append(_records(lake, 2), to=BRONZE_TRANSACTIONS, batch=Batch("its successor", 0))
    assert lake.read(BRONZE_TRANSACTIONS).count() == 2


def test_a_stream_hands_over_each_row_once_and_each_version(lake_for: Open) -> None:
    lake = lake_for("ingest_transactions")
    seen: list[int] = []
    for offset in (1, 2):
        lake.append(_records(lake, offset), to=BRONZE_TRANSACTIONS)
        lake.each_batch(
            lake.stream(BRONZE_TRANSACTIONS),
            lambda rows, _batch: seen.extend(row.offset for row in rows.collect()),
        ).awaitTermination()
    assert seen == [1, 2]


@pytest.mark.parametrize("is_bounded, batches", [(False, [3]), (True, [2, 1])])
def test_a_bounded_stream_catches_up_in_parts(
    lake_for: Open, is_bounded: bool, batches: list[int]
) -> None:
    lake = lake_for("ingest_transactions")
    trigger = lake.config.trigger.model_copy(update={"max_batch_mb": 1})
    lake = replace(lake, config=lake.config.model_copy(update={"trigger": trigger}))
    for offset in range(3):
        # nothing makes random bytes smaller
        heavy = F.lit(Random(offset).randbytes(600_000))
        lake.append(_records(lake, offset).withColumn("value", heavy), to=BRONZE_TRANSACTIONS)
    seen: list[int] = []
    lake.each_batch(
        lake.stream(BRONZE_TRANSACTIONS, is_bounded=is_bounded),
        lambda rows, _batch: seen.append(rows.count()),
    ).awaitTermination()
    assert seen == batches


def test_a_bounded_stream_takes_no_more_files_than_an_unbounded_one(
    lake_for: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.context._MOST_FILES", 2)
    lake = lake_for("ingest_transactions")
    for offset in range(3):
        lake.append(_records(lake, offset), to=BRONZE_TRANSACTIONS)
    seen: list[int] = []
    lake.each_batch(
        lake.stream(BRONZE_TRANSACTIONS, is_bounded=True),
        lambda rows, _batch: seen.append(rows.count()),
    ).awaitTermination()
    assert seen == [2, 1]


def test_a_version_is_read_as_it_was(lake_for: Open) -> None:
    lake = lake_for("ingest_transactions")
    lake.append(_records(lake, 1), to=BRONZE_TRANSACTIONS)
    lake.append(_records(lake, 2), to=BRONZE_TRANSACTIONS)
    path = delta.path_of(lake.config, BRONZE_TRANSACTIONS)
    latest = delta.latest_version(lake.spark, path)
    assert lake.read(BRONZE_TRANSACTIONS, version=latest - 1).count() == 1
    times = delta.commit_times(lake.spark, path)
    assert [*times] == [*range(latest + 1)]
    assert sorted(times.values()) == [*times.values()]
    assert times[latest] <= datetime.now(UTC)


def test_a_run_is_recorded_with_the_tables_that_it_changed_and_no_other(lake_for: Open) -> None:
    lake = lake_for("ingest_transactions")
    lake.append(_records(lake, 1), to=BRONZE_TRANSACTIONS)

    def adding(lake: Lakehouse) -> None:
        lake.append(_records(lake, 2), to=BRONZE_TRANSACTIONS)

    def creating(lake: Lakehouse) -> None:
        lake.read(GOLD_TRANSACTIONS)

    def ingest_fraud_scores(lake: Lakehouse) -> None:
        lake.writable(BRONZE_TRANSACTIONS)
        lake.read(GOLD_TRANSACTIONS)

    begun = datetime.now(UTC).date()
    for job in (adding, creating, ingest_fraud_scores):
        execute(job, lake.config)
    runs = run_store_of(lake.config).since(begun, datetime.now(UTC).date())
    assert {run.job: run.outputs for run in runs} == {
        "adding": {"bronze.transactions": str(lake.version(BRONZE_TRANSACTIONS))},
        "creating": {"gold.transactions": str(lake.version(GOLD_TRANSACTIONS))},
        "ingest_fraud_scores": {},
    }


def test_a_run_without_its_lease_appends_nothing(lake_for: Open, tmp_path) -> None:  # type: ignore[no-untyped-def]
    lake = lake_for("ingest_transactions")
    robbed = Lakehouse(
        lake.config, lake.spark, lake.job, lake.trigger,
        FileLease("ingest_transactions", 1, tmp_path / "nobody.lease"), lake.clock,
    )  # fmt: skip
    with pytest.raises(LeaseLostError):
        robbed.append(_records(lake, 1), to=BRONZE_TRANSACTIONS)
    assert lake.read(BRONZE_TRANSACTIONS).isEmpty()


def test_a_fault_inside_a_micro_batch_reaches_the_operator_as_itself(lake_for: Open) -> None:
    lake = lake_for("ingest_transactions")
    lake.append(_records(lake, 1), to=BRONZE_TRANSACTIONS)

    def failing(lake: Lakehouse):  # type: ignore[no-untyped-def]
        def process(_rows: DataFrame, _batch: Batch) -> None:
            raise LakehouseError("the micro-batch says why")

        return lake.each_batch(lake.stream(BRONZE_TRANSACTIONS), process)

    with pytest.raises(LakehouseError, match="the micro-batch says why"):
        execute(failing, lake.config, trigger="once")
