"""The fold as native Spark expressions: no Python function sees a row.

Each group's candidates are ranked once, in a column of structs (keys, then the fields to win);
what is won is then picked from that column. Same results as `lakehouse.fold.pure`, by test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from operator import and_, or_
from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, TimestampType

from lakehouse.fold.precedence import Group, Key, Precedence
from lakehouse.fold.rules import (
    DEFAULTS,
    NO_EVENT_TIME,
    SCORE_SOURCES,
    SUMS,
    TAKEN_FROM,
    UNKNOWN_REGION,
    ExceptionRule,
    contribution_type,
    gold_types,
)
from lakehouse.records.codes import SettlementStatus, Source, TransactionStatus
from lakehouse.tables import WAITING_DAY

_TOTAL = gold_types()["settled_amount"].dataType


class Derivation(Protocol):
    """Compiled rules: the Gold row of each set, then the columns that are carried along."""

    def __call__(self, sets: DataFrame, carrying: Sequence[str] = ()) -> DataFrame: ...


def reduce_contributions(rows: DataFrame) -> DataFrame:
    """One row per transaction: its set of contributions.

    `rows` has (transaction_id, contribution), one row per delivery, in any order, often repeated.
    """
    delivered = F.collect_list("contribution")
    return rows.groupBy("transaction_id").agg(standing(delivered).alias("contributions"))


def union_sets(left: Column, right: Column) -> Column:
    """The union of two sets, as `pure.union`."""
    return standing(F.concat(left, right))


def standing(contributions: Column) -> Column:
    """The set that any array of contributions stands for: see `pure` for the order."""

    def ordered(c: Column) -> Column:
        return F.struct(
            c["identity"].alias("identity"),
            c["source"].alias("source"),
            (-c["revision"]).alias("revision"),
            c["version"].alias("version"),
            c.alias("contribution"),
        )

    def first_of_each(every: Column) -> Column:
        def is_first(c: Column, position: Column) -> Column:
            before = F.get(every, position - 1)
            return ~(
                before["identity"].eqNullSafe(c["identity"])
                & before["source"].eqNullSafe(c["source"])
            )

        return F.transform(F.filter(every, is_first), lambda c: c["contribution"])

    return _let(F.sort_array(F.transform(contributions, ordered)), first_of_each)


def derive(sets: DataFrame, precedence: Precedence) -> DataFrame:
    """The Gold row of each set: exactly Gold's columns. For many frames, keep a `derivation`."""
    return derivation(precedence)(sets)


def derivation(precedence: Precedence) -> Derivation:
    """Compile the rules once: `derived(sets, carrying=())` gives the Gold row of each set.

    `sets` has (transaction_id, contributions), each array a set as `standing` makes it, and the
    columns to be carried along behind Gold's.
    """
    steps = [*_steps(precedence)]

    def derived(sets: DataFrame, carrying: Sequence[str] = ()) -> DataFrame:
        kept = sets.select("transaction_id", "contributions", *carrying)
        rows = reduce(DataFrame.withColumns, steps, kept)
        return rows.select(*gold_types().fieldNames(), *carrying)

    return derived


def _steps(precedence: Precedence) -> Iterator[dict[str, Column]]:
    """Columns to add, step by step: each reads only what stands before it."""
    contested = precedence.contested
    first = {name: group for name, group in contested.items() if not group.agrees_with}
    second = {name: group for name, group in contested.items() if group.agrees_with}
    yield {"known": F.filter("contributions", lambda c: ~c["withdrawn"])}
    yield {_ranked(name): _rank_candidates(group) for name, group in first.items()} | {
        "money": F.filter("known", lambda c: c["source"] == str(Source.MONEY_EVENT)),
        "has_conflict": _has_status_conflict(),
        "updated_at": F.array_max(
            F.transform(
                F.filter("known", lambda c: ~c["source"].isin(*NO_EVENT_TIME)),
                lambda c: c["event_time"],
            )
        ),
    }
    yield _won_of(first)
    yield {_ranked(name): _rank_candidates(group) for name, group in second.items()} | {
        "counted": F.filter("money", lambda m: m["currency"] == F.col("currency"))
    }
    yield {
        **_won_of(second),
        **{column: _sum_of(kind) for column, kind in SUMS.items()},
        "last_money_at": F.array_max(F.transform("counted", lambda m: m["event_time"])),
    }
    yield {
        "settlement_status": _settlement_status(),
        "exceptions": _exceptions(),
        "winners": _winners(contested),
        "event_date": F.coalesce(F.to_date("timestamp"), F.lit(WAITING_DAY)),
        "region": F.coalesce("region", F.lit(UNKNOWN_REGION)),
    }


def _let(value: Column, body: Callable[[Column], Column]) -> Column:
    # a name for a value inside one expression: Spark would evaluate it at each mention
    return F.get(F.transform(F.array(value), body), F.lit(0))


