"""Gold as it is, beside Gold as plain Python says it must be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any

from lakehouse.local.generator.sheets import Sheet
from lakehouse.tables import GOLD_TRANSACTIONS, SILVER_FRAUD_SCORES, SILVER_LIVE_TRANSACTIONS
from tests.e2e.oracle import Score, expected_gold
from tests.e2e.platform import Platform

_DECISION = (
    "event_id", "decided_at", "fraud_score", "fraud_reason_code", "score_source", "score_id",
    "model_version", "policy_flag", "policy_flags", "recommended_action",
)  # fmt: skip


def differences(platform: Platform, sheets: Sequence[Sheet]) -> list[str]:
    """Every cell in which the platform and plain Python disagree, as `id.column: is, must be`."""
    expected = expected_gold(
        platform.world, sheets, decisions=decisions_of(platform), api_scores=api_scores_of(platform)
    )
    actual = {row["transaction_id"]: row for row in gold_rows(platform)}
    found = [f"{key}: not in Gold" for key in sorted(expected.keys() - actual.keys())]
    found += [f"{key}: only in Gold" for key in sorted(actual.keys() - expected.keys())]
    for key in sorted(expected.keys() & actual.keys()):
        found += [
            f"{key}.{column}: {actual[key][column]!r}, must be {value!r}"
            for column, value in expected[key].items()
            if actual[key][column] != value
        ]
    return found


def decisions_of(platform: Platform) -> dict[str, dict[str, Any]]:
    """What was decided of each event, as Silver has recorded it."""
    return {
        row["event_id"]: row.asDict(recursive=True)
        for row in platform.rows(SILVER_LIVE_TRANSACTIONS, *_DECISION)
    }


def gold_rows(platform: Platform) -> list[dict[str, Any]]:
    """Gold's rows with instants in UTC and contributions counted."""
    rows = []
    for row in platform.rows(GOLD_TRANSACTIONS):
        values = row.asDict(recursive=True)
        values["contributions"] = sum(not c["withdrawn"] for c in values["contributions"])
        for name in ("timestamp", "updated_at", "last_money_at"):
            values[name] = values[name] and values[name].astimezone(UTC)
        rows.append(values)
    return rows


def api_scores_of(platform: Platform) -> list[Score]:
    """What the API has answered, as Silver has recorded it."""
    return [
        Score(
            row["transaction_id"],
            "API",
            row["model_version"],
            row["inference_time"].astimezone(UTC),
            Decimal(row["fraud_score"]),
            _numbers(row["explanations"]),
        )
        for row in platform.rows(SILVER_FRAUD_SCORES)
        if row["score_source"] == "API"
    ]


def _numbers(explanations: str) -> dict[str, float]:
    return {name: float(value) for name, value in json.loads(explanations).items()}
