"""Reason codes: the largest explanation of a suspicious score names its reason."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.decision import load_rules, reason_code
from tests.conftest import ROOT

CASES: dict[str, tuple[str | None, str | None, str]] = {
    "unscored": (None, None, "UNSCORED"),
    "unscored but explained": (None, '{"amount": 2}', "UNSCORED"),
    "zero": ("0", '{"amount": 2}', "NONE"),
    "below the threshold": ("0.599999", '{"amount": 2}', "NONE"),
    "at the threshold": ("0.6", '{"amount": 2}', "AMOUNT_ANOMALY"),
    "velocity": ("0.7", '{"amount": 0.5, "velocity": 0.6}', "VELOCITY_ANOMALY"),
    "location": ("0.7", '{"amount": -9, "location": 0.6}', "LOCATION_ANOMALY"),
    "merchant": ("0.7", '{"merchant": 1.5e0, "velocity": 1}', "MERCHANT_RISK"),
    "equal: as declared": ("0.7", '{"merchant": 1, "velocity": 1.0}', "VELOCITY_ANOMALY"),
    "at the least": ("0.7", '{"merchant": 0.25}', "MERCHANT_RISK"),
    "below the least": ("0.7", '{"merchant": 0.2499, "amount": 0.2}', "HIGH_SCORE"),
    "other explanations": ("0.7", '{"weather": 9}', "HIGH_SCORE"),
    "no explanations": ("1", None, "HIGH_SCORE"),
    "empty explanations": ("1", "{}", "HIGH_SCORE"),
    "torn explanations": ("1", '{"amount": 2', "HIGH_SCORE"),
    "no object": ("1", "[1, 2]", "HIGH_SCORE"),
    "null": ("1", "null", "HIGH_SCORE"),
    "no number": ("1", '{"amount": "much", "merchant": 1}', "MERCHANT_RISK"),
    "not a number": ("1", '{"amount": "NaN", "merchant": 1}', "MERCHANT_RISK"),
    "nested": ("1", '{"amount": {"a": 9}, "merchant": 1}', "MERCHANT_RISK"),
    "null contribution": ("1", '{"amount": null, "merchant": 1}', "MERCHANT_RISK"),
}


@pytest.fixture(scope="module")
def reasons(spark: SparkSession) -> dict[str, str]:
    rows = [
        (name, None if score is None else Decimal(score), explanations)
        for name, (score, explanations, _) in CASES.items()
    ]
    scores = spark.createDataFrame(
        rows, "name string, fraud_score decimal(7,6), explanations string"
    )
    reason = reason_code(
        F.col("fraud_score"), F.col("explanations"), load_rules(ROOT / "conf" / "decision.yaml")
    )
    return {
        row["name"]: row["reason"]
        for row in scores.select("name", reason.alias("reason")).collect()
    }


@pytest.mark.parametrize("case", CASES)
def test_the_largest_explanation_names_the_reason(reasons: dict[str, str], case: str) -> None:
    assert reasons[case] == CASES[case][2]
