"""Payments -> scores: what the inference API answers well is one, everything else is no score."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from itertools import islice
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse.config import ScoringSettings
from lakehouse.tables import SILVER_FRAUD_SCORES
from silver.circuit_breaker import breaker_of
from silver.inference import Batch, answers

SCORED = (
    "transaction_id",
    "model_version",
    "fraud_score",
    "explanations",
    "inference_time",
)
"""The seed's Fraud Model Output."""

_ASKED = ("transaction_id", "user_id", "currency", "country", "merchant_id")
_SIX_DECIMALS = Decimal("0.000001")
_MOST_EXPLANATION = 6_000  # characters, of ASCII: a row of it is still light (lakehouse/frames.py)
_MOST_VERSION = 200

Score = tuple[str, str, Decimal, str | None, datetime]


def score_missing(
    payments: DataFrame, settings: ScoringSettings, inferred_at: datetime
) -> DataFrame:
    """Ask the inference API for a score of each payment: one row per transaction it answered well.

    `payments` has one row per transaction. A transaction has no row when the service is down,
    slow or not configured, or when its answer is missing, doubled, not a number, or outside 0..1:
    no score is not a score of zero. `inferred_at` becomes the `inference_time`, which the API
    does not give. Never fails for a fault of the service, and waits for it for at most
    `total_deadline_seconds` per partition. Every evaluation of the result asks again: write it
    once and read that.
    """
    fields = {field.name: field for field in SILVER_FRAUD_SCORES.schema}
    columns = StructType([fields[name] for name in SCORED])
    session = payments.sparkSession
    if settings.url is None:
        return session.createDataFrame([], columns)
    asked = payments.select(
        *_ASKED,
        F.date_format("timestamp", "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX").alias("timestamp"),
        F.col("amount").cast("decimal(15,0)").cast("string").alias("amount"),
    )
    ask = partial(scores_of_partition, settings=settings, inferred_at=inferred_at)
    return session.createDataFrame(asked.rdd.mapPartitions(ask), columns)


def scores_of_partition(
    payments: Iterable[Row], settings: ScoringSettings, inferred_at: datetime
) -> Iterator[Score]:
    """Ask for one partition, in a Python worker: the scores that `score_missing` promises."""
    breaker = breaker_of(str(settings.url), settings.circuit_breaker)
    for batch, answer in answers(_batches(payments, settings.batch_size), settings, breaker):
        yield from _well_answered(answer, {p["transaction_id"] for p in batch}, inferred_at)


def _batches(payments: Iterable[Row], size: int) -> Iterator[Batch]:
    rest = iter(payments)
    while batch := [payment.asDict() for payment in islice(rest, size)]:
        yield batch


def _well_answered(answer: Any, asked: set[str], inferred_at: datetime) -> Iterator[Score]:
    if not isinstance(answer, dict):
        return
    version, scores = answer.get("model_version"), answer.get("scores")
    if not isinstance(version, str) or not 0 < len(version.strip()) <= _MOST_VERSION:
        return
    if not isinstance(scores, list):
        return
    given = [score for score in scores if isinstance(score, dict)]
    times = Counter(_id_of(score) for score in given)
    for score in given:
        transaction_id, value = _id_of(score), _probability(score.get("fraud_score"))
        if transaction_id in asked and times[transaction_id] == 1 and value is not None:
            explained = _explanation(score.get("explanations"))
            yield transaction_id, version.strip(), value, explained, inferred_at


def _id_of(score: dict[str, Any]) -> str:
    named = score.get("transaction_id")
    return named.lower() if isinstance(named, str) else ""


def _probability(value: Any) -> Decimal | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1:
        return None
    return Decimal(str(value)).quantize(_SIX_DECIMALS, ROUND_HALF_UP)


def _explanation(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    try:
        text = json.dumps(value, sort_keys=True, allow_nan=False)
    except ValueError:
        return None
    return text if len(text) <= _MOST_EXPLANATION else None
