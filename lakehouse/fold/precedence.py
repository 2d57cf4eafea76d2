"""`conf/precedence.yaml`, loaded and checked: who wins, field group by field group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)

from lakehouse.config import Settings, problems_of, read_yaml
from lakehouse.errors import ContractError
from lakehouse.fold.rules import COMPUTED, SUMS
from lakehouse.records.codes import Source, TransactionStatus
from lakehouse.records.gold import GoldTransaction

_DERIVED = frozenset(GoldTransaction.model_fields) - set(COMPUTED)
_TEXT_KEYS = frozenset({"identity", "model_version"})
_KEYS = _TEXT_KEYS | {
    "sequence",
    "event_time",
    "payment_date",
    "revision",
    "decision.decided_at",
}
_CLASSED: Mapping[str, frozenset[str]] = {"transaction_status": frozenset(TransactionStatus)}
_MONEY_FIELDS = frozenset((*SUMS, "settlement_status", "last_money_at"))


def _named(known: Iterable[str], what: str) -> AfterValidator:
    choices = sorted(known)

    def check(name: str) -> str:
        if name not in choices:
            raise ValueError(f"unknown {what}; expected one of {', '.join(choices)}")
        return name

    return AfterValidator(check)


GoldField = Annotated[str, _named(_DERIVED, "field")]


class Key(Settings):
    """One step of an order: which value of a contribution's field wins."""

    field: Annotated[str, _named(_KEYS, "key")]
    wins: Literal["highest", "lowest"]


def _key_of_pair(value: Any) -> Any:
    if isinstance(value, Mapping) and len(value) == 1:
        (field, wins), *_ = value.items()
        return {"field": field, "wins": wins}
    return value


class Group(Settings):
    """Columns that are decided by one order of the contributions; see the YAML for each key."""

    fields: Annotated[tuple[GoldField, ...], Field(min_length=1)]
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    classes: Mapping[str, tuple[tuple[str, ...], ...]] = {}
    then: tuple[Annotated[Key, BeforeValidator(_key_of_pair)], ...] = ()
    each_field: bool = False
    together: tuple[tuple[str, ...], ...] = ()
    agrees_with: tuple[GoldField, ...] = ()

    @property
    def units(self) -> Iterator[tuple[str, ...]]:
        """Fields that are won together; together they are all fields of the group."""
        if not self.each_field:
            yield self.fields
            return
        yield from self.together
        bound = {name for unit in self.together for name in unit}
        yield from ((name,) for name in self.fields if name not in bound)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for field, classes in self.classes.items():
            known = _CLASSED.get(field)
            if known is None:
                raise ValueError(f"classes: unknown field {field!r}; expected one of {[*_CLASSED]}")
            unknown = {value for values in classes for value in values} - known
            if unknown:
                raise ValueError(f"classes.{field}: unknown value {sorted(unknown)}")
        if self.together and not self.each_field:
            raise ValueError("together: only with each_field")
        stray = {name for unit in self.together for name in unit} - set(self.fields)
        if stray:
            raise ValueError(f"together: {sorted(stray)} not among the fields of the group")
        return self


class Precedence(Settings):
    """The whole file: each derived column of Gold stands in exactly one group."""

    payment_facts: Group
    normalised: Group
    transaction_status: Group
    decision: Group
    score: Group
    policy: Group
    money: Group

    @property
    def contested(self) -> Mapping[str, Group]:
        """Groups that one contribution wins (all but money), by name."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "money"}

    @model_validator(mode="after")
    def _check(self) -> Self:
        stood = [field for name in type(self).model_fields for field in getattr(self, name).fields]
        missing = sorted(_DERIVED - set(stood))
        doubled = sorted({field for field in stood if stood.count(field) > 1})
        if missing or doubled:
            raise ValueError(f"fields in no group: {missing}; in several: {doubled}")
        if set(self.money.fields) != _MONEY_FIELDS:
            raise ValueError(f"money: its fields are {sorted(_MONEY_FIELDS)}")
        for name, group in self.contested.items():
            _check_order(name, group)
            _check_agreement(name, group, self.payment_facts)
        return self


def _check_order(name: str, group: Group) -> None:
    if not group.then or group.then[-1].field != "identity":
        raise ValueError(f"{name}.then: identity comes last, so that the order is total")
    last = group.then[-1].wins
    for key in group.then:
        if key.field in _TEXT_KEYS and key.wins != last:
            raise ValueError(f"{name}.then: {key.field} is text and must win as identity does")


def _check_agreement(name: str, group: Group, facts: Group) -> None:
    stray = set(group.agrees_with) - set(facts.fields)
    if stray or (group.agrees_with and group.each_field):
        raise ValueError(f"{name}.agrees_with: fields of payment_facts, and never with each_field")


def load_precedence(path: Path | str) -> Precedence:
    """Load and check the file.

    Raises:
        ConfigError: the file is absent, or not a YAML mapping.
        ContractError: it names a group, field, source or key that nobody knows, or lacks one.
    """
    try:
        return Precedence.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ContractError(f"{path}: " + "; ".join(problems_of(error))) from None
