"""Client of the inference API: what it answers well becomes scores, everything else is no score."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from itertools import islice
from typing import Any

import httpx
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import StructType
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from lakehouse.config import ScoringSettings
from lakehouse.tables import SILVER_FRAUD_SCORES

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
_MOST_EXPLANATION = 10_000  # characters; a longer one is no explanation
_MOST_VERSION = 200
_BACKOFF_SECONDS = 0.1
_MOST_BACKOFF_SECONDS = 2.0

Answer = tuple[str, str, Decimal, str | None, datetime]


class _UnreachableError(Exception):
    """The service did not answer this request, and may answer a later one."""


def score_missing(
    payments: DataFrame, settings: ScoringSettings, inferred_at: datetime
) -> DataFrame:
    """Ask the inference API for a score of each payment: one row per transaction it answered well.

    `payments` has one row per transaction. A transaction has no row when the service is down,
    slow or not configured, or when its answer is missing, doubled, not a number, or outside 0..1:
    no score is not a score of zero. `inferred_at` becomes the `inference_time`, which the API
    does not give. Never fails for a fault of the service; in each partition the first request
    that stays unanswered after all attempts is the last one. Every evaluation of the result asks
    again: write it once and read that.
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
    ask = partial(_scores_of_partition, settings=settings, inferred_at=inferred_at)
    return session.createDataFrame(asked.rdd.mapPartitions(ask), columns)


def _scores_of_partition(
    payments: Iterable[Row], settings: ScoringSettings, inferred_at: datetime
) -> Iterator[Answer]:
    timeout = httpx.Timeout(settings.read_timeout_seconds, connect=settings.connect_timeout_seconds)
    rest = iter(payments)
    # a proxy of the machine has no business between the platform and its model
    with httpx.Client(timeout=timeout, trust_env=False) as http:
        while batch := [payment.asDict() for payment in islice(rest, settings.batch_size)]:
            try:
                answer = _ask(http, settings, batch)
            except _UnreachableError:
                return
            yield from _well_answered(answer, {p["transaction_id"] for p in batch}, inferred_at)


def _ask(http: httpx.Client, settings: ScoringSettings, batch: list[dict[str, Any]]) -> Any:
    """Send one batch; the parsed answer, or None where the service answered with nonsense.

    Raises:
        _UnreachableError: no answer, or a failure of the service, at every attempt.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(_UnreachableError),
        stop=stop_after_attempt(settings.attempts),
        wait=wait_random_exponential(_BACKOFF_SECONDS, max=_MOST_BACKOFF_SECONDS),
        reraise=True,
    )
    return attempts(_post, http, str(settings.url), {"transactions": batch})


def _post(http: httpx.Client, url: str, body: dict[str, Any]) -> Any:
    try:
        response = http.post(url, json=body)
    except httpx.DecodingError:
        return None
    except httpx.HTTPError as fault:
        raise _UnreachableError from fault
    if response.status_code >= 500 or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise _UnreachableError
    if response.status_code != httpx.codes.OK:
        return None
    try:
        # NaN and Infinity are not JSON: as null they are no score
        return json.loads(response.content, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def _well_answered(answer: Any, asked: set[str], inferred_at: datetime) -> Iterator[Answer]:
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
