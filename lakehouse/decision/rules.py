"""The tables of conf/decision.yaml: which reason a score gets, and which action is advised."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from lakehouse.config import Settings, problems_of, read_yaml
from lakehouse.errors import ConfigError, ContractError
from lakehouse.records.codes import Action, PolicyFlag, ReasonCode

Share = Annotated[Decimal, Field(ge=0, le=1, max_digits=7, decimal_places=6)]
ExplanationName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]

FLAGS = tuple(flag for flag in PolicyFlag if flag is not PolicyFlag.NONE)
"""Flags that a policy can raise, least severe first."""


class ReasonRules(Settings):
    """From which score on a reason is given, and which explanation names which reason."""

    suspicious_from: Share
    least_contribution: float = Field(allow_inf_nan=False)
    by_explanation: dict[ExplanationName, ReasonCode] = Field(min_length=1)


class ActionRule(Settings):
    """One line of the action table; a condition that is not named always holds."""

    flags: tuple[PolicyFlag, ...] | None = Field(default=None, min_length=1)
    score_from: Share | None = None
    unscored: bool = False
    action: Action

    @property
    def is_unconditional(self) -> bool:
        """Whether it matches every payment."""
        return self.flags is None and self.score_from is None and not self.unscored

    def matches(self, fraud_score: Decimal | None, fired: Collection[PolicyFlag]) -> bool:
        """Whether it decides a payment of this score on which these flags were raised."""
        raised = set(fired) or {PolicyFlag.NONE}
        return (
            (self.flags is None or not raised.isdisjoint(self.flags))
            and not (self.unscored and fraud_score is not None)
            and (
                self.score_from is None
                or (fraud_score is not None and fraud_score >= self.score_from)
            )
        )


class DecisionRules(Settings):
    """All that conf/decision.yaml says."""

    reasons: ReasonRules
    actions: tuple[ActionRule, ...] = Field(min_length=1)

    @property
    def version(self) -> str:
        """What tells these rules from all others: 16 hexadecimal digits of their content's hash."""
        return fingerprint_of(self)

    def action_for(self, fraud_score: Decimal | None, fired: Collection[PolicyFlag]) -> Action:
        """The action of one payment, in plain Python: what `recommended_action` says in Spark."""
        return next(rule.action for rule in self.actions if rule.matches(fraud_score, fired))


def fingerprint_of(settings: Settings) -> str:
    """16 hexadecimal digits that tell settings from others of their kind, however the file is laid
    out: they are of the values alone.
    """
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]


def load_rules(path: Path | str) -> DecisionRules:
    """Read and check conf/decision.yaml.

    Raises:
        ConfigError: the file is absent or not YAML, a key is unknown, a value is wrong.
        ContractError: the tables contradict the rules that hold everywhere, for instance by
            giving ALLOW to a payment without a score.
    """
    try:
        rules = DecisionRules(**read_yaml(path))
    except ValidationError as error:
        raise ConfigError(path, problems_of(error)) from None
    for problem in _contradictions(rules):
        raise ContractError(f"{path}: {problem}")
    return rules


def _contradictions(rules: DecisionRules) -> Iterator[str]:
    for name, reason in rules.reasons.by_explanation.items():
        if reason in (ReasonCode.NONE, ReasonCode.UNSCORED):
            yield (
                f"reasons.by_explanation.{name}: expected the reason of a suspicious score, "
                f"got {reason}"
            )
    for index, rule in enumerate(rules.actions):
        if rule.unscored and rule.score_from is not None:
            yield f"actions.{index}: expected `unscored` or `score_from`, got both"
    unconditional = [index for index, rule in enumerate(rules.actions) if rule.is_unconditional]
    last = len(rules.actions) - 1
    if unconditional != [last]:
        yield (
            f"actions.{unconditional[0] if unconditional else last}: expected the last rule, and "
            "no other, to have no condition, so that every payment gets one action"
        )
    # shortest first: the simplest payment that shows the contradiction is named
    for size in range(len(FLAGS) + 1):
        for fired in combinations(FLAGS, size):
            index, rule = next(
                (index, rule)
                for index, rule in enumerate(rules.actions)
                if rule.matches(None, fired)
            )
            if rule.action is Action.ALLOW:
                yield (
                    f"actions.{index}: expected REVIEW or BLOCK for a payment without a score, "
                    f"got ALLOW (policy flags: {', '.join(fired) or PolicyFlag.NONE})"
                )
