"""An item of the Live Index has all that Silver has, however far apart one payment's events lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.config import Config, DynamoDbSettings
from lakehouse.context import Lakehouse
from lakehouse.dynamodb import Met, PushReport, client, ensure_table, lookup, push
from lakehouse.monitoring import heard_by
from lakehouse.serving_item import Group
from silver.known import days_of
from tests.conftest import NOON
from tests.silver.inference_api import Transactions, a_score_of, body, running
from tests.silver.live_records import (
    Record,
    a_payment,
    a_score,
    an_id,
    connected,
    enriched,
    records_of,
)

MARCH_20 = NOON + timedelta(days=11)
FIRST = a_payment(event="1", timestamp="2026-03-01T08:00:00Z", country="KP", amount=900)
LATE = a_payment(event="2", timestamp="2026-03-09T08:00:00Z", transaction_status="PENDING")
BLOCKED_BY = a_score(fraud_score=0.95, inference_time="2026-03-01T09:00:00Z")


@pytest.fixture
def lake(lake_for: Callable[[str], Lakehouse], dynamodb: DynamoDbSettings) -> Lakehouse:
    """The job's lakehouse, without an inference API."""
    ensure_table(dynamodb)
    return connected(lake_for("enrich_live"), dynamodb)


class Stream:
    """Micro-batches one after the other, each at a time of its own."""

    def __init__(self, lake: Lakehouse, spark: SparkSession) -> None:
        self.lake, self.spark = lake, spark
        self.batches: list[DataFrame] = []
        self.offset = 0

    def take(self, *records: Record, at: datetime = NOON, publish: Any = push) -> None:
        """The next micro-batch."""
        self.batches.append(
            records_of(self.spark, *records, first_offset=self.offset, delivered_at=at)
        )
        self.offset += len(records)
        self.take_again(at, publish)

    def take_again(self, at: datetime, publish: Any = push) -> None:
        """The last one, once more."""
        lake = replace(self.lake, clock=lambda: at)
        enriched(lake, self.batches[-1], len(self.batches) - 1, publish=publish)

    def take_all_again(self, at: datetime) -> None:
        """All of them, by a stream without a checkpoint, for an index that holds nothing."""
        settings = self.lake.config.dynamodb
        client(settings, 1).delete_table(TableName=settings.table)
        ensure_table(settings)
        lake = replace(self.lake, clock=lambda: at)
        for number, batch in enumerate(self.batches):
            enriched(lake, batch, number, query="q2")

    def item(self, name: str = "p1") -> Mapping[str, Any]:
        """The live group of a payment."""
        found = lookup(self.lake.config.dynamodb, an_id(name))
        assert found is not None
        live: Mapping[str, Any] = found["live"]
        return live

    def said(self, like: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of the live group of the first payment, what `like` names."""
        return {name: self.item().get(name) for name in like}


@pytest.fixture
def stream(lake: Lakehouse, spark: SparkSession) -> Stream:
    """A stream whose first micro-batch brought a payment of 1 March that is to be blocked."""
    stream = Stream(lake, spark)
    stream.take(FIRST, BLOCKED_BY, at=NOON - timedelta(days=8))
    assert stream.said(OF_FIRST) == OF_FIRST
    return stream


OF_FIRST = {
    "transaction_status": "AUTHORIZED",
    "recommended_action": "BLOCK",
    "score_source": "TOPIC",
    "decided_at": "2026-03-01T12:00:00.000000Z",
    "first_day": "2026-03-01",
}
OF_BOTH = OF_FIRST | {"country": "DE", "amount": 1000, "event_as_of": "2026-03-09T08:00:00.000000Z"}


@pytest.mark.usefixtures("either_way")
def test_a_late_event_does_not_take_back_what_stands_of_days_that_are_not_read(
    stream: Stream,
) -> None:
    stream.take(LATE, a_payment("other", timestamp="2026-03-20T08:00:00Z"), at=MARCH_20)
    assert stream.said(OF_BOTH) == OF_BOTH
    assert stream.item("other")["transaction_status"] == "AUTHORIZED"


def test_an_event_beside_one_that_is_read_does_not_take_back_what_lies_farther(
    stream: Stream,
) -> None:
    stream.take(LATE, at=MARCH_20)
    third = a_payment(event="3", timestamp="2026-03-10T08:00:00Z", transaction_status="PENDING")
    stream.take(third, at=MARCH_20 + timedelta(days=1))
    expected = OF_BOTH | {"event_as_of": "2026-03-10T08:00:00.000000Z"}
    assert stream.said(expected) == expected


def test_an_older_event_does_not_take_back_what_is_newer(stream: Stream) -> None:
    stream.take(LATE, at=MARCH_20)
    older = a_payment(event="0", timestamp="2026-02-27T08:00:00Z", amount=5)
    stream.take(older, at=MARCH_20 + timedelta(days=20))
    expected = OF_BOTH | {"first_day": "2026-02-27"}
    assert stream.said(expected) == expected


def test_days_between_two_that_are_read_are_not_passed_over(stream: Stream) -> None:
    # of 15 March, and decided for the middle of three events
    stream.take(
        a_payment(event="2", timestamp="2026-03-15T08:00:00Z", sequence=9, amount=77),
        at=MARCH_20,
    )
    far = [
        a_payment("other", timestamp="2026-03-01T08:00:00Z"),
        a_payment(event="3", timestamp="2026-04-01T08:00:00Z"),
    ]
    stream.take(*far, at=MARCH_20 + timedelta(days=12))
    expected = OF_FIRST | {"amount": 77, "event_as_of": "2026-04-01T08:00:00.000000Z"}
    assert stream.said(expected) == expected


def test_a_score_finds_all_of_its_payment(stream: Stream) -> None:
    stream.take(LATE, at=MARCH_20)
    score = a_score(fraud_score=0.1, inference_time="2026-03-14T08:00:00Z", model_version="m2")
    stream.take(score, at=MARCH_20)
    expected = OF_BOTH | {"model_version": "m2", "as_of": "2026-03-14T08:00:00.000000Z"}
    assert stream.said(expected) == expected


@pytest.mark.usefixtures("either_way")
def test_a_score_that_stands_is_not_taken_back_by_an_event_far_from_it(stream: Stream) -> None:
    late_score = a_score(fraud_score=0.1, inference_time="2026-03-07T08:00:00Z", model_version="m2")
    stream.take(late_score, at=NOON)
    older = a_payment(event="0", timestamp="2026-02-27T08:00:00Z", transaction_status="PENDING")
    stream.take(older, at=MARCH_20)
    expected = OF_FIRST | {"model_version": "m2", "first_day": "2026-02-27"}
    assert stream.said(expected) == expected


def test_an_api_score_stands_where_its_row_is_not_read_and_an_older_one_is(
    lake_for: Callable[[str], Lakehouse], dynamodb: DynamoDbSettings, spark: SparkSession
) -> None:
    ensure_table(dynamodb)
    answers = iter((0.9, 0.1))

    def answer(transactions: Transactions) -> bytes:
        return body([a_score_of(each, next(answers)) for each in transactions])

    with running(answer) as api:
        stream = Stream(connected(lake_for("enrich_live"), dynamodb, api.url), spark)
        stream.take(FIRST, at=NOON - timedelta(days=8))
        assert stream.item()["fraud_score"] == Decimal("0.9")
        stream.take(LATE, at=MARCH_20)
        by_second = {"fraud_score": Decimal("0.1"), "first_day": "2026-03-01"}
        assert stream.said(by_second) == by_second
        third = a_payment(event="3", timestamp="2026-03-10T08:00:00Z")
        # of both scores, the days that are read again have the first one's row alone
        stream.take(third, at=MARCH_20 + timedelta(days=16))
    assert len(api.asked_ids) == 2
    expected = by_second | {"event_as_of": "2026-03-10T08:00:00.000000Z"}
    assert stream.said(expected) == expected


@pytest.mark.parametrize(
    "days",
    [
        pytest.param([20], id="farther away than is looked"),
        # the first micro-batch reads one of them, and the second all three
        pytest.param([7, 12], id="one near, one far"),
    ],
)
def test_an_index_made_anew_of_what_is_committed_has_as_much(
    stream: Stream, days: list[int]
) -> None:
    events = [a_payment(event=f"{day}", timestamp=f"2026-03-{day:02}T08:00:00Z") for day in days]
    stream.take(*events, at=MARCH_20)
    whole = stream.item()
    stream.take_all_again(at=MARCH_20 + timedelta(days=30))
    assert stream.item() == whole


def test_a_score_of_a_wrong_clock_stays_and_does_not_make_all_of_silver_be_read(
    stream: Stream,
) -> None:
    lines: list[tuple[str, Any]] = []

    def hear(event: str, fields: Mapping[str, Any]) -> bool:
        lines.append((event, fields.get("counts")))
        return False

    stream.take(a_payment("p2"))
    in_2000 = a_score("p2", fraud_score=0.1, inference_time="2000-01-01T00:00:01Z")
    between = a_payment("p2", event="3", timestamp="2010-03-09T08:00:00Z", sequence=9, amount=1)
    with heard_by(hear):
        stream.take(in_2000, at=NOON)
        stream.take(between, at=NOON)
        stream.take(a_payment("p2", event="2", sequence=1, amount=77), at=MARCH_20)
    found = stream.item("p2")
    assert (found["model_version"], found["first_day"]) == ("m1", "2000-01-01")
    assert found["amount"] == 77  # of 2010 nothing was read
    told = [counts for event, counts in lines if event == "items reach too far back"]
    assert told == [{"items": 1}] * 3


def test_what_lies_before_is_not_lost_to_a_score_of_a_wrong_clock(stream: Stream) -> None:
    first = a_payment("p2", timestamp="2026-03-01T08:00:00Z", sequence=9, amount=77)
    stream.take(first, at=NOON - timedelta(days=8))
    stream.take(a_score("p2", inference_time="2000-01-01T00:00:01Z"), at=NOON - timedelta(days=7))
    late = a_payment("p2", event="2", timestamp="2026-03-20T08:00:00Z", sequence=1, amount=5)
    stream.take(late, at=MARCH_20)
    found = stream.item("p2")
    assert (found["amount"], found["first_day"]) == (77, "2000-01-01")


@pytest.mark.parametrize(
    ("first", "spans"),
    [
        pytest.param(
            date(2025, 9, 21), [(date(2025, 9, 21), date(2026, 3, 20))], id="as far as disputes go"
        ),
        pytest.param(
            date(2025, 9, 20),
            [(date(2025, 9, 20), date(2025, 9, 27)), (date(2025, 9, 21), date(2026, 3, 20))],
            id="a day farther",
        ),
    ],
)
def test_of_an_item_that_reaches_too_far_back_both_ends_are_read(
    config: Config, first: date, spans: list[tuple[date, date]]
) -> None:
    assert days_of(Met("t1", first, date(2026, 3, 20)), config.gold) == spans


class Killed(Exception):
    """The process ends here."""


@pytest.mark.parametrize("nth", [1, 2])
def test_a_batch_killed_around_its_pushes_comes_to_the_same(stream: Stream, nth: int) -> None:
    left = nth

    def dying(items: DataFrame, group: Group, settings: DynamoDbSettings) -> PushReport:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        return push(items, group, settings)

    with pytest.raises(Killed):
        stream.take(LATE, at=MARCH_20, publish=dying)
    # what stands is old until then, but never less
    assert stream.said(OF_FIRST) == OF_FIRST
    stream.take_again(at=MARCH_20 + timedelta(days=1))
    assert stream.said(OF_BOTH) == OF_BOTH


def test_what_was_read_in_one_span_is_pushed_once(stream: Stream) -> None:
    pushes: list[PushReport] = []

    def counting(items: DataFrame, group: Group, settings: DynamoDbSettings) -> PushReport:
        pushes.append(push(items, group, settings))
        return pushes[-1]

    near = a_payment(event="2", timestamp="2026-03-02T08:00:00Z")
    stream.take(near, a_payment("other"), at=NOON, publish=counting)
    assert pushes == [PushReport(written=2, refused=0)]