def _ranked(name: str) -> str:
    return f"ranked_{name}"


def _rank_candidates(group: Group) -> Column:
    """Candidates of a group as (keys, fields); strongest first, or only the strongest."""

    def is_candidate(c: Column) -> Column:
        comes_from = c["source"].isin([str(source) for source in group.sources])
        agrees = [_value(c, name).eqNullSafe(F.col(name)) for name in group.agrees_with]
        has_value = [] if group.each_field else [_value(c, group.fields[0]).isNotNull()]
        return reduce(and_, [comes_from, *has_value, *agrees])

    def with_strength(c: Column) -> Column:
        keys = [key.alias(f"key_{i}") for i, key in enumerate(_strength(c, group))]
        fields = [_value(c, name).alias(name) for name in group.fields]
        return F.struct(*keys, c["identity"].alias("identity"), *fields)

    candidates = F.transform(F.filter("known", is_candidate), with_strength)
    if group.each_field:
        return F.sort_array(candidates, asc=not _greatest_wins(group))
    best = F.array_max if _greatest_wins(group) else F.array_min
    return F.array_compact(F.array(best(candidates)))


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


def _won_of(groups: dict[str, Group]) -> dict[str, Column]:
    columns = {
        field: _won(F.col(_ranked(name)), unit)[field]
        for name, group in groups.items()
        for unit in group.units
        for field in unit
    }
    for name, default in DEFAULTS.items():
        if name in columns:
            columns[name] = F.coalesce(columns[name], F.lit(str(default)))
    return columns


def _won(ranked: Column, unit: Sequence[str]) -> Column:
    """The strongest candidate that has all fields of the unit, else the strongest with one."""

    def first_where(combine: Callable[[Column, Column], Column]) -> Column:
        having = F.filter(ranked, lambda c: reduce(combine, [c[f].isNotNull() for f in unit]))
        return F.get(having, F.lit(0))

    return first_where(and_) if len(unit) == 1 else F.coalesce(first_where(and_), first_where(or_))


def _value(c: Column, field: str) -> Column:
    """The contribution's value of a column of Gold."""
    value = c[TAKEN_FROM.get(field, field)]
    if field != "score_source":
        return value
    names = [F.lit(str(name)) for pair in SCORE_SOURCES.items() for name in pair]
    return F.element_at(F.create_map(*names), value)


def _sum_of(kind: str) -> Column:
    return F.aggregate(
        F.filter("counted", lambda m: m["event_type"] == str(kind)),
        F.lit(0).cast(_TOTAL),
        lambda total, m: (total + F.coalesce(m["amount"], F.lit(0))).cast(_TOTAL),
    )


def _settlement_status() -> Column:
    settled, refunded = F.col("settled_amount"), F.col("refunded_amount")
    is_disputed = F.col("chargeback_amount") > F.col("chargeback_reversed_amount")
    return (
        F.when(is_disputed, str(SettlementStatus.CHARGEBACK))
        .when((settled > 0) & (refunded >= settled), str(SettlementStatus.REFUNDED))
        .when(refunded > 0, str(SettlementStatus.PARTIALLY_REFUNDED))
        .when(settled > 0, str(SettlementStatus.SETTLED))
    )


def _has_status_conflict() -> Column:
    def declined_beside(authorized: Column) -> Column:
        return F.exists(
            "known",
            lambda c: (
                (c["transaction_status"] == str(TransactionStatus.DECLINED))
                & c["sequence"].eqNullSafe(authorized["sequence"])
            ),
        )

    is_authorized = str(TransactionStatus.AUTHORIZED)
    return F.exists(
        F.filter("known", lambda c: c["transaction_status"] == is_authorized),
        declined_beside,
    )


def _exceptions() -> Column:
    is_declined = F.col("transaction_status") == str(TransactionStatus.DECLINED)
    holds = {
        ExceptionRule.STATUS_CONFLICT: F.col("has_conflict"),
        ExceptionRule.CURRENCY_MISMATCH: F.col("currency").isNotNull()
        & (F.size("counted") < F.size("money")),
        ExceptionRule.MONEY_ON_DECLINED: is_declined & (F.size("money") > 0),
        ExceptionRule.REFUND_EXCEEDS_SETTLED: F.col("refunded_amount") > F.col("settled_amount"),
    }
    flags = [F.when(holds[rule], F.lit(str(rule))) for rule in sorted(holds)]
    return F.array_compact(F.array(*flags))


def _winners(groups: Iterable[str]) -> Column:
    def winner(name: str) -> Column:
        identity = F.get(F.col(_ranked(name)), F.lit(0))["identity"]
        pair = F.struct(F.lit(name).alias("field_group"), identity.alias("identity"))
        return F.when(identity.isNotNull(), pair)

    return F.array_compact(F.array(*[winner(name) for name in sorted(groups)]))
