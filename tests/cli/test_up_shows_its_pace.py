"""What `lakehouse up` shows of its streams, from what queries, broker and tables tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from pytest import param

from lakehouse.cli.pace import Pace
from lakehouse.cli.progress import Arrivals, Told
from lakehouse.config import Config
from lakehouse.delta import path_of
from lakehouse.errors import BrokerUnreachableError, DynamoDbError
from lakehouse.supervisor import Ending, Supervised
from lakehouse.tables import BRONZE_FRAUD_SCORES, BRONZE_TRANSACTIONS, SILVER_CORRECTIONS

TOPIC = "payments.transactions"
NOW = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
INTERVAL = timedelta(seconds=2)

BUSY = {"isDataAvailable": True, "message": "Processing new data", "isTriggerActive": True}
WAITING = {
    "isDataAvailable": False,
    "message": "Waiting for next trigger",
    "isTriggerActive": False,
}
BEGINNING = {"isDataAvailable": False, "message": "Initializing sources", "isTriggerActive": False}


def a_batch(*sources: Mapping[str, Any], number: int = 7, **fields: Any) -> dict[str, Any]:
    """Progress as Spark 3.5 writes it, without what nobody reads here."""
    progress = {
        "batchId": number,
        "timestamp": "2026-03-09T11:59:57.000Z",
        "durationMs": {"triggerExecution": 1500},
        "inputRowsPerSecond": 50.25,
        "sources": list(sources),
    }
    return progress | fields


def of_topic(end: Mapping[str, int], latest: Mapping[str, int] | None = None) -> dict[str, Any]:
    return {
        "description": f"KafkaV2[Subscribe[{TOPIC}]]",
        "endOffset": {TOPIC: dict(end)},
        "latestOffset": {TOPIC: dict(latest or end)},
    }


def of_table(path: str, next_version: int) -> dict[str, Any]:
    return {
        "description": f"DeltaSource[file:{path}]",
        "endOffset": {"reservoirVersion": next_version, "index": -1},
        "latestOffset": None,
    }


@pytest.mark.parametrize(
    "progress, status, rate",
    [
        param(None, BEGINNING, 0, id="before its first micro-batch"),
        param(a_batch(), BUSY, 50.25, id="as the last micro-batch"),
        param(a_batch(), WAITING, 0, id="nothing comes"),
        param(a_batch(inputRowsPerSecond=None), BUSY, 0, id="Spark knows none yet"),
    ],
)
def test_the_rate_is_of_what_comes_now(
    progress: dict[str, Any] | None, status: dict[str, Any], rate: float
) -> None:
    assert Told(progress, status).rate == rate


@pytest.mark.parametrize(
    "progress, status, seconds_ago",
    [
        param(None, BEGINNING, None, id="it has not looked yet"),
        param(None, WAITING, 2, id="nothing was there at the last look"),
        param(a_batch(of_topic({"0": 9})), BUSY, 3, id="all that was there when it began"),
        param(a_batch(of_topic({"0": 9}, {"0": 10})), BUSY, None, id="more than a batch takes"),
    ],
)
def test_a_topic_has_landed_up_to_the_last_look(
    progress: dict[str, Any] | None, status: dict[str, Any], seconds_ago: int | None
) -> None:
    expected = None if seconds_ago is None else NOW - timedelta(seconds=seconds_ago)
    assert Told(progress, status).landed_through(NOW, INTERVAL) == expected


def test_a_reader_has_what_arrived_before_the_versions_that_it_has_read() -> None:
    arrivals = Arrivals()
    at = [NOW + timedelta(seconds=second) for second in range(4)]
    for version, through in ((1, at[0]), (2, at[1]), (2, None), (4, at[3])):
        arrivals.note(version, through)
    read = [arrivals.through(version) for version in (None, 1, 2, 3, 4, 5, 9)]
    assert read == [None, None, at[0], at[1], at[1], at[3], at[3]]


@dataclass
class Query:
    """A query that tells what a test says."""

    lastProgress: dict[str, Any] | None
    status: dict[str, Any]


@dataclass
class Stream:
    """A stream under supervision, without a thread."""

    name: str
    query: Query | None
    state: str = "running"
    failures: int = 0
    fault: Exception | None = None

    def ended(self) -> bool:
        return self.state in ("stopped", "failed")


def supervised(*streams: Stream) -> list[Supervised]:
    return cast(list[Supervised], list(streams))


@pytest.fixture
def paths(config: Config) -> tuple[str, str, str]:
    """Where the tables lie that enrich_live reads."""
    payments, scores, corrections = (
        path_of(config, table)
        for table in (BRONZE_TRANSACTIONS, BRONZE_FRAUD_SCORES, SILVER_CORRECTIONS)
    )
    return payments, scores, corrections


def test_a_picture_says_rate_lag_age_and_what_became_of_the_records(
    config: Config, paths: tuple[str, str, str]
) -> None:
    payments, scores, corrections = paths
    newest = {payments: 8, scores: 3, corrections: 1}
    pace = Pace(config, newest.__getitem__, lambda _: {0: 10, 1: 25})
    for rows, counts in (
        (3, {"NEW": 3, "DUPLICATE": 1, "REFUSED": 1, "UNSCORED": 2}),
        (2, {"NEW": 2, "CONFLICT": 1, "UNSCORED": 0}),
    ):
        named = {f"bronze.transactions {name}": count for name, count in counts.items()}
        pace.hear("enriched", {"rows": rows, "counts": named})
    sources = (of_table(payments, 9), of_table(scores, 3), of_table(corrections, 1))
    reading = a_batch(*sources, number=4)
    picture = pace.picture(
        supervised(
            Stream("ingest_transactions", Query(a_batch(of_topic({"0": 9, "1": 20})), BUSY)),
            Stream("ingest_fraud_scores", Query(None, WAITING)),
            Stream("enrich_live", Query(reading, WAITING)),
        ),
        Ending(),
    )
    assert picture.rows == [
        ["ingest_transactions", "running", 50.2, "6 records", 7, 1.5],
        ["ingest_fraud_scores", "running", 0.0, "0 records", None, None],
        ["enrich_live", "running", 0.0, "2 versions", 4, 1.5],
    ]
    counted = (
        "since the start: 5 payment events decided (2 without a score), 1 duplicates, "
        "2 in quarantine, 5 items pushed"
    )
    assert counted in picture.below
    assert counted in picture.line
    assert picture.below[0].startswith("Live Index: has all that arrived up to ")
    assert "-" not in picture.below[0]


def test_a_picture_names_what_is_away_and_what_is_started_again(
    config: Config, paths: tuple[str, str, str]
) -> None:
    def no_broker(_: str) -> dict[int, int]:
        raise BrokerUnreachableError("127.0.0.1:1")

    pace = Pace(config, dict.fromkeys(paths, 0).__getitem__, no_broker)
    fault = DynamoDbError("index", "no answer")
    picture = pace.picture(
        supervised(
            Stream("ingest_transactions", Query(a_batch(of_topic({"0": 9})), BUSY)),
            Stream("enrich_live", None, "restarting", failures=2, fault=fault),
        ),
        Ending(),
    )
    assert [row[3] for row in picture.rows] == ["no broker", "-"]
    assert f"enrich_live failed (2 of 10 times): {fault}" in picture.below
    assert "up to - s ago" in picture.below[0]
