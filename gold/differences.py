"""What changed between two states of a transaction, and which contributions caused it; pure.

States come as JSON objects of Gold rows. A cause is found by the fold itself: the contributions
that differ are given to the earlier state one by one, and taken from the later one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pyspark.sql.types import (
    ArrayType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    MapType,
    StructType,
)

from gold.history import FieldGroups, field_groups
from lakehouse.fold.precedence import Precedence
from lakehouse.fold.pure import derive
from lakehouse.fold.transitions import Transitions
from lakehouse.fold.wins import wins_of
from lakehouse.records.gold import Contribution
from lakehouse.tables import GOLD_TRANSACTIONS

Row = Mapping[str, Any]
_NO_FACT = ("transaction_id", "contributions", "winners")
_Key = tuple[str, str]


class Change(StrEnum):
    """What happened to a transaction, or to one of its contributions."""

    NEW = "NEW"
    CHANGED = "CHANGED"  # of a contribution: other content under one revision; nothing may do that
    REVISED = "REVISED"
    WITHDRAWN = "WITHDRAWN"
    GONE = "GONE"  # a set only grows: nothing may do that


@dataclass(frozen=True)
class FieldChange:
    """One column that is other than before, and the identities of what made it so."""

    field: str
    group: str | None  # field group; null where it follows from several
    before: Any
    after: Any
    caused_by: list[str]  # empty: no contribution did, but other rules or a forger
    why: str | None  # how the winner of now stands above the others


@dataclass(frozen=True)
class ContributionChange:
    """One contribution that only one state has, or that they have in different revisions."""

    identity: str
    source: str
    change: Change
    revision: int
    coordinates: str
    version: int  # of the Silver table that brought it


@dataclass(frozen=True)
class TransactionChange:
    """One transaction that is other than before."""

    transaction_id: str
    change: Change
    fields: list[FieldChange]
    contributions: list[ContributionChange]


@dataclass(frozen=True)
class Rules:
    """By which rules a Gold row follows from its contributions."""

    precedence: Precedence
    transitions: Transitions

    @property
    def groups(self) -> FieldGroups:
        """Columns of each field group."""
        return field_groups(self.precedence)

    def row_of(self, transaction_id: str, contributions: Iterable[Contribution]) -> Row:
        """The row that a set is."""
        in_order = sorted(contributions, key=lambda c: (c.identity, c.source))
        return derive(transaction_id, in_order, self.precedence, self.transitions)


def row_of_json(text: str | None) -> Row | None:
    """A Gold row as Spark writes it as JSON: `json_row` of Gold's columns."""
    return None if text is None else json_row(text, GOLD_TRANSACTIONS.schema)


def json_row(text: str, columns: StructType) -> Row:
    """A row of these columns, or of some, as Spark writes it as JSON.

    Decimals are such also where they are whole, and keep their digits; instants and days are texts.
    """
    row: Row = _as_declared(json.loads(text, parse_float=Decimal), columns)
    return row


def _as_declared(value: Any, kind: DataType) -> Any:
    match kind:
        case StructType() if isinstance(value, dict):
            kinds = {field.name: field.dataType for field in kind}
            return {name: _as_declared(each, kinds[name]) for name, each in value.items()}
        case ArrayType() if isinstance(value, list):
            return [_as_declared(each, kind.elementType) for each in value]
        case MapType() if isinstance(value, dict):
            return {name: _as_declared(each, kind.valueType) for name, each in value.items()}
        case DecimalType() if isinstance(value, int):
            return Decimal(value)
        case DoubleType() | FloatType() if isinstance(value, Decimal):
            return float(value)
    return value


def contributions_of(row: Row | None) -> dict[_Key, Contribution]:
    """The contributions of a row by identity and source; from history they are without payer."""
    nothing = dict.fromkeys(Contribution.model_fields)
    found = [Contribution(**nothing | c) for c in (row["contributions"] if row else ())]
    return {(c.identity, c.source): c for c in found}


def changed(before: Row | None, after: Row | None, rules: Rules) -> TransactionChange:
    """Everything that differs between two states, of which at least one is there."""
    transaction_id: str = (after or before or {})["transaction_id"]
    then, now = contributions_of(before), contributions_of(after)
    differing = {
        key: _contribution_change(then.get(key), now.get(key))
        for key in sorted(then.keys() | now.keys())
        if then.get(key) != now.get(key)
    }
    causes = _Causes(transaction_id, then, now, [*differing], rules)
    whose = {name: group for group, names in rules.groups.items() for name in names}
    wins = wins_of(transaction_id, now.values(), rules.precedence, rules.transitions)
    why = {field: win.why for win in wins for field in win.fields}
    names = [name for name in (after or before or {}) if name not in _NO_FACT]
    fields = [
        FieldChange(
            name, whose.get(name), _get(before, name), _get(after, name),
            causes.of(name), why.get(name),
        )
        for name in names
        if _get(before, name) != _get(after, name)
    ]  # fmt: skip
    kind = Change.NEW if before is None else Change.GONE if after is None else Change.CHANGED
    return TransactionChange(transaction_id, kind, fields, [*differing.values()])


class _Causes:
    """Which of the contributions that differ a column follows."""

    def __init__(
        self,
        transaction_id: str,
        then: Mapping[_Key, Contribution],
        now: Mapping[_Key, Contribution],
        differing: Sequence[_Key],
        rules: Rules,
    ) -> None:
        def row(contributions: Mapping[_Key, Contribution]) -> Row:
            return rules.row_of(transaction_id, contributions.values())

        self._before, self._after = row(then), row(now)
        self._with = {key: row(_replaced(then, key, now.get(key))) for key in differing}
        self._without = {key: row(_replaced(now, key, then.get(key))) for key in differing}

    def of(self, name: str) -> list[str]:
        """Those of which one is enough; else those that it takes; else none."""
        if self._before[name] == self._after[name]:
            return []
        enough = [key for key, row in self._with.items() if row[name] == self._after[name]]
        needed = [
            key
            for key in self._with
            if self._with[key][name] != self._before[name]
            or self._without[key][name] != self._after[name]
        ]
        return [identity for identity, _ in enough or needed or self._with]


def _replaced(
    contributions: Mapping[_Key, Contribution], key: _Key, by: Contribution | None
) -> dict[_Key, Contribution]:
    rest = {k: c for k, c in contributions.items() if k != key}
    return rest if by is None else rest | {key: by}


def _contribution_change(then: Contribution | None, now: Contribution | None) -> ContributionChange:
    known = now or then
    assert known is not None  # one of the two is there
    if then is None:
        kind = Change.NEW
    elif now is None:
        kind = Change.GONE
    elif now.revision == then.revision:
        kind = Change.CHANGED
    else:
        kind = Change.WITHDRAWN if now.withdrawn else Change.REVISED
    return ContributionChange(
        known.identity, known.source, kind, known.revision, known.coordinates, known.version
    )


def _get(row: Row | None, name: str) -> Any:
    return None if row is None else row.get(name)
