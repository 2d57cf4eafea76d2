"""Policies: which were in force at a payment's time, and which of them fire on it.

A new rule type is one function below and one entry in `POLICY_RULES` (and a flag in
records.codes.PolicyFlag, if it raises one of its own).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Self

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType

from lakehouse.records.codes import PolicyFlag

VELOCITY_LIMIT = "velocity_limit"
_FEW_VERSIONS = 16
CENTURY_SECONDS = 3_155_760_000  # a longer window sees no more, and its microseconds overflow

_NUMBERS = ("max_amount", "max_count", "window_seconds")
_LISTS = ("countries", "regions", "currencies", "merchants")
# numbers as text: one that is no number must not cost the policy its other parameters
_DATA = ", ".join(
    [f"{name} string" for name in ("rule", "currency", *_NUMBERS)]
    + [f"{name} array<string>" for name in _LISTS]
)
_INSTANTS = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
_SEVEREST_FIRST = [str(flag) for flag in reversed(PolicyFlag) if flag is not PolicyFlag.NONE]


@dataclass(frozen=True)
class PolicyRule:
    """A rule type: the flag it raises, and whether a policy of this type fires on the payment.

    `fires` gets the policy as a struct (policy_id, version, and the parameters by name, each null
    where it is absent or unreadable) and speaks of the payment by column names; null is no.
    """

    flag: PolicyFlag
    fires: Callable[[Column], Column]


def _velocity_limit(policy: Column) -> Column:
    """More transactions of the user within the window than `max_count`, or of more than
    `max_amount` smallest units of `currency` in all; as counted before.
    """

    place = F.call_function("array_position", F.col("velocity.policy_id"), policy["policy_id"])
    # no place is 0, and nothing stands before the first
    counted = F.get("velocity", (place - 1).cast("int"))
    is_too_often = F.coalesce(counted["count"] > policy["max_count"], F.lit(False))
    is_too_much = F.coalesce(counted["amount"] > policy["max_amount"], F.lit(False))
    return is_too_often | is_too_much


def _geo_block(policy: Column) -> Column:
    """The payment comes from one of `countries`, or of `regions`."""
    return _lists(policy["countries"], "country") | _lists(policy["regions"], "region")


def _amount_limit(policy: Column) -> Column:
    """More than `max_amount` smallest units of `currency`; other currencies are not its matter."""
    is_in_currency = policy["currency"] == F.col("currency")
    return is_in_currency & (F.col("amount") > policy["max_amount"])


def _currency_block(policy: Column) -> Column:
    """Paid in one of `currencies`."""
    return _lists(policy["currencies"], "currency")


def _merchant_block(policy: Column) -> Column:
    """Paid to one of `merchants`."""
    return _lists(policy["merchants"], "merchant_id")


POLICY_RULES: Mapping[str, PolicyRule] = {
    VELOCITY_LIMIT: PolicyRule(PolicyFlag.VELOCITY_LIMIT, _velocity_limit),
    "geo_block": PolicyRule(PolicyFlag.GEO_BLOCK, _geo_block),
    "amount_limit": PolicyRule(PolicyFlag.AMOUNT_LIMIT, _amount_limit),
    "currency_block": PolicyRule(PolicyFlag.CURRENCY_BLOCK, _currency_block),
    "merchant_block": PolicyRule(PolicyFlag.MERCHANT_BLOCK, _merchant_block),
}
"""Rule types by the name that `policy_data` gives in `rule`."""


@dataclass(frozen=True, eq=False)  # by identity: columns do not compare
class PolicyBook:
    """All policy versions, read once; they are few, and as a constant they cost no join.

    `listed` is `array<struct>` by policy_id and version, the parameters of policy_data by name:
    those that cannot be read are null. `longest_window_seconds` is how far back any velocity
    policy looks, in force or not, 0 without one: what `decide` needs of earlier payments.
    """

    listed: Column
    longest_window_seconds: int
    each: tuple[Column, ...] = ()
    """The versions one by one, unless they are many."""

    @classmethod
    def of(cls, policies: DataFrame) -> Self:
        """Read rows of records.silver.Policy. Runs one query."""
        # in one partition, so that the one row needs no shuffle
        found = policies.coalesce(1).agg(F.sort_array(F.collect_list(_parsed())).alias("listed"))
        text = found.select(F.to_json("listed", _INSTANTS).alias("text")).first()
        assert text is not None  # an aggregate has one row
        kind, versions = found.schema["listed"].dataType, json.loads(text["text"])
        assert isinstance(kind, ArrayType)
        windows = [
            int(policy["window_seconds"])
            for policy in versions
            if policy.get("rule") == VELOCITY_LIMIT
            and ("max_count" in policy or {"max_amount", "currency"} <= policy.keys())
            and int(policy.get("window_seconds", 0)) > 0
        ]
        longest = min(max(windows, default=0), CENTURY_SECONDS)
        # folded into literals when a plan is made
        return cls(
            F.from_json(F.lit(text["text"]), kind.json(), _INSTANTS),
            longest,
            tuple(
                F.from_json(F.lit(json.dumps(version)), kind.elementType.json(), _INSTANTS)
                for version in (versions if len(versions) <= _FEW_VERSIONS else ())
            ),
        )

    def of_those_that(
        self, apply: Callable[[Column], Column], told: Callable[[Column], Column]
    ) -> Column:
        """An array of what is `told` of each version that applies, in order."""
        if not self.each:
            return F.transform(F.filter(self.listed, apply), told)
        # Spark compiles conditions on constants, and interprets a lambda for each row
        return F.concat(
            *[F.when(apply(v), F.array(told(v))).otherwise(F.array()) for v in self.each]
        )


def _parsed() -> Column:
    """One policy version as a struct."""
    parsed = F.array(F.from_json("policy_data", _DATA))
    # a lambda's argument is evaluated once, a repeated column is parsed for each field
    policy = F.transform(
        parsed,
        lambda data: F.struct(
            F.col("policy_id").alias("policy_id"),
            F.col("version").cast("int").alias("version"),
            F.col("effective_date").alias("effective_date"),
            F.col("effective_to").alias("effective_to"),
            *[data[name].alias(name) for name in ("rule", "currency", *_LISTS)],
            *[_whole(data[name]).alias(name) for name in _NUMBERS],
        ),
    )
    return F.get(policy, F.lit(0))


def is_in_force(policy: Column) -> Column:
    """Whether a policy version holds at the payment's time: from its date, until the next one."""
    has_begun = policy["effective_date"] <= F.col("timestamp")
    has_ended = policy["effective_to"] <= F.col("timestamp")
    return has_begun & F.coalesce(~has_ended, F.lit(True))


