"""What fires, what it means, and from which score: one decision per payment, with its evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pytest import param

from lakehouse.decision import PolicyBook, decide, evaluate, load_rules
from lakehouse.records.silver import Evaluation
from lakehouse.schema import spark_schema
from tests.conftest import NOON, ROOT
from tests.decision.builders import (
    a_payment,
    a_policy,
    a_score,
    payments_frame,
    policy_book,
    scores_frame,
)

RULES = load_rules(ROOT / "conf" / "decision.yaml")
HOUR = timedelta(hours=1)
CHANGED = NOON - HOUR

POLICIES = [
    a_policy("velocity", {"rule": "velocity_limit", "max_count": 2, "window_seconds": 60}),
    a_policy(
        "spend",
        {"rule": "velocity_limit", "max_amount": 2000, "currency": "GBP", "window_seconds": 60},
    ),
    a_policy("geo", {"rule": "geo_block", "countries": ["KP"], "regions": ["OCEANIA"]}),
    a_policy(
        "amount",
        {"rule": "amount_limit", "currency": "EUR", "max_amount": 9000},
        effective_to=CHANGED,
    ),
    a_policy(
        "amount",
        {"rule": "amount_limit", "currency": "EUR", "max_amount": 5000},
        effective_date=CHANGED,
        version=2,
    ),
    a_policy("currency", {"rule": "currency_block", "currencies": ["IRR"]}),
    a_policy("merchant", {"rule": "merchant_block", "merchants": ["bad"]}),
    a_policy("later", {"rule": "geo_block", "countries": ["DE"]}, effective_date=NOON + HOUR),
    a_policy("torn", '{"rule": "geo_block", "countr'),
    a_policy("unknown", {"rule": "weather_block", "countries": ["DE"]}),
    a_policy("empty", {"rule": "amount_limit", "currency": "EUR", "max_amount": "much"}),
]

CASES: dict[str, tuple[list[dict[str, Any]], list[str], str]] = {
    # name: payments (the last one is judged), flags, action (each unscored unless scored below)
    "ordinary": ([{}], [], "REVIEW"),
    "at the limit": ([{"amount": "5000"}], [], "REVIEW"),
    "over the limit": ([{"amount": "5001"}], ["AMOUNT_LIMIT"], "REVIEW"),
    "over the limit in another currency": ([{"amount": "5001", "currency": "USD"}], [], "REVIEW"),
    "before the limit was lowered": ([{"amount": "8000", "seconds": -3601}], [], "REVIEW"),
    "when the limit was lowered": (
        [{"amount": "8000", "seconds": -3600}],
        ["AMOUNT_LIMIT"],
        "REVIEW",
    ),
    "blocked country": ([{"country": "KP", "region": "EAST_ASIA"}], ["GEO_BLOCK"], "BLOCK"),
    "blocked region": ([{"country": "AU", "region": "OCEANIA"}], ["GEO_BLOCK"], "BLOCK"),
    "nowhere": ([{"country": None, "region": None}], [], "REVIEW"),
    "before a policy begins": ([{"seconds": 3599.9}], [], "REVIEW"),
    "when a policy begins": ([{"seconds": 3600}], ["GEO_BLOCK"], "BLOCK"),
    "blocked currency": ([{"currency": "IRR"}], ["CURRENCY_BLOCK"], "BLOCK"),
    "blocked merchant": ([{"merchant_id": "bad"}], ["MERCHANT_BLOCK"], "BLOCK"),
    "no merchant": ([{"merchant_id": None}], [], "REVIEW"),
    "as many as allowed": ([{"seconds": -9}, {}], [], "REVIEW"),
    "too many": ([{"seconds": -9}, {"seconds": -5}, {}], ["VELOCITY_LIMIT"], "REVIEW"),
    "at the window's edge": ([{"seconds": -60}, {"seconds": -5}, {}], ["VELOCITY_LIMIT"], "REVIEW"),
    "beyond the window": ([{"seconds": -60.001}, {"seconds": -5}, {}], [], "REVIEW"),
    "declined ones": (
        [{"seconds": -9, "transaction_status": "DECLINED"}, {"seconds": -5}, {}],
        [],
        "REVIEW",
    ),
    "itself declined": (
        [{"seconds": -9}, {"seconds": -5}, {"transaction_status": "DECLINED"}],
        ["VELOCITY_LIMIT"],
        "REVIEW",
    ),
    "several events of one": (
        [{"seconds": -9, "transaction_id": "x"}, {"seconds": -5, "transaction_id": "x"}, {}],
        [],
        "REVIEW",
    ),
    "spent as much as allowed": (
        [{"currency": "GBP", "amount": "800", "seconds": -9}, {"currency": "GBP"}],
        [],
        "REVIEW",
    ),
    "spent too much": (
        [{"currency": "GBP", "amount": "801", "seconds": -9}, {"currency": "GBP"}],
        ["VELOCITY_LIMIT"],
        "REVIEW",
    ),
    "spent in another currency": (
        [{"currency": "GBP", "amount": "2001", "seconds": -9}, {}],
        [],
        "REVIEW",
    ),
    "later ones": ([{"seconds": 1}, {"seconds": 2}, {}], [], "REVIEW"),
    "no payer": ([{"user_id": None}, {"user_id": None}, {"user_id": None}], [], "REVIEW"),
    "everything at once": (
        [{"amount": "9999", "country": "KP", "merchant_id": "bad"}],
        ["GEO_BLOCK", "AMOUNT_LIMIT", "MERCHANT_BLOCK"],
        "BLOCK",
    ),
    "unsuspicious": ([{}], [], "ALLOW"),
    "suspicious": ([{}], [], "REVIEW"),
    "surely fraud": ([{}], [], "BLOCK"),
    "over the limit and unsuspicious": ([{"amount": "5001"}], ["AMOUNT_LIMIT"], "REVIEW"),
    "over the limit and suspicious": ([{"amount": "5001"}], ["AMOUNT_LIMIT"], "BLOCK"),
}
SCORES = {
    "unsuspicious": "0.599999",
    "suspicious": "0.6",
    "surely fraud": "0.9",
    "over the limit and unsuspicious": "0.1",
    "over the limit and suspicious": "0.7",
}


RIVALS: dict[str, list[dict[str, Any]]] = {
    "source before time": [
        {"identity": "best", "score_source": "OFFLINE", "inference_time": NOON - HOUR},
        {"identity": "other", "score_source": "TOPIC"},
    ],
    "topic before API": [
        {"identity": "best", "score_source": "TOPIC", "inference_time": NOON - HOUR},
        {"identity": "other", "score_source": "API"},
    ],
    "latest inference": [
        {"identity": "best", "model_version": "m1"},
        {"identity": "other", "model_version": "m2", "inference_time": NOON - HOUR},
    ],
    "greatest model": [
        {"identity": "best", "model_version": "m2"},
        {"identity": "other", "model_version": "m1", "fraud_score": "0.9"},
    ],
    "greatest identity": [{"identity": "best"}, {"identity": "aaa", "fraud_score": "0.9"}],
}


def _payments() -> list[dict[str, Any]]:
    rows = []
    for case, (payments, _, _) in CASES.items():
        for place, facts in enumerate(payments, start=1 - len(payments)):
            name = f"{case}{place}" if place else case
            rows.append(a_payment(name, **({"user_id": case} | facts)))
    return rows + [a_payment(case) for case in RIVALS]


@pytest.fixture(scope="module")
def payments(spark: SparkSession) -> DataFrame:
    return payments_frame(spark, _payments())


@pytest.fixture(scope="module")
def policies(spark: SparkSession) -> PolicyBook:
    return policy_book(spark, POLICIES)


@pytest.fixture(scope="module")
def scores(spark: SparkSession) -> DataFrame:
    rows = [a_score(of, fraud_score=score) for of, score in SCORES.items()]
    rows += [a_score(of, **facts) for of, rivals in RIVALS.items() for facts in rivals]
    return scores_frame(spark, rows)


@pytest.fixture(scope="module")
def decided(payments: DataFrame, scores: DataFrame, policies: PolicyBook) -> DataFrame:
    return decide(payments, earlier=payments, scores=scores, policies=policies, rules=RULES).cache()


def test_many_policy_versions_decide_as_few_do(
    decided: DataFrame, payments: DataFrame, scores: DataFrame, policies: PolicyBook
) -> None:
    assert policies.each, "these are few"
    by_lambdas = replace(policies, each=())
    again = decide(payments, earlier=payments, scores=scores, policies=by_lambdas, rules=RULES)
    first = decided.orderBy("identity").collect()
    assert again.orderBy("identity").collect() == first


@pytest.fixture(scope="module")
def judged(decided: DataFrame) -> dict[str, Any]:
    return {row["transaction_id"]: row for row in decided.collect()}


@pytest.mark.parametrize("case", CASES)
def test_a_payment_explains_itself(judged: dict[str, Any], case: str) -> None:
    _, flags, action = CASES[case]
    row = judged[case]
    assert (row.policy_flags, row.recommended_action) == (flags, action)
    assert row.policy_flag == (flags or ["NONE"])[0]


def test_the_evidence_names_every_policy_in_force_and_its_version(judged: dict[str, Any]) -> None:
    found = [tuple(policy) for policy in judged["over the limit"].policies]
    assert found == [
        ("amount", 2, "AMOUNT_LIMIT", True),
        ("currency", 1, "CURRENCY_BLOCK", False),
        ("empty", 1, "AMOUNT_LIMIT", False),
        ("geo", 1, "GEO_BLOCK", False),
        ("merchant", 1, "MERCHANT_BLOCK", False),
        ("spend", 1, "VELOCITY_LIMIT", False),
        ("torn", 1, "NONE", False),
        ("unknown", 1, "NONE", False),
        ("velocity", 1, "VELOCITY_LIMIT", False),
    ]


def test_the_evidence_tells_what_was_counted(judged: dict[str, Any]) -> None:
    counted = [tuple(count) for count in judged["too many"].velocity]
    assert counted == [("spend", 60, 3, None), ("velocity", 60, 3, None)]
    spent = judged["spent too much"].velocity[0]
    assert (spent["count"], spent["amount"]) == (2, Decimal("2001.00"))


def test_no_score_is_not_a_score_of_zero(judged: dict[str, Any]) -> None:
    row = judged["ordinary"]
    assert (row.fraud_score, row.score_id, row.model_version, row.explanations) == (None,) * 4
    assert (row.score_source, row.fraud_reason_code) == ("NONE", "UNSCORED")


def test_each_payment_is_one_row_with_all_its_columns(
    payments: DataFrame, decided: DataFrame
) -> None:
    assert_df_equality(decided.select(*payments.columns), payments, ignore_row_order=True)


def test_the_columns_are_those_of_silver(payments: DataFrame, decided: DataFrame) -> None:
    def types(schema: Any) -> dict[str, str]:
        return {field.name: field.dataType.simpleString() for field in schema}

    added = types(decided.drop(*payments.columns).schema)
    assert added == types(spark_schema(Evaluation)) | {
        "fraud_score": "decimal(7,6)",
        "fraud_reason_code": "string",
        "policy_flag": "string",
    }


def test_the_audit_concludes_the_same_from_the_evidence(
    decided: DataFrame, policies: PolicyBook
) -> None:
    again = evaluate(decided, policies=policies, rules=RULES, recorded_policies=True)
    assert_df_equality(again, decided, ignore_row_order=True, ignore_nullable=True)


def test_the_audit_sees_evidence_that_was_changed(decided: DataFrame, policies: PolicyBook) -> None:
    fewer = F.transform("velocity", lambda counted: counted.withField("count", F.lit(1)))
    forged = decided.where("transaction_id = 'too many'").withColumn("velocity", fewer)
    again = evaluate(forged, policies=policies, rules=RULES, recorded_policies=True).first()
    assert again is not None and again.policy_flags == []


def test_a_policy_that_was_backdated_does_not_disturb_the_audit(
    spark: SparkSession, decided: DataFrame
) -> None:
    backdated = a_policy("new", {"rule": "geo_block", "countries": ["DE"]})
    known = policy_book(spark, [*POLICIES, backdated])
    ordinary = decided.where("transaction_id = 'ordinary'")
    recorded = evaluate(ordinary, policies=known, rules=RULES, recorded_policies=True).first()
    in_force = evaluate(ordinary, policies=known, rules=RULES).first()
    assert recorded is not None and recorded.policy_flags == []
    assert in_force is not None and in_force.policy_flags == ["GEO_BLOCK"]


@pytest.mark.parametrize(
    "empty",
    [
        param({"payments"}, id="payments"),
        param({"earlier", "scores", "policies"}, id="everything but payments"),
    ],
)
def test_empty_frames_are_decided_too(
    spark: SparkSession, payments: DataFrame, policies: PolicyBook, empty: set[str]
) -> None:
    frames = {
        "payments": payments.where("transaction_id = 'ordinary'"),
        "earlier": payments,
        "scores": scores_frame(spark, [a_score("ordinary")]),
    }
    frames |= {name: frames[name].where("false") for name in empty & frames.keys()}
    known = policy_book(spark, []) if "policies" in empty else policies
    rows = decide(
        frames["payments"],
        earlier=frames["earlier"],
        scores=frames["scores"],
        policies=known,
        rules=RULES,
    ).collect()
    if "payments" in empty:
        assert rows == []
    else:
        (row,) = rows
        assert (row.policies, row.velocity, row.policy_flags, row.policy_flag) == (
            [],
            [],
            [],
            "NONE",
        )
        assert (row.fraud_reason_code, row.recommended_action) == ("UNSCORED", "REVIEW")


@pytest.mark.parametrize("case", RIVALS)
def test_the_best_known_score_decides(judged: dict[str, Any], case: str) -> None:
    assert judged[case].score_id == "best"


def test_the_action_table_says_the_same_in_spark_and_in_python(judged: dict[str, Any]) -> None:
    for row in judged.values():
        score = None if row.fraud_score is None else Decimal(row.fraud_score)
        assert row.recommended_action == RULES.action_for(score, row.policy_flags)
