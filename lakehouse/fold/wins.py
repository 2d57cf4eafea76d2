"""Who won each field group of a set of contributions, and why: in the words of the precedence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.fold.precedence import Group, Key, Precedence
from lakehouse.fold.pure import candidates, derive, key_of, strongest_first, value_of
from lakehouse.fold.transitions import Transitions
from lakehouse.records.codes import Source
from lakehouse.records.gold import Contribution

MONEY = "money"
"""The group that nobody wins: sums of all that counts."""


@dataclass(frozen=True)
class Win:
    """Fields of one group that one contribution decided; of sums: one that counts in them."""

    group: str
    fields: tuple[str, ...]
    identity: str
    source: str  # codes.Source
    coordinates: str
    before: str | None  # identity of the strongest that lost; null where nobody else had a say
    why: str


def wins_of(
    transaction_id: str,
    contributions: Iterable[Contribution],
    precedence: Precedence,
    transitions: Transitions,
) -> list[Win]:
    """Every win in a set, group by group in the order of the file; sums come last."""
    everything = list(contributions)
    row = derive(transaction_id, everything, precedence, transitions)
    known = [c for c in everything if not c.withdrawn]
    won = [
        win
        for name, group in precedence.contested.items()
        for win in _of_group(name, group, strongest_first(candidates(known, group, row), group))
    ]
    counted = [
        _win(MONEY, (str(c.event_type),), c, None, f"counts in the sums of {c.event_type}")
        for c in known
        if c.source == Source.MONEY_EVENT and c.currency == row["currency"]
    ]
    others = [
        _win(MONEY, (), c, None, f"in no sum: it is in {c.currency}, the payment in {currency}")
        for c in known
        if (currency := row["currency"] or "no known currency") != c.currency
        and c.source == Source.MONEY_EVENT
    ]
    return won + counted + others


def _of_group(name: str, group: Group, ranked: Sequence[Contribution]) -> Iterator[Win]:
    if not group.each_field:
        if ranked:
            yield _against(name, group.fields, ranked, group)
        return
    units: dict[str, list[tuple[str, ...]]] = {}
    for unit in group.units:
        able = _able(ranked, unit)
        if able:
            units.setdefault(able[0].identity, []).append(unit)
    for won in units.values():
        able = _able(ranked, won[0])
        yield _against(name, tuple(field for unit in won for field in unit), able, group)


def _able(ranked: Sequence[Contribution], unit: Sequence[str]) -> list[Contribution]:
    """Those that have all fields of a unit, strongest first; if nobody has, those with one."""
    whole = [c for c in ranked if all(value_of(c, field) is not None for field in unit)]
    return whole or [c for c in ranked if any(value_of(c, field) is not None for field in unit)]


def _against(name: str, fields: Sequence[str], ranked: Sequence[Contribution], group: Group) -> Win:
    winner = ranked[0]
    if len(ranked) == 1:
        return _win(name, tuple(fields), winner, None, "no other contribution has a say")
    loser = ranked[1]
    return _win(name, tuple(fields), winner, loser.identity, _why(winner, loser, group))


def _why(winner: Contribution, loser: Contribution, group: Group) -> str:
    for field, classes in group.classes.items():
        mine, theirs = value_of(winner, field), value_of(loser, field)
        if _place(mine, classes) != _place(theirs, classes):
            return f"{field} {mine} is stronger than {theirs}"
    if winner.source != loser.source:
        return f"source {winner.source} is stronger than {loser.source}"
    for key in group.then:
        mine, theirs = key_of(winner, key.field), key_of(loser, key.field)
        if mine != theirs:
            return _by_key(key, mine, theirs)
    return "nothing tells them apart"


def _by_key(key: Key, mine: Any, theirs: Any) -> str:
    if theirs is None:
        return f"{key.field} {mine} is stronger than none"
    way = "higher" if key.wins == "highest" else "lower"
    return f"{key.field} {mine} is {way} than {theirs}"


def _place(value: Any, classes: Sequence[Sequence[str]]) -> int:
    return next((place for place, values in enumerate(classes) if value in values), len(classes))


def _win(
    group: str, fields: tuple[str, ...], winner: Contribution, before: str | None, why: str
) -> Win:
    return Win(group, fields, winner.identity, winner.source, winner.coordinates, before, why)
