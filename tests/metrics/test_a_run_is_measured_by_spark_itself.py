"""A real stream into a real table: what its meter hears, and that nobody has to listen well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from pyspark.sql import DataFrame

from lakehouse.context import Batch, Lakehouse
from lakehouse.metrics.meter import Meter
from lakehouse.metrics.points import Metric, Point
from lakehouse.monitoring import configure_logging
from lakehouse.runs import Recorded
from lakehouse.tables import BRONZE_FRAUD_SCORES, BRONZE_TRANSACTIONS
from tests.silver.live_records import a_payment, records_of

Open = Callable[[str], Lakehouse]


def copied(lake: Lakehouse) -> None:
    """Run a job that brings each new row of one table to another, in micro-batches."""

    def append(rows: DataFrame, batch: Batch) -> None:
        lake.append(rows, to=BRONZE_FRAUD_SCORES, batch=batch)

    lake.each_batch(lake.stream(BRONZE_TRANSACTIONS), append).awaitTermination()


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
    assert total(points, Metric.VERSIONS_BEHIND) == {job: 0}
    assert '"event": "committed"' in capsys.readouterr().err
    # nothing new: no commit is told twice
    assert total(meter.tick(), Metric.ROWS_OUT) == {}

    lake.append(records_of(lake.spark, a_payment("p9"), first_offset=9), to=BRONZE_TRANSACTIONS)
    meter.close()  # the next look is due at once
    assert total(meter.tick(), Metric.VERSIONS_BEHIND) == {job: 1}


def test_a_stream_that_hangs_in_its_first_micro_batch_is_behind(lake: Lakehouse) -> None:
    meter = Meter(lake.job, "r1", lambda _: None)
    replace(lake, meter=meter).stream(BRONZE_TRANSACTIONS)
    assert total(meter.tick(), Metric.VERSIONS_BEHIND) == {lake.job: 0}
    lake.append(records_of(lake.spark, a_payment("p9"), first_offset=9), to=BRONZE_TRANSACTIONS)
    meter.close()  # the next look is due at once
    assert total(meter.tick(), Metric.VERSIONS_BEHIND) == {lake.job: 1}


def test_a_meter_that_fails_is_no_fault_of_the_stream(lake: Lakehouse) -> None:
    def broken(_: Sequence[Point]) -> None:
        raise OSError("nobody takes figures")

    meter = Meter(lake.job, "r1", broken)
    copied(replace(lake, meter=meter))
    meter.close()
    assert lake.read(BRONZE_FRAUD_SCORES).count() == 3
