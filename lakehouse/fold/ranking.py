"""Who wins a field group, as Spark expressions: candidates as structs in order of strength."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import and_, or_

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, TimestampType

from lakehouse.fold.precedence import Group, Key
from lakehouse.fold.rules import SCORE_SOURCES, TAKEN_FROM, contribution_type


def candidate(c: Column, group: Group) -> Column:
    """A contribution as a struct in order of strength; null where it is no candidate."""
    keys = [key.alias(f"key_{i}") for i, key in enumerate(_strength(c, group))]
    values = {name: _value(c, name) for name in group.fields}
    to_agree = [_value(c, name).alias(_agreed(name)) for name in group.agrees_with]
    is_candidate = c["source"].isin([str(source) for source in group.sources])
    if group.each_field:
        to_win = [*_prizes(values, group.units, c["identity"])]
    else:
        to_win = [value.alias(name) for name, value in values.items()]
        is_candidate &= values[group.fields[0]].isNotNull()
    return F.when(
        is_candidate, F.struct(*keys, c["identity"].alias("identity"), *to_win, *to_agree)
    )


def _prizes(
    values: Mapping[str, Column], units: Iterable[Sequence[str]], identity: Column
) -> Iterator[Column]:
    """Per unit a struct of its fields and of who has them, where all of them are there; and where
    one of them is.
    """
    for unit in units:
        present = [values[name].isNotNull() for name in unit]
        fields = F.struct(*[values[name].alias(name) for name in unit], identity.alias("identity"))
        yield F.when(reduce(and_, present), fields).alias(_whole(unit))
        if len(unit) > 1:
            yield F.when(reduce(or_, present), fields).alias(_in_part(unit))


def strongest(candidates: Column, group: Group) -> Column:
    """The best candidate, or null; of a group with `each_field` all of them, best first."""
    greatest_wins = _greatest_wins(group)
    if group.each_field:
        return F.sort_array(F.array_compact(candidates), asc=not greatest_wins)
    return F.array_max(candidates) if greatest_wins else F.array_min(candidates)


def agreeing(name: str, group: Group) -> Column:
    """Candidates of a group, those that say what the derived row says; null among them."""

    def agrees(c: Column) -> Column:
        return reduce(and_, [c[_agreed(n)].eqNullSafe(F.col(n)) for n in group.agrees_with])

    return F.filter(f"known.{name}", agrees)


def won(ranked: Column, unit: Sequence[str]) -> Column:
    """Fields and `identity` of the strongest candidate that has all fields of the unit, else of
    the strongest that has one.
    """
    ways = (_whole(unit), _in_part(unit)) if len(unit) > 1 else (_whole(unit),)
    return F.coalesce(*[F.get(F.array_compact(ranked[way]), F.lit(0)) for way in ways])


def _greatest_wins(group: Group) -> bool:
    return group.then[-1].wins == "highest"


def _strength(c: Column, group: Group) -> list[Column]:
    """Keys, most significant first: the greatest wins, or the least, by the group's last key."""
    greatest_wins = _greatest_wins(group)
    places = [_place(c[field], classes) for field, classes in group.classes.items()]
    places.append(_place(c["source"], [(str(source),) for source in group.sources]))
    keys = [-place if greatest_wins else place for place in places]
    for key in group.then:
        value = _toward(c, key, greatest_wins)
        # null is weakest: it is least already, and must be made greatest
        keys += [value] if greatest_wins else [value.isNull(), value]
    return keys


def _place(value: Column, classes: Sequence[Sequence[str]]) -> Column:
    """0 for the strongest class, and so on; what stands in none comes last."""
    place = F.lit(len(classes))
    for i, values in reversed([*enumerate(classes)]):
        place = F.when(value.isin([*values]), F.lit(i)).otherwise(place)
    return place


def _toward(c: Column, key: Key, greatest_wins: bool) -> Column:
    outer, _, inner = key.field.partition(".")
    value = c[outer][inner] if inner else c[outer]
    if (key.wins == "highest") == greatest_wins:
        return value
    kind = contribution_type()[outer].dataType
    if isinstance(kind, DateType):
        return -F.unix_date(value)
    is_instant = isinstance(kind, TimestampType) or inner == "decided_at"
    return -F.unix_micros(value) if is_instant else -value


def _value(c: Column, field: str) -> Column:
    """The contribution's value of a column of Gold."""
    value = c[TAKEN_FROM.get(field, field)]
    if field != "score_source":
        return value
    names = [F.lit(str(name)) for pair in SCORE_SOURCES.items() for name in pair]
    return F.element_at(F.create_map(*names), value)


def _agreed(field: str) -> str:
    return f"agreed_{field}"


def _whole(unit: Sequence[str]) -> str:
    return f"whole_{unit[0]}"


def _in_part(unit: Sequence[str]) -> str:
    return f"part_{unit[0]}"
