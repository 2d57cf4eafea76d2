"""Whether decisions follow from their recorded evidence; pure functions of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.decision import CONCLUSIONS, DecisionRules, PolicyBook, evaluate

# instants to the microsecond, in UTC; a missing value is shown as such
_JSON = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "ignoreNullFields": "false"}
_DIFFERENCES = "array<struct<field: string, recorded: string, recomputed: string>>"


@dataclass(frozen=True)
class KnownRules:
    """Contents of conf/decision.yaml: that of `now`, and each one recorded, by its version."""

    now: DecisionRules
    recorded: Mapping[str, DecisionRules]

    def of(self, version: str | None) -> DecisionRules | None:
        """What a decision names; without a name, of before names were recorded: those of now."""
        if version is None or version == self.now.version:
            return self.now
        return self.recorded.get(version)

    @property
    def versions(self) -> set[str]:
        """Versions whose content is known."""
        return {self.now.version, *self.recorded}


def recomputed(decisions: DataFrame, policies: PolicyBook, rules: KnownRules) -> DataFrame:
    """One row per decision: `event_id`, `transaction_id`, `differences`.

    Each decision is concluded again by the decision function that live and batch use, from the
    score, explanations, velocity counts, policy versions and rules that it recorded. `differences`
    has an element `field, recorded, recomputed` (as text) per conclusion that comes out otherwise;
    of rules whose content nobody recorded it has `rules_version` alone.
    """
    named = {row[0] for row in decisions.select("rules_version").distinct().collect()}
    again = [
        evaluate(
            decisions.where(F.col("rules_version").eqNullSafe(F.lit(version))).withColumn(
                "recorded", F.struct(*CONCLUSIONS)
            ),
            policies=policies,
            rules=known,
            recorded_policies=True,
        ).select("event_id", "transaction_id", differences_in(CONCLUSIONS).alias("differences"))
        for version in sorted(named, key=str)
        if (known := rules.of(version)) is not None
    ]
    is_unknown = ~F.coalesce(F.col("rules_version").isin(sorted(rules.versions)), F.lit(True))
    by_unknown = decisions.where(is_unknown).select(
        "event_id", "transaction_id", _unknown_rules().alias("differences")
    )
    return reduce(DataFrame.unionByName, again, by_unknown)


def differences_in(fields: Sequence[str]) -> Column:
    """`field, recorded, recomputed` (as text) of fields that differ from those in `recorded`."""
    return F.array_compact(F.array(*[_difference(field) for field in fields])).cast(_DIFFERENCES)


def as_json_texts(rows: DataFrame) -> DataFrame:
    """Each row as one JSON object, in the column `row`."""
    return rows.select(as_json(F.struct(*rows.columns)).alias("row"))


def as_json(row: Column) -> Column:
    """A struct as one JSON object: instants to the microsecond, nulls as nulls."""
    return F.to_json(row, _JSON)


def _difference(field: str) -> Column:
    recorded, again = F.col(f"recorded.{field}"), F.col(field)
    found = F.struct(
        F.lit(field).alias("field"),
        _text(recorded).alias("recorded"),
        _text(again).alias("recomputed"),
    )
    return F.when(~recorded.eqNullSafe(again), found)


def _unknown_rules() -> Column:
    return F.array(
        F.struct(
            F.lit("rules_version").alias("field"),
            F.col("rules_version").alias("recorded"),
            F.lit(None).cast("string").alias("recomputed"),
        )
    ).cast(_DIFFERENCES)


def _text(value: Column) -> Column:
    return F.get_json_object(F.to_json(F.struct(value.alias("value")), _JSON), "$.value")
