"""CloudWatch (moto, over HTTP) gets figures in batches; one that hangs or refuses harms no job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Semaphore, Thread, current_thread
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from moto.moto_api._internal.models import moto_api_backend
from moto.server import ThreadedMotoServer

from lakehouse.config import Config, FiguresInCloudWatch
from lakehouse.errors import FiguresError, FiguresLeftError
from lakehouse.local.ports import free_ports
from lakehouse.metrics.cloudwatch import CloudWatchFigures
from lakehouse.metrics.places import metered
from lakehouse.metrics.points import Metric, Point, Stat, minute_of, point
from lakehouse.metrics.sending import Sender
from tests.conftest import NOON

REGION = "eu-central-1"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of nobody: no test reaches the real service."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")


def settings(address: str) -> FiguresInCloudWatch:
    return FiguresInCloudWatch(
        store="cloudwatch", namespace="Lakehouse", dimensions={"Environment": "test"},
        region=REGION, endpoint_url=address,
    )  # fmt: skip


@pytest.fixture
def cloudwatch() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    moto_api_backend.reset()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def test_what_was_sent_counts_as_statistics_of_all_values(cloudwatch: str) -> None:
    at = minute_of(datetime.now(UTC)) - timedelta(minutes=5)
    figures = CloudWatchFigures(settings(cloudwatch))
    figures.send([
        Point(Metric.FRESHNESS_SECONDS, "silver.live_transactions", at, {1.0: 90, 20.0: 10}),
        point(Metric.DECIDED, "silver.live_transactions", at - timedelta(days=15), 7),
    ])  # fmt: skip
    assert figures.subjects(Metric.FRESHNESS_SECONDS) == ["silver.live_transactions"]
    client = boto3.client("cloudwatch", endpoint_url=cloudwatch, region_name=REGION)
    (told,) = client.get_metric_statistics(
        Namespace="Lakehouse",
        MetricName="FreshnessSeconds",
        Dimensions=[
            {"Name": "Environment", "Value": "test"},
            {"Name": "Subject", "Value": "silver.live_transactions"},
        ],
        StartTime=at,
        EndTime=at + HOUR,
        Period=60,
        Statistics=["SampleCount", "Sum", "Maximum"],
    )["Datapoints"]
    assert (told["SampleCount"], told["Sum"], told["Maximum"]) == (100, 290.0, 20.0)
    # CloudWatch would refuse the whole request for what is older than two weeks
    assert figures.subjects(Metric.DECIDED) == []


def test_a_point_that_is_too_old_or_too_far_ahead_costs_itself_alone(cloudwatch: str) -> None:
    now = minute_of(datetime.now(UTC))
    figures = CloudWatchFigures(settings(cloudwatch))
    lost = figures.send([
        point(Metric.FRAUD_SCORE, "ahead", now + timedelta(hours=3), 0.5),
        point(Metric.FRAUD_SCORE, "good", now, 0.5),
        point(Metric.FRAUD_SCORE, "old", now - timedelta(days=15), 0.5),
    ])  # fmt: skip
    assert (lost, figures.subjects(Metric.FRAUD_SCORE)) == (2, ["good"])


def test_a_refused_request_is_split_until_the_bad_point_stands_alone(cloudwatch: str) -> None:
    """What is no number is refused, and all that came with it."""
    at = minute_of(datetime.now(UTC))
    figures = CloudWatchFigures(settings(cloudwatch))
    values = [float("nan") if n == 7 else float(n) for n in range(20)]
    told = [point(Metric.CONSUMER_LAG, f"job/{n}", at, value) for n, value in enumerate(values)]
    assert figures.send(told) == 1
    found = figures.subjects(Metric.CONSUMER_LAG)
    assert sorted(found) == sorted(f"job/{n}" for n in range(20) if n != 7)


def failing_at(figures: CloudWatchFigures, call: int) -> list[int]:
    """Let one request get no answer; the sizes of all requests, as they are made."""
    sizes: list[int] = []

    def look(params: dict[str, Any], **_: Any) -> None:
        sizes.append(len(params["MetricData"]))
        if len(sizes) == call:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1")

    figures._client.meta.events.register("provide-client-params.cloudwatch.PutMetricData", look)
    return sizes


def test_what_was_taken_before_a_request_failed_is_left_out_of_what_is_left(
    cloudwatch: str,
) -> None:
    at = minute_of(datetime.now(UTC))
    figures = CloudWatchFigures(settings(cloudwatch))
    sizes = failing_at(figures, call=2)
    many = Point(Metric.FRESHNESS_SECONDS, "t", at, {float(n): 1 for n in range(200)})
    points = [*(point(Metric.CONSUMER_LAG, f"job/{n}", at, n) for n in range(999)), many]
    with pytest.raises(FiguresLeftError) as failed:
        figures.send(points)
    # a datum takes 150 values: those of the last point stand in two requests
    (left,) = failed.value.left
    assert (left.subject, sorted(left.values)) == ("t", [float(n) for n in range(150, 200)])
    assert (failed.value.lost, figures.send(failed.value.left)) == (0, 0)
    assert sizes == [1000, 1, 1]


def test_points_that_are_lost_before_a_request_failed_are_counted(cloudwatch: str) -> None:
    at = minute_of(datetime.now(UTC))
    figures = CloudWatchFigures(settings(cloudwatch))
    # both are refused, then the first alone; the second gets no answer
    failing_at(figures, call=3)
    with pytest.raises(FiguresLeftError) as failed:
        figures.send([point(Metric.CONSUMER_LAG, name, at, value)
                      for name, value in (("bad", float("nan")), ("good", 1.0))])  # fmt: skip
    assert ([each.subject for each in failed.value.left], failed.value.lost) == (["good"], 1)


def test_a_sender_sends_what_is_left_and_no_more() -> None:
    asked: list[list[str]] = []
    twice = Event()

    def send(points: Sequence[Point]) -> int:
        asked.append([each.subject for each in points if each.metric == Metric.RECORDS_IN])
        if len(asked) == 1:
            raise FiguresLeftError("CloudWatch", "no answer", points[1:], 0)
        twice.set()
        return 0

    sender = Sender("job", send, seconds=0.01, queue_points=50)
    sender.take([point(Metric.RECORDS_IN, name, NOON, 1) for name in ("taken", "left")])
    with sender.running():
        assert twice.wait(60)
    assert asked[:2] == [["taken", "left"], ["left"]]


def test_the_place_of_figures_is_opened_once_and_by_the_senders_thread(config: Config) -> None:
    opened: list[str] = []
    sent = Semaphore(0)

    class Place:
        def send(self, points: Sequence[Point]) -> int:
            sent.release()
            return 0

        def subjects(self, metric: Metric) -> Sequence[str]:
            return []

        def stats(self, *_: Any) -> Sequence[Stat]:
            return []

    def open_it(_: Config) -> Place:
        opened.append(current_thread().name)
        return Place()

    metrics = config.metrics.model_copy(update={"flush_seconds": 0.01})
    often = config.model_copy(update={"metrics": metrics})
    with metered(often, "job", opened=open_it):
        assert all(sent.acquire(timeout=60) for _ in range(3))
    assert opened == ["metrics-job"]


def test_points_that_nobody_can_take_are_counted() -> None:
    heard: list[Point] = []
    counted = Event()

    def send(points: Sequence[Point]) -> int:
        heard.extend(points)
        if any(each.metric == Metric.DROPPED_POINTS for each in points):
            counted.set()
        return sum(each.subject == "bad" for each in points)

    sender = Sender("job", send, seconds=0.01, queue_points=50)
    with sender.running():
        sender.take([point(Metric.RECORDS_IN, name, NOON, 1) for name in ("bad", "good")])
        assert counted.wait(60)
    assert [p.values for p in heard if p.metric == Metric.DROPPED_POINTS] == [{1.0: 1}]


def test_statistics_come_by_span_from_all_pages() -> None:
    """By what the service's own model says: moto knows no percentiles."""
    figures = CloudWatchFigures(settings("http://127.0.0.1:1"))
    later = NOON + timedelta(minutes=1)

    def result(name: str, *values: float) -> dict[str, Any]:
        return {"Id": name, "Timestamps": [NOON, later][-len(values) :], "Values": [*values]}

    pages: list[dict[str, Any]] = [
        {"MetricDataResults": [result("count", 100, 0), result("total", 290, 0)], "NextToken": "n"},
        {"MetricDataResults": [result("high", 20, 0), result("most", 20, 0)]},
    ]
    with Stubber(figures._client) as stub:
        for page in pages:
            stub.add_response("get_metric_data", page)
        minute = timedelta(minutes=1)
        found = figures.stats(Metric.FRESHNESS_SECONDS, "t", NOON, NOON + HOUR, minute)
    # a span without values lacks
    assert found == [Stat(NOON, 100, 290.0, 20.0, 20.0)]


