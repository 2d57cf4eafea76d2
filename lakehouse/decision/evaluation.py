"""The one decision function: what is recommended for each payment, and the evidence for it."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.decision.policies import (
    PolicyBook,
    is_in_force,
    is_recorded,
    with_policy_flags,
)
from lakehouse.decision.reasons import reason_code, recommended_action
from lakehouse.decision.rules import DecisionRules
from lakehouse.decision.scores import with_best_score
from lakehouse.decision.velocity import with_velocity
from lakehouse.records.silver import Evaluation
from lakehouse.schema import spark_schema

_CONCLUSIONS = ("fraud_score", "fraud_reason_code", "policy_flag")

CONCLUSIONS = (
    "policies", "policy_flags", "policy_flag", "fraud_reason_code", "recommended_action",
)  # fmt: skip
"""What a decision concludes from its evidence: score, explanations, velocity, policy versions."""


def decide(
    payments: DataFrame,
    *,
    earlier: DataFrame,
    scores: DataFrame,
    policies: PolicyBook,
    rules: DecisionRules,
    recorded_policies: bool = False,
) -> DataFrame:
    """Each payment with records.silver.Evaluation, fraud_score, fraud_reason_code, policy_flag.

    One row of `payments` (identity, transaction_id, user_id, timestamp UTC, amount in smallest
    units, currency, country, region, merchant_id, transaction_status) is one row of the result,
    with all its columns. Velocity counts the payments themselves, and those of `earlier`; `scores`
    are rows of records.silver.FraudScore that stand. Equal inputs give equal answers, row for row,
    whatever the order or the partitions they come in.

    The policy versions in force at its time apply to a payment; with `recorded_policies` those
    that its column `policies` names, where that is not null.
    """
    kept = [name for name in payments.columns if name not in _derived()]
    recorded = ["policies"] if recorded_policies else []
    applies = _is_recorded_or_in_force if recorded_policies else is_in_force
    known = (
        payments.select(*kept, *recorded)
        .transform(with_best_score, scores)
        .transform(with_velocity, earlier, policies, applies)
        .transform(with_policy_flags, policies, applies)
    )
    return known.transform(_concluded, rules).select(*kept, *_derived())


def evaluate(
    payments: DataFrame,
    *,
    policies: PolicyBook,
    rules: DecisionRules,
    recorded_policies: bool = False,
) -> DataFrame:
    """Conclude again from evidence: the steps of `decide` after score and velocity are known.

    `payments` has fraud_score, explanations and `velocity` as recorded, beside the facts that
    `decide` needs; `policies` (the evidence), policy_flags, policy_flag, fraud_reason_code and
    recommended_action are added, or replaced. With `recorded_policies` those versions apply that
    the recorded column `policies` names, so that a policy changed or backdated since then cannot
    disturb; else those in force at the payment's time. A version that `policies` lacks is missing
    in the new evidence.
    """
    columns = payments.columns
    added = [name for name in _derived() if name not in columns]
    applies = is_recorded if recorded_policies else is_in_force
    return (
        payments.transform(with_policy_flags, policies, applies)
        .transform(_concluded, rules)
        .select(*columns, *added)
    )


def recount(payments: DataFrame, *, earlier: DataFrame, policies: PolicyBook) -> DataFrame:
    """Replace `velocity`: what the policy versions that `policies` names count in `earlier`."""
    return with_velocity(payments, earlier, policies, is_recorded)


def _is_recorded_or_in_force(policy: Column) -> Column:
    return F.when(F.col("policies").isNull(), is_in_force(policy)).otherwise(is_recorded(policy))


def _concluded(payments: DataFrame, rules: DecisionRules) -> DataFrame:
    score, flags = F.col("fraud_score"), F.col("policy_flags")
    return payments.withColumns(
        {
            "fraud_reason_code": reason_code(score, F.col("explanations"), rules),
            "recommended_action": recommended_action(score, flags, rules),
            "rules_version": F.lit(rules.version),
        }
    )


def _derived() -> list[str]:
    return [*spark_schema(Evaluation).fieldNames(), *_CONCLUSIONS]
