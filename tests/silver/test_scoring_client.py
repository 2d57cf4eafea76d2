"""A score is a good answer for the transaction that was asked for; anything else is no score."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from lakehouse.config import CircuitBreakerSettings, Config, ScoringSettings
from silver.scoring import score_missing, scores_of_partition
from tests.conftest import NOON
from tests.silver.inference_api import (
    Answer,
    Transactions,
    a_score_of,
    body,
    good,
    running,
)

COLUMNS = """transaction_id string, user_id string, timestamp timestamp, amount decimal(15,2),
currency string, country string, merchant_id string"""


def payments(spark: SparkSession, *ids: str) -> DataFrame:
    moment = datetime(2026, 3, 9, 8, 0, tzinfo=UTC)
    rows = [(each, "u1", moment, Decimal("1234"), "EUR", "DE", None) for each in ids]
    return spark.createDataFrame(rows, COLUMNS).coalesce(1)


@pytest.fixture
def settings(config: Config) -> ScoringSettings:
    """Two in a batch, one batch after the other."""
    return config.scoring.model_copy(update={"batch_size": 2, "concurrency": 1})


def at(settings: ScoringSettings, url: str | None) -> ScoringSettings:
    return settings.model_copy(update={"url": url})


def scored(asked: DataFrame, settings: ScoringSettings) -> dict[str, tuple[Any, ...]]:
    return {row[0]: tuple(row)[1:] for row in score_missing(asked, settings, NOON).collect()}


def in_one_partition(*ids: str, settings: ScoringSettings) -> set[str]:
    """Without the engine: the transactions that got a score."""
    partition = [Row(transaction_id=each) for each in ids]
    return {score[0] for score in scores_of_partition(partition, settings, NOON)}


def test_good_answers_become_scores_batch_by_batch(
    spark: SparkSession, settings: ScoringSettings
) -> None:
    with running() as api:
        scores = score_missing(payments(spark, "a", "b", "c"), at(settings, api.url), NOON)
        found = {row["transaction_id"]: row for row in scores.collect()}
    assert [len(batch) for batch in api.asked] == [2, 1]
    assert api.asked[1] == [
        {
            "transaction_id": "c",
            "user_id": "u1",
            "timestamp": "2026-03-09T08:00:00.000000Z",
            "amount": "1234",
            "currency": "EUR",
            "country": "DE",
            "merchant_id": None,
        }
    ]
    assert set(found) == {"a", "b", "c"}
    a = found["a"]
    assert (a["model_version"], a["fraud_score"]) == ("api-1", Decimal("0.250000"))
    assert a["explanations"] == '{"amount": 0.5}'
    assert a["inference_time"].astimezone(UTC) == NOON


def first_scored(score: Any) -> Answer:
    """An answer with this score for the first transaction, and a good one for the others."""

    def answer(transactions: Transactions) -> bytes:
        first, *others = transactions
        return body([a_score_of(first, score), *(a_score_of(each) for each in others)])

    return answer


def for_another_id(transactions: Transactions) -> bytes:
    stranger = a_score_of({"transaction_id": "stranger"})
    return body([stranger, *(a_score_of(each) for each in transactions[1:])])


def doubled(transactions: Transactions) -> bytes:
    return body([a_score_of(transactions[0], 0.1), *map(a_score_of, transactions)])


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(first_scored(float("nan")), id="NaN"),
        pytest.param(first_scored(1.000001), id="above 1"),
        pytest.param(first_scored(-0.1), id="below 0"),
        pytest.param(first_scored(1e400), id="infinite"),
        pytest.param(first_scored("0.5"), id="a text"),
        pytest.param(first_scored(True), id="a truth value"),
        pytest.param(first_scored(None), id="null"),
        pytest.param(for_another_id, id="for another id"),
        pytest.param(doubled, id="twice"),
        pytest.param(lambda asked: body([a_score_of(each) for each in asked[1:]]), id="missing"),
        pytest.param(lambda asked: body(["?", *map(a_score_of, asked[1:])]), id="no object"),
    ],
)
def test_one_bad_answer_leaves_only_its_transaction_unscored(
    settings: ScoringSettings, answer: Answer
) -> None:
    with running(answer) as api:
        assert in_one_partition("a", "b", settings=at(settings, api.url)) == {"b"}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(lambda _: b"<html>", 200, id="not JSON"),
        pytest.param(lambda _: b"[" * 100_000, 200, id="deep"),
        pytest.param(lambda _: b"\xff\xfe\x00", 200, id="not text"),
        pytest.param(lambda _: b"[]", 200, id="a list"),
        pytest.param(lambda _: b'{"model_version": "m", "scores": {}}', 200, id="scores no list"),
        pytest.param(lambda asked: body(list(map(a_score_of, asked)), ""), 200, id="no version"),
        pytest.param(good, 422, id="refused"),
    ],
)
def test_nonsense_leaves_its_batch_unscored_and_the_next_is_asked(
    settings: ScoringSettings, answer: Answer, status: int
) -> None:
    with running(answer, status) as api:
        assert in_one_partition("a", "b", "c", settings=at(settings, api.url)) == set()
    assert len(api.asked) == 2


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:1/score"], ids=["none", "down"])
def test_without_a_service_nothing_is_scored(
    spark: SparkSession, settings: ScoringSettings, url: str | None
) -> None:
    assert scored(payments(spark, "a"), at(settings, url)) == {}


def test_the_next_micro_batch_knows_that_the_service_is_dead(
    spark: SparkSession, settings: ScoringSettings
) -> None:
    once, micro_batches = CircuitBreakerSettings(failures=1, open_seconds=3600), 8
    with running(good, status=503) as api:
        short = at(settings, api.url).model_copy(update={"attempts": 1, "circuit_breaker": once})
        for _ in range(micro_batches):
            assert scored(payments(spark, "a", "b", "c", "d", "e"), short) == {}
    # each of the engine's few Python workers finds out for itself; else each batch sends three
    assert 1 <= len(api.asked) < micro_batches