def test_no_request_has_more_than_a_thousand_data(cloudwatch: str) -> None:
    figures = CloudWatchFigures(settings(cloudwatch))
    sizes: list[int] = []
    figures._client.meta.events.register(
        "provide-client-params.cloudwatch.PutMetricData",
        lambda params, **_: sizes.append(len(params["MetricData"])),
    )
    at = minute_of(datetime.now(UTC))
    figures.send([point(Metric.CONSUMER_LAG, f"job/{n}", at, n) for n in range(2_100)])
    assert sizes == [1000, 1000, 100]
    told = boto3.client("cloudwatch", endpoint_url=cloudwatch, region_name=REGION)
    pages = told.get_paginator("list_metrics").paginate(Namespace="Lakehouse")
    assert sum(len(page["Metrics"]) for page in pages) == 2_100


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer(self)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def in_cloudwatch(config: Config, address: str, **more: Any) -> Config:
    metrics = config.metrics.model_copy(
        update={"to": settings(address), "flush_seconds": 0.05, **more}
    )
    return config.model_copy(update={"metrics": metrics})


def test_a_job_ends_its_work_while_cloudwatch_still_owes_an_answer(config: Config) -> None:
    asked, released = Event(), Event()

    def hang(request: BaseHTTPRequestHandler) -> None:
        asked.set()
        released.wait(60)
        request.send_error(500)

    with answering(hang) as address:
        with metered(in_cloudwatch(config, address, queue_points=50), "job") as meter:
            assert asked.wait(60)
            # far more than the queue takes: what is beyond is dropped, and nothing waits
            for number in range(1_000):
                meter.take([point(Metric.RECORDS_IN, f"s{number}", datetime.now(UTC), 1)])
            assert not released.is_set()  # all that, and no answer yet
            released.set()
        assert asked.is_set()


def test_a_server_that_refuses_or_is_absent_fails_no_job_but_says_so_to_who_asks(
    config: Config,
) -> None:
    refused = Event()

    def refuse(request: BaseHTTPRequestHandler) -> None:
        request.send_error(403)
        refused.set()

    (nobody,) = free_ports(1)
    with answering(refuse) as address:
        with metered(in_cloudwatch(config, address), "job"):
            assert refused.wait(60)
        with pytest.raises(FiguresError, match="ClientError"):
            CloudWatchFigures(settings(address)).subjects(Metric.ALIVE)
    with metered(in_cloudwatch(config, f"http://127.0.0.1:{nobody}"), "job") as meter:
        meter.take([point(Metric.RECORDS_IN, "job", datetime.now(UTC), 1)])
