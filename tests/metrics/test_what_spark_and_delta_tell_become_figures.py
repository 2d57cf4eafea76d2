"""A query's progress, a commit's own words and decided payments, as figures: without Spark."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import Row
from pytest import param

from gold.lines import Run, published
from gold.waiting import waiting_by_age
from lakehouse.dynamodb import PushReport
from lakehouse.metrics.commits import Commit, points_of_commit
from lakehouse.metrics.hearing import points_of
from lakehouse.metrics.meter import Meter
from lakehouse.metrics.points import Metric, Point
from lakehouse.metrics.progress import (
    begun_at,
    next_versions,
    points_of_progress,
    processed,
    read_through,
)
from lakehouse.records.codes import AccountDifference
from lakehouse.records.gold import Reconciliation
from silver import figures
from silver.enrich_live import counts_of
from tests.conftest import NOON


def told(points: list[Point]) -> dict[tuple[Metric, str], float]:
    return {(each.metric, each.subject): sum(each.values) for each in points}


def of_topic(start: dict[str, int] | None, end: dict[str, int], latest: dict[str, int]) -> Any:
    return {
        "description": "KafkaV2[Assign[payments-0, payments-1]]",
        "startOffset": {"payments": start} if start is not None else None,
        "endOffset": {"payments": end},
        "latestOffset": {"payments": latest},
        "numInputRows": 999,  # what is read twice counts twice there
    }


def of_table(start: int | None, end: int, rows: int = 0) -> Any:
    def offset(version: int) -> Any:
        return {"sourceVersion": 1, "reservoirId": "x", "reservoirVersion": version, "index": -1}

    return {
        "description": "DeltaSource[file:/lake/tables/bronze/transactions]",
        "startOffset": offset(start) if start is not None else None,
        "endOffset": offset(end),
        "latestOffset": None,
        "numInputRows": rows,
    }


def progress(*sources: Any, milliseconds: int = 2_000) -> Any:
    return {"durationMs": {"triggerExecution": milliseconds}, "sources": list(sources)}


def test_lag_is_the_brokers_end_minus_what_is_processed_of_each_partition() -> None:
    batch = progress(of_topic({"0": 10, "1": 5}, {"0": 30, "1": 5}, {"0": 42, "1": 5}))
    assert told(points_of_progress(batch, "ingest", NOON)) == {
        (Metric.RECORDS_IN, "ingest"): 20,
        (Metric.BATCH_SECONDS, "ingest"): 2,
        (Metric.RECORDS_PER_SECOND, "ingest"): 10,
        (Metric.CONSUMER_LAG, "ingest/0"): 12,
        (Metric.CONSUMER_LAG, "ingest/1"): 0,
    }


def test_what_waits_is_told_before_the_first_micro_batch_has_ended() -> None:
    """A stream that hangs in it has no progress to tell of."""
    meter = Meter("ingest", "r1", lambda _: None, lambda _: {0: 90_000, 1: 5})
    meter.begins("payments", {0: 20, 1: 5})
    assert told(meter.tick()) == {
        (Metric.CONSUMER_LAG, "ingest/0"): 89_980,
        (Metric.CONSUMER_LAG, "ingest/1"): 0,
    }


def test_a_new_checkpoint_begins_where_the_table_ended() -> None:
    told_by_spark = progress(of_topic(None, {"0": 20}, {"0": 20}), of_table(None, 2, rows=3))
    batch = begun_at(told_by_spark, {"payments": {0: 20}})
    assert told(points_of_progress(batch, "ingest", NOON))[Metric.RECORDS_IN, "ingest"] == 3
    assert read_through([batch])["topic payments"] == "0: -"
    # of another topic nothing is known
    assert read_through([begun_at(told_by_spark, {})])["topic payments"] == "0: 0-19"


def test_a_stream_of_tables_tells_rows_and_the_version_that_it_reads_next() -> None:
    batch = progress(of_table(3, 7, rows=8))
    assert told(points_of_progress(batch, "enrich", NOON))[Metric.RECORDS_IN, "enrich"] == 8
    assert next_versions(batch) == {"file:/lake/tables/bronze/transactions": 7}
    assert next_versions(None) == {}
    assert processed(batch) == {}
    assert processed(progress(of_topic(None, {"0": 3}, {"0": 9}))) == {"payments": {0: 3}}


def test_a_run_has_read_from_its_first_micro_batch_to_its_last() -> None:
    first = progress(of_topic(None, {"0": 3}, {"0": 9}), of_table(None, 2))
    last = progress(of_topic({"0": 3}, {"0": 9}, {"0": 9}), of_table(2, 6))
    assert read_through([first, last]) == {
        "topic payments": "0: 0-8",
        "bronze.transactions": "0-5",
    }
    assert read_through([]) == {}


@pytest.mark.parametrize(
    "operation, metrics, rows, files, size",
    [
        param("WRITE", {"numFiles": "2", "numOutputRows": "9", "numOutputBytes": "70"}, 9, 2, 70,
              id="append"),
        param("MERGE", {"numOutputRows": "50", "numTargetRowsInserted": "3",
                        "numTargetRowsUpdated": "4", "numTargetRowsDeleted": "0",
                        "numTargetFilesAdded": "1", "numTargetBytesAdded": "80"}, 7, 1, 80,
              id="of a merge, not what it copied"),
        param("OPTIMIZE", {"numAddedFiles": "1", "numAddedBytes": "90"}, 0, 1, 90,
              id="compaction"),
    ],
)  # fmt: skip
def test_a_commit_counts_by_its_own_metrics(
    operation: str, metrics: dict[str, str], rows: int, files: int, size: int
) -> None:
    info = {
        "operation": operation,
        "operationMetrics": metrics,
        "timestamp": 1,
        "inCommitTimestamp": int(NOON.timestamp() * 1000),
    }
    commit = Commit.of(info)
    assert commit == Commit(NOON, rows, files, size)
    before = NOON - timedelta(seconds=2)
    assert told(points_of_commit(commit, "t", before)) == {
        (Metric.ROWS_OUT, "t"): rows,
        (Metric.FILES, "t"): files,
        (Metric.BYTES, "t"): size,
        (Metric.ROWS_PER_SECOND, "t"): rows / 2,
    }


def test_a_commit_that_counts_nothing_is_no_figure() -> None:
    assert Commit.of({"operation": "CREATE TABLE", "operationMetrics": {}, "timestamp": 1}) is None
    assert Commit.of({}) is None


def test_scores_are_told_by_the_minute_of_their_event_and_freshness_by_now() -> None:
    second, hour_ago = int(NOON.timestamp()) - 5, int(NOON.timestamp()) - 3_600
    last_week = int(NOON.timestamp()) - 7 * 86_400
    counted = Counter({
        ("API", 25, False, second): 3,
        ("TOPIC", 90, True, second): 2,
        ("NONE", None, False, second): 4,
        ("API", 90, True, hour_ago): 1,
        ("API", 10, False, last_week): 6,
    })  # fmt: skip
    found = {(each.metric, each.at): each.values for each in figures.points(counted, "t", NOON)}
    minute = datetime(2026, 3, 9, 11, 59, tzinfo=UTC)
    assert found == {
        (Metric.FRAUD_SCORE, minute): {0.25: 3, 0.9: 2},
        (Metric.SUSPICIOUS_SCORES, minute): {2.0: 1},
        (Metric.FRAUD_SCORE, NOON - timedelta(hours=1)): {0.9: 1},
        (Metric.SUSPICIOUS_SCORES, NOON - timedelta(hours=1)): {1.0: 1},
        (Metric.FRAUD_SCORE, NOON - timedelta(days=7)): {0.1: 6},
        (Metric.SUSPICIOUS_SCORES, NOON - timedelta(days=7)): {0.0: 1},
        # what is of last week says nothing of how fast the stream is
        (Metric.FRESHNESS_SECONDS, NOON): {5.0: 9, 3600.0: 1},
        (Metric.LATE_EVENTS, NOON): {6.0: 1},
    }
    assert figures.unscored(counted) == 4


@pytest.mark.parametrize(
    "event, fields, figures_told",
    [
        param("enriched", {"job": "enrich_live", "rows": 3, "counts": {
            "bronze.transactions NEW": 5, "bronze.transactions DUPLICATE": 2,
            "bronze.transactions UNSCORED": 1, "refused": 4, "throttled": 6, "oversized": 0}},
            {(Metric.DECIDED, "bronze.transactions"): 5,
             (Metric.DUPLICATES, "bronze.transactions"): 2,
             (Metric.UNSCORED, "bronze.transactions"): 1,
             (Metric.ITEMS_WRITTEN, "enrich_live"): 3, (Metric.ITEMS_REFUSED, "enrich_live"): 4,
             (Metric.ITEMS_THROTTLED, "enrich_live"): 6}, id="a micro-batch"),
        param("reconciled", {"job": "reconcile", "counts": {
            "lines": 40, "unexplained": 2, "waiting 7 to 29 days": 3}},
            {(Metric.UNEXPLAINED_ROWS, "all steps"): 2, (Metric.WAITING_MONEY, "7 to 29 days"): 3},
            id="an account"),
        param("compared", {"job": "compare_serving", "counts": {"MISSING": 2, "STALE": 1}},
            {(Metric.DRIFTED_ITEMS, "compare_serving"): 3}, id="drift"),
        param("compared", {"job": "compare_serving", "counts": {"MISSING": 0}},
            {(Metric.DRIFTED_ITEMS, "compare_serving"): 0}, id="no drift at all"),
        param("sampled", {"job": "compare_serving", "counts": {"MISSING": 2, "STALE": 1}},
            {(Metric.DRIFTED_ITEMS, "compare_serving"): 3}, id="drift in a sample"),
        param("sampled", {"job": "compare_serving", "counts": {"MISSING": 0, "STALE": 0}},
            {}, id="a sample without drift ends no alert"),
        param("compared", {"job": "compare_paths", "counts": {
            "2026-03-09 compared": 70, "UNEXPLAINED": 1, "LATE_SCORE": 4}},
            {(Metric.PATH_DIFFERENCES, "UNEXPLAINED"): 1,
             (Metric.PATH_DIFFERENCES, "LATE_SCORE"): 4}, id="parity"),
        param("batch unusual", {"job": "build_batch", "table": "policies/date=2026-03-09"},
            {(Metric.BATCHES_UNUSUAL, "policies"): 1}, id="a verdict"),
        param("judged", {"job": "build_batch", "counts": {"held policies": 2, "held rates": 0}},
            {(Metric.BATCHES_HELD, "policies"): 2, (Metric.BATCHES_HELD, "rates"): 0},
            id="what is held"),
        param("started", {"job": "audit"}, {}, id="nothing to count"),
    ],
)  # fmt: skip
def test_what_a_job_logs_is_counted(
    event: str, fields: dict[str, Any], figures_told: dict[tuple[Metric, str], float]
) -> None:
    heard: Counter[tuple[Metric, str]] = Counter()
    for each in points_of(event, fields, NOON):
        heard[each.metric, each.subject] += int(sum(each.values))
    # of 0 a figure is sent too, and beside those that a case names there may be others
    assert {key: heard[key] for key in figures_told} == figures_told
    assert bool(heard) == bool(figures_told)


@pytest.mark.parametrize("unscored, figures_told", [
    param(None, [], id="not counted"),
    param(0, [0.0], id="none"),
    param(2, [2.0], id="two"),
])  # fmt: skip
def test_unscored_payments_that_nobody_counted_are_not_told_of_as_none(
    unscored: int | None, figures_told: list[float]
) -> None:
    counts = counts_of({("bronze.transactions", "NEW"): 3}, PushReport(3, 0), unscored)
    points = points_of("enriched", {"job": "enrich_live", "rows": 3, "counts": counts}, NOON)
    assert [v for p in points if p.metric == Metric.UNSCORED for v in p.values] == figures_told
    assert told(points)[Metric.DECIDED, "bronze.transactions"] == 3


def test_waiting_money_is_counted_by_its_age() -> None:
    waiting, missing = str(AccountDifference.WAITING), str(AccountDifference.MISSING)
    today = date(2026, 3, 9)
    lines = [
        *a_line(today, waiting, 1),
        *a_line(today + timedelta(days=1), waiting, 2),  # a sender's clock is ahead
        *a_line(today - timedelta(days=7), waiting, 4),
        *a_line(today - timedelta(days=7), missing, 100),
        *a_line(None, waiting, 8),
    ]
    assert waiting_by_age(lines, today) == {
        "less than a day": 3, "1 to 6 days": 0, "7 to 29 days": 4, "30 days and more": 8,
    }  # fmt: skip


def a_line(day: date | None, kind: str, records: int) -> list[Reconciliation]:
    """The line of an account that has one difference."""
    line = {"step": "a -> b", "day": day, "currency": "EUR", "event_type": "SETTLED"}
    counted = ("delivered", "accepted", "duplicates", "quarantined", "held")
    sums = dict.fromkeys((*counted, "unexplained"), 0) | {
        f"{name}_amount": None for name in (*counted, "unexplained")
    }
    difference = Row(**line, kind=kind, records=records, amount=None, named=0, names=[],
                     oldest_at=NOON)  # fmt: skip
    run = Run("run", NOON, 4, {})
    return published(run, ["a -> b"], [Row(**line, **sums)], [difference], {})
