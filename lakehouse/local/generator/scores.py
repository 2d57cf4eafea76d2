"""What other models said: the topic payments.fraud-scores, and the offline outputs a day later."""

from __future__ import annotations

import math
from random import Random
from typing import Any, NamedTuple

from lakehouse.local.generator.feed import HOUR_MS, FeedRecord
from lakehouse.local.generator.fraud import CARD_TESTING, STOLEN_CARD, UNUSUAL_AMOUNT
from lakehouse.local.generator.mess import (
    DUPLICATE_SCORE,
    EARLY_SCORE,
    LATE_SCORE,
    MALFORMED_SCORES,
    ORPHAN_SCORE,
    SECOND_MODEL_SCORE,
    pick,
    spoiled_score,
    to_json,
)
from lakehouse.local.generator.payments import Payment
from lakehouse.local.generator.settings import (
    DAY_MS,
    GeneratorSettings,
    case_count,
    iso_utc,
    stream,
    uuid_from,
)

SCORES_TOPIC = "payments.fraud-scores"
MODEL_VERSIONS = ("fraud-gbm-3.1.0", "fraud-gbm-3.2.0-rc1")
OFFLINE_MODEL_VERSION = "fraud-batch-2026.02"
# the nightly run of the offline model, after midnight UTC
OFFLINE_RUN_MS = 2 * HOUR_MS

# mean contributions in log-odds: amount, location, merchant, velocity
HONEST = (-1.2, -0.9, -0.7, -0.8)
CONTRIBUTIONS = {
    CARD_TESTING: (-0.4, 0.2, 1.0, 3.2),
    STOLEN_CARD: (1.2, 3.2, 0.9, 0.1),
    UNUSUAL_AMOUNT: (3.6, -0.2, 0.9, 0.0),
}


class Score(NamedTuple):
    """One model output; `inference_ms` in epoch milliseconds UTC, contributions in log-odds."""

    model_version: str
    transaction_id: str
    fraud_score: float
    explanations: dict[str, float]
    inference_ms: int

    def fields(self) -> dict[str, Any]:
        """Give the fields of the contract, in its order."""
        return {
            "model_version": self.model_version,
            "transaction_id": self.transaction_id,
            "fraud_score": self.fraud_score,
            "explanations": self.explanations,
            "inference_time": iso_utc(self.inference_ms),
        }


def score_feed(settings: GeneratorSettings, payments: tuple[Payment, ...]) -> list[FeedRecord]:
    """Score a share of the payments on the topic: some early, late, twice, or broken."""
    chosen = stream(settings.seed, "scores/chosen")
    opinion = stream(settings.seed, "scores/opinion")
    delays = stream(settings.seed, "scores/delays")
    second = stream(settings.seed, "scores/second-model")
    scored = [payment for payment in payments if chosen.random() < settings.score_share]
    spoiled = _plan_spoiled(settings, len(scored))
    records: list[FeedRecord] = []
    for position, payment in enumerate(scored):
        inference_ms = payment.timestamp_ms + delays.randrange(20, 95)
        score = _opinion(payment, MODEL_VERSIONS[0], inference_ms, opinion)
        produced_ms, timing = _produced(inference_ms, delays)
        if position in spoiled:
            kind, turn = spoiled[position]
            value = spoiled_score(kind, score.fields(), turn)
            records.append(_record(score, value, produced_ms, kind))
            continue
        record = _record(score, to_json(score.fields()), produced_ms, timing)
        records.append(record)
        if settings.duplicate_share and delays.random() < settings.duplicate_share / 2:
            again_ms = produced_ms + delays.randrange(100, HOUR_MS)
            records.append(record._replace(timestamp_ms=again_ms, fault=DUPLICATE_SCORE))
        if second.random() < settings.second_model_share:
            other = _opinion(payment, MODEL_VERSIONS[1], inference_ms + 40, second)
            value = to_json(other.fields())
            records.append(_record(other, value, produced_ms + 60, SECOND_MODEL_SCORE))
    if scored and settings.malformed_score_share:
        records.append(_orphan(settings, scored[len(scored) // 2]))
    # stable: a duplicate produced in the same millisecond still follows its original
    records.sort(key=lambda record: record.timestamp_ms)
    return records


def offline_scores(settings: GeneratorSettings, payments: tuple[Payment, ...]) -> list[Score]:
    """Score a share of the payments at 02:00 UTC of the day after, surer than the live models."""
    chosen = stream(settings.seed, "offline-scores/chosen")
    opinion = stream(settings.seed, "offline-scores/opinion")
    return [
        _opinion(
            payment,
            OFFLINE_MODEL_VERSION,
            (payment.timestamp_ms // DAY_MS + 1) * DAY_MS + OFFLINE_RUN_MS,
            opinion,
            sharpness=1.4,
        )
        for payment in payments
        if chosen.random() < settings.offline_score_share
    ]


def _opinion(
    payment: Payment, version: str, inference_ms: int, rng: Random, sharpness: float = 1.0
) -> Score:
    means = CONTRIBUTIONS.get(payment.pattern, HONEST)
    # whole ten-thousandths: few digits, and never an exponent in the JSON
    parts = [round((sharpness * mean + rng.gauss(0, 0.7)) * 10_000) for mean in means]
    odds = sum(parts) / 10_000 - 0.5
    fraud_score = round(min(0.9995, max(0.0005, 1 / (1 + math.exp(-odds)))), 6)
    names = ("amount", "location", "merchant", "velocity")
    explanations = {name: part / 10_000 for name, part in zip(names, parts, strict=True)}
    return Score(version, payment.transaction_id, fraud_score, explanations, inference_ms)


def _produced(inference_ms: int, rng: Random) -> tuple[int, str | None]:
    """When the score reaches the topic: the payment's own event takes at least 100 ms."""
    choice = rng.random()
    if choice < 0.1:
        return inference_ms + rng.randrange(5), EARLY_SCORE
    if choice < 0.2:
        return inference_ms + rng.randrange(HOUR_MS, 30 * HOUR_MS), LATE_SCORE
    return inference_ms + rng.randrange(3_000, 9_000), None


def _plan_spoiled(settings: GeneratorSettings, scored: int) -> dict[int, tuple[str, int]]:
    """Which scores are malformed, how, and which variant."""
    taken: set[int] = set()
    total = case_count(settings.malformed_score_share, scored)
    each = max(1, total // len(MALFORMED_SCORES)) if total else 0
    return {
        position: (kind, turn)
        for kind in MALFORMED_SCORES
        for turn, position in enumerate(
            pick(stream(settings.seed, f"mess/{kind}"), scored, each, taken)
        )
    }


def _orphan(settings: GeneratorSettings, like: Payment) -> FeedRecord:
    """A valid score of a transaction that nobody else mentions."""
    rng = stream(settings.seed, "scores/orphan")
    stranger = like._replace(transaction_id=uuid_from(rng))
    score = _opinion(stranger, MODEL_VERSIONS[0], like.timestamp_ms + 50, rng)
    return _record(score, to_json(score.fields()), like.timestamp_ms + 5_000, ORPHAN_SCORE)


def _record(score: Score, value: bytes, produced_ms: int, fault: str | None) -> FeedRecord:
    headers = (("producer", b"model-server-1"), ("schema", b"1"))
    key = score.transaction_id.encode()
    return FeedRecord(SCORES_TOPIC, key, value, headers, produced_ms, fault)
