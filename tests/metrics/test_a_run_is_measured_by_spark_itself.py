"""A real stream into a real table: what its meter hears, and that nobody has to listen well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from pyspark.sql import DataFrame
from pyspark.sql.streaming import StreamingQuery

from gold.following import NOTHING_YET, newest_gold_version, span_behind
from lakehouse.context import Batch, Lakehouse, Trigger
from lakehouse.metrics.meter import Meter
from lakehouse.metrics.points import Metric, Point
from lakehouse.monitoring import configure_logging
from lakehouse.runs import Recorded
from lakehouse.tables import BRONZE_FRAUD_SCORES, BRONZE_TRANSACTIONS
from tests.silver.live_records import a_payment, records_of

Open = Callable[[str], Lakehouse]


def copying(lake: Lakehouse) -> StreamingQuery:
    """Start a job that brings each new row of one table to another, in micro-batches."""

    def append(rows: DataFrame, batch: Batch) -> None:
        lake.append(rows, to=BRONZE_FRAUD_SCORES, batch=batch)

    return lake.each_batch(lake.stream(BRONZE_TRANSACTIONS), append)


def copied(lake: Lakehouse) -> None:
    """Run it to its end."""
    copying(lake).awaitTermination()


def total(points: Sequence[Point], metric: Metric) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in points:
        if each.metric == metric:
            told = sum(value * times for value, times in each.values.items())
            found[each.subject] = found.get(each.subject, 0) + told
    return found


@pytest.fixture
def lake(lake_for: Open) -> Lakehouse:
    """A job with three payments before it."""
    lake = lake_for("ingest_fraud_scores")
    rows = records_of(lake.spark, *[a_payment(f"p{number}") for number in range(3)])
    lake.append(rows, to=BRONZE_TRANSACTIONS)
    return lake


def test_a_stream_and_its_commits_are_measured_and_what_it_read_is_known(
    lake: Lakehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging()
    taken: list[Point] = []
    job, record = lake.job, Recorded("r1")
    meter = Meter(job, "r1", taken.extend)
    copied(replace(lake, meter=meter, record=record))
    meter.close()
    points = [*taken, *meter.tick()]
    assert total(points, Metric.RECORDS_IN) == {job: 3}
    assert total(points, Metric.BATCH_SECONDS)[job] > 0
    assert total(points, Metric.ROWS_OUT) == {BRONZE_FRAUD_SCORES.name: 3}
    assert total(points, Metric.FILES)[BRONZE_FRAUD_SCORES.name] >= 1
    assert '"event": "committed"' in capsys.readouterr().err
    # nothing new: no commit is told twice
    assert total(meter.tick(), Metric.ROWS_OUT) == {}


def one_more(lake: Lakehouse) -> None:
    """Commit one version more to the table that is read."""
    lake.append(records_of(lake.spark, a_payment("p9"), first_offset=9), to=BRONZE_TRANSACTIONS)


def test_a_stream_is_behind_by_what_it_has_not_read(lake: Lakehouse) -> None:
    meter = Meter(lake.job, "r1", lambda _: None)
    query = copying(replace(lake, trigger=Trigger("continuous", 1), meter=meter))
    try:
        query.processAllAvailable()
    finally:
        query.stop()
    meter.close()
    assert total(meter.tick(), Metric.VERSIONS_BEHIND) == {lake.job: 0}
    one_more(lake)
    meter.close()  # the next look is due at once
    assert total(meter.tick(), Metric.VERSIONS_BEHIND) == {lake.job: 1}


def test_a_job_that_ends_by_itself_is_never_behind(lake: Lakehouse) -> None:
    """A stream beside a daily job commits hundreds of versions while that works."""
    meter = Meter(lake.job, "r1", lambda _: None)
    copied(replace(lake, meter=meter))
    one_more(lake)
    meter.close()
    assert total(meter.tick(), Metric.VERSIONS_BEHIND) == {}


def test_a_follower_that_goes_on_is_behind_until_its_next_step(lake_for: Open) -> None:
    meter = Meter("record_history", "r1", lambda _: None)
    once = replace(lake_for("record_history"), meter=meter)
    newest = newest_gold_version(once)
    span_behind(once, NOTHING_YET)
    assert total(meter.tick(), Metric.VERSIONS_BEHIND) == {}
    for position, behind in ((NOTHING_YET, newest + 1), (newest, 0)):
        span_behind(replace(once, trigger=Trigger("continuous", 1)), position)
        meter.close()
        assert total(meter.tick(), Metric.VERSIONS_BEHIND) == {once.job: behind}


def test_a_stream_that_hangs_in_its_first_micro_batch_is_behind(lake: Lakehouse) -> None:
    meter = Meter(lake.job, "r1", lambda _: None)
    replace(lake, meter=meter).stream(BRONZE_TRANSACTIONS)
    meter.follow(lake.spark, is_endless=True)
    assert total(meter.tick(), Metric.VERSIONS_BEHIND) == {lake.job: 0}
    one_more(lake)
    meter.close()
    assert total(meter.tick(), Metric.VERSIONS_BEHIND) == {lake.job: 1}


def test_a_meter_that_fails_is_no_fault_of_the_stream(lake: Lakehouse) -> None:
    def broken(_: Sequence[Point]) -> None:
        raise OSError("nobody takes figures")

    meter = Meter(lake.job, "r1", broken)
    copied(replace(lake, meter=meter))
    meter.close()
    assert lake.read(BRONZE_FRAUD_SCORES).count() == 3
