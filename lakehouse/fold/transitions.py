"""`conf/transitions.yaml`, loaded and checked: what may happen, and how the rest is flagged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from lakehouse.config import Settings, problems_of, read_yaml
from lakehouse.errors import ContractError
from lakehouse.fold.rules import ExceptionRule
from lakehouse.records.codes import MoneyEventType, TransactionStatus

Sentence = Annotated[str, Field(min_length=1)]
Pair = tuple[TransactionStatus, TransactionStatus]


class AnswerRules(Settings):
    """What breaking each section of `answers` is called."""

    follow: ExceptionRule
    apart: ExceptionRule


class Answers(Settings):
    """Which answer may follow which, and which exclude each other."""

    follow: Mapping[TransactionStatus, tuple[TransactionStatus, ...]]
    apart: Annotated[tuple[TransactionStatus, ...], Field(min_length=2)]
    rules: AnswerRules

    @property
    def going_back(self) -> Iterator[Pair]:
        """Pairs (earlier, later) of answers that may not follow one another."""
        for earlier, legal in self.follow.items():
            for later in sorted(set(TransactionStatus) - {earlier, *legal}):
                yield earlier, later

    @model_validator(mode="after")
    def _check(self) -> Self:
        if missing := sorted(set(TransactionStatus) - set(self.follow)):
            raise ValueError(f"follow: says nothing of {missing}")
        return self


class MoneyRules(Settings):
    """What breaking each section of `money` is called."""

    legal_on: ExceptionRule
    currency: ExceptionRule


class Money(Settings):
    """Which money events may happen to a payment of each status."""

    legal_on: Mapping[TransactionStatus, tuple[MoneyEventType, ...]]
    rules: MoneyRules

    @property
    def illegal_on(self) -> Mapping[TransactionStatus, tuple[MoneyEventType, ...]]:
        """Money events that may not, by status; a status that forbids none is absent."""
        illegal = {
            status: tuple(sorted(set(MoneyEventType) - set(legal)))
            for status, legal in self.legal_on.items()
        }
        return {status: kinds for status, kinds in illegal.items() if kinds}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if missing := sorted(set(TransactionStatus) - set(self.legal_on)):
            raise ValueError(f"legal_on: says nothing of {missing}")
        return self


class Limit(Settings):
    """Of money events `of`, less those taken back, there may be as much as `up_to`."""

    of: MoneyEventType
    less: MoneyEventType | None = None
    up_to: MoneyEventType
    rule: ExceptionRule

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.of in (self.up_to, self.less):
            raise ValueError(f"{self.of} is limited by itself")
        return self


class Transitions(Settings):
    """The whole file; no two parts of it have the same rule."""

    answers: Answers
    money: Money
    limits: tuple[Limit, ...]
    sentences: Mapping[ExceptionRule, Sentence]

    @property
    def rules(self) -> Sequence[ExceptionRule]:
        """The rule of each part, in the order of the file."""
        return [
            self.answers.rules.follow,
            self.answers.rules.apart,
            self.money.rules.legal_on,
            self.money.rules.currency,
            *(limit.rule for limit in self.limits),
        ]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if doubled := sorted({name for name in self.rules if self.rules.count(name) > 1}):
            raise ValueError(f"one rule for several things: {doubled}")
        if untold := sorted(set(self.rules) - set(self.sentences)):
            raise ValueError(f"sentences: nothing of {untold}")
        return self


def load_transitions(path: Path | str) -> Transitions:
    """Load and check the file.

    Raises:
        ConfigError: the file is absent, or not a YAML mapping.
        ContractError: it names a status, event or rule that nobody knows, or lacks one.
    """
    try:
        return Transitions.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ContractError(f"{path}: " + "; ".join(problems_of(error))) from None
