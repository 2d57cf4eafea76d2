"""Whether a decision follows from its recorded evidence; pure functions of frames."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.decision import CONCLUSIONS, DecisionRules, PolicyBook, evaluate

# instants to the microsecond, in UTC; a missing value is shown as such
_JSON = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "ignoreNullFields": "false"}


def recomputed(decisions: DataFrame, policies: DataFrame, rules: DecisionRules) -> DataFrame:
    """One row per decision: `event_id`, `transaction_id`, `differences`.

    Each decision is concluded again by the decision function that live and batch use, from the
    score, explanations, velocity counts and policy versions that it recorded. `differences` has an
    element `field, recorded, recomputed` (as text) per conclusion that comes out otherwise.
    """
    recorded = decisions.withColumn("recorded", F.struct(*CONCLUSIONS))
    again = evaluate(
        recorded, policies=PolicyBook.of(policies), rules=rules, recorded_policies=True
    )
    differences = F.filter(
        F.array(*[_difference(field) for field in CONCLUSIONS]), lambda found: found.isNotNull()
    )
    return again.select("event_id", "transaction_id", differences.alias("differences"))


def as_json_texts(rows: DataFrame) -> DataFrame:
    """Each row as one JSON object, in the column `row`."""
    return rows.select(F.to_json(F.struct(*rows.columns), _JSON).alias("row"))


def _difference(field: str) -> Column:
    recorded, again = F.col(f"recorded.{field}"), F.col(field)
    found = F.struct(
        F.lit(field).alias("field"),
        _text(recorded).alias("recorded"),
        _text(again).alias("recomputed"),
    )
    return F.when(~recorded.eqNullSafe(again), found)


def _text(value: Column) -> Column:
    return F.get_json_object(F.to_json(F.struct(value.alias("value"))), "$.value")
