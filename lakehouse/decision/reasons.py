"""Why a score is suspicious, and what the gateway is advised to do."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.decision.rules import ActionRule, DecisionRules
from lakehouse.records.codes import PolicyFlag, ReasonCode


def reason_code(score: Column, explanations: Column, rules: DecisionRules) -> Column:
    """The `ReasonCode` of a score, from its explanations (a JSON object of contributions).

    UNSCORED without a score, NONE below `suspicious_from`, else the reason of the largest
    contribution if that reaches `least_contribution`, else HIGH_SCORE. Explanations that are
    absent, unreadable or no numbers explain nothing.
    """
    table = rules.reasons
    schema = ", ".join(f"`{name}` double" for name in table.by_explanation)
    # a text is no number, not even one that spells NaN
    contributions = F.from_json(explanations, schema, {"allowNonNumericNumbers": "false"})
    # Spark has no `let`: the argument of a lambda is evaluated once, a repeated column is not
    largest = F.transform(F.array(contributions), lambda given: _largest(given, rules))
    named = F.transform(
        largest,
        lambda most: F.when(
            most["contribution"] >= F.lit(table.least_contribution), most["reason"]
        ).otherwise(F.lit(str(ReasonCode.HIGH_SCORE))),
    )
    return (
        F.when(score.isNull(), F.lit(str(ReasonCode.UNSCORED)))
        .when(score < F.lit(table.suspicious_from), F.lit(str(ReasonCode.NONE)))
        .otherwise(F.get(named, F.lit(0)))
    )


def _largest(contributions: Column, rules: DecisionRules) -> Column:
    """The greatest as a struct (contribution, place, reason); of equal ones the first declared."""
    return F.array_max(
        F.array(
            *[
                F.struct(
                    contributions[name].alias("contribution"),
                    F.lit(-place).alias("place"),
                    F.lit(str(reason)).alias("reason"),
                )
                for place, (name, reason) in enumerate(rules.reasons.by_explanation.items())
            ]
        )
    )


def recommended_action(score: Column, policy_flags: Column, rules: DecisionRules) -> Column:
    """The `Action` of the first rule of the table that matches (the last one always does)."""
    *conditional, last = rules.actions
    decided = reduce(
        lambda chain, rule: chain.when(_matches(rule, score, policy_flags), str(rule.action)),
        conditional,
        F.when(F.lit(False), F.lit(None).cast("string")),
    )
    return decided.otherwise(F.lit(str(last.action)))


def _matches(rule: ActionRule, score: Column, policy_flags: Column) -> Column:
    condition = F.lit(True)
    if rule.flags is not None:
        named = F.array(*[F.lit(str(flag)) for flag in rule.flags])
        raised = F.arrays_overlap(policy_flags, named)
        if PolicyFlag.NONE in rule.flags:
            raised = raised | (F.size(policy_flags) == 0)
        condition = condition & raised
    if rule.score_from is not None:
        condition = condition & (score >= F.lit(rule.score_from))
    if rule.unscored:
        condition = condition & score.isNull()
    return condition