def is_recorded(policy: Column) -> Column:
    """Whether the payment's recorded evidence names this policy version."""
    return F.exists(
        "policies",
        lambda recorded: (
            (recorded["policy_id"] == policy["policy_id"])
            & (recorded["version"] == policy["version"])
        ),
    )


def with_policy_flags(
    payments: DataFrame, policies: PolicyBook, applies: Callable[[Column], Column]
) -> DataFrame:
    """Add `policies` (evidence of all that apply), `policy_flags` and `policy_flag`.

    `payments` has `velocity`. A policy that names no known rule raises NONE and
    never fires; one whose parameters cannot be read never fires.
    """
    fired = F.filter("policies", lambda policy: policy["fired"])
    severest_first = F.array(*[F.lit(flag) for flag in _SEVEREST_FIRST])
    # most payments raise no flag
    flags = F.when(
        F.array_contains(F.col("policies.fired"), True),
        # keeps the order of its first argument, each value once
        F.array_intersect(severest_first, fired["flag"]),
    ).otherwise(F.array().cast("array<string>"))
    return (
        payments.withColumn("policies", _evidence(policies, applies))
        .withColumn("policy_flags", flags)
        .withColumn(
            "policy_flag", F.coalesce(F.get("policy_flags", F.lit(0)), F.lit(str(PolicyFlag.NONE)))
        )
    )


@lru_cache(maxsize=8)  # to build it takes longer than to use it; a column belongs to no session
def _evidence(policies: PolicyBook, applies: Callable[[Column], Column]) -> Column:
    return policies.of_those_that(
        applies,
        lambda policy: F.struct(
            policy["policy_id"].alias("policy_id"),
            policy["version"].alias("version"),
            _by_rule(policy, lambda rule: F.lit(str(rule.flag)), str(PolicyFlag.NONE)).alias(
                "flag"
            ),
            _by_rule(
                policy, lambda rule: F.coalesce(rule.fires(policy), F.lit(False)), False
            ).alias("fired"),
        ),
    )


def _by_rule(
    policy: Column, value: Callable[[PolicyRule], Column], otherwise: str | bool
) -> Column:
    """The value for the policy's rule type: the table as one expression."""
    first, *others = POLICY_RULES.items()
    chain = reduce(
        lambda found, entry: found.when(policy["rule"] == entry[0], value(entry[1])),
        others,
        F.when(policy["rule"] == first[0], value(first[1])),
    )
    return chain.otherwise(F.lit(otherwise))


def _lists(codes: Column, column: str) -> Column:
    return F.coalesce(F.array_contains(codes, F.col(column)), F.lit(False))


def _whole(text: Column) -> Column:
    """The whole number that a text spells, null for none; 13 digits are the most an amount has."""
    return F.when(text.rlike("^[0-9]{1,13}$"), text).cast("bigint")
