"""Streams side by side: one that fails comes back by itself, and an end waits for what is begun."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from lakehouse.config import Config
from lakehouse.context import Batch, Lakehouse
from lakehouse.errors import LeaseHeldError, RecordsLostError, ServiceError
from lakehouse.job import Job
from lakehouse.lease import held_lease
from lakehouse.supervisor import Ending, pause_seconds, side_by_side

pytestmark = pytest.mark.usefixtures("spark")
TIMEOUT_SECONDS = 60


@pytest.fixture
def every_second(config: Config) -> Config:
    """Micro-batches may begin each second."""
    trigger = config.trigger.model_copy(update={"interval_seconds": 1})
    return config.model_copy(update={"trigger": trigger})


def a_job(name: str, process: Callable[[DataFrame, Batch], None]) -> Job:
    """A streaming job with a row or two in each micro-batch."""

    def job(lake: Lakehouse) -> StreamingQuery:
        rows = lake.spark.readStream.format("rate").option("rowsPerSecond", 2).load()
        return lake.each_batch(rows, process)

    job.__name__ = name
    return job


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_a_stream_that_fails_is_started_again_while_the_others_go_on(every_second: Config) -> None:
    tried: list[int] = []
    steady: list[int] = []

    def process(_: DataFrame, batch: Batch) -> None:
        tried.append(batch.number)
        if len(tried) < 3:
            raise ServiceError("away for a moment")

    jobs = [
        a_job("failing", process),
        a_job("steady", lambda _, batch: steady.append(batch.number)),
    ]
    with side_by_side(jobs, every_second, Ending()) as streams:
        failing, other = streams
        wait_until(lambda: len(tried) > 3 and not failing.failures)
        assert str(failing.fault) == "away for a moment"
        assert other.fault is None
    # the micro-batch that failed came again until it was done
    assert tried[:3] == [tried[0]] * 3
    assert steady == list(range(len(steady)))
    assert [stream.state for stream in streams] == ["stopped", "stopped"]


def test_an_end_waits_for_the_micro_batch_under_way_and_frees_the_leases(
    every_second: Config,
) -> None:
    begun: list[int] = []
    done: list[int] = []

    def process(_: DataFrame, batch: Batch) -> None:
        begun.append(batch.number)
        time.sleep(1.5)
        done.append(batch.number)

    ending = Ending()
    with side_by_side([a_job("slow", process)], every_second, ending) as streams:
        wait_until(lambda: len(begun) > len(done))
        with pytest.raises(LeaseHeldError), held_lease(every_second, "slow"):
            pass
        under_way = begun[-1]
        ending.ask()
        wait_until(streams[0].ended)
    assert under_way in done
    committed = Path(every_second.lake.checkpoints) / "slow" / "commits" / str(under_way)
    assert committed.exists()
    with held_lease(every_second, "slow"):
        pass


def test_what_only_a_person_can_decide_ends_all_of_them(every_second: Config) -> None:
    def losing(_: Lakehouse) -> StreamingQuery:
        raise RecordsLostError("losing", "topic", ["0:1-2"], "has let go of records")

    other = a_job("other", lambda *_: None)
    with (
        pytest.raises(RecordsLostError),
        side_by_side([losing, other], every_second, Ending()) as streams,
    ):
        wait_until(lambda: all(stream.ended() for stream in streams))
    assert [stream.state for stream in streams] == ["failed", "stopped"]
    assert streams[0].failures == 1


def test_who_asks_twice_does_not_want_to_wait() -> None:
    ending = Ending()
    ending.ask()
    assert (ending.asked, ending.at_once) == (True, False)
    ending.ask()
    assert (ending.asked, ending.at_once) == (True, True)


def test_each_pause_is_longer_up_to_half_a_minute(spark: SparkSession) -> None:
    assert [pause_seconds(failures) for failures in (1, 2, 3, 4, 5, 6, 9)] == [
        1, 2, 4, 8, 16, 30, 30,
    ]  # fmt: skip
