"""The fold as native Spark expressions: no Python function sees a row.

Each contribution is looked at once: it becomes a struct with a candidate for each field group
(keys of its strength, then what there is to win), and the greatest or least candidate wins. Same
results as `lakehouse.fold.pure`, by test. An expression costs a call into the JVM per node, and a
lambda a dozen: hence few lambdas, and fields taken out of whole arrays of structs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.fold.precedence import Group, Precedence
from lakehouse.fold.ranking import agreeing, candidate, strongest, won
from lakehouse.fold.rules import (
    DEFAULTS,
    NO_EVENT_TIME,
    SUMS,
    UNKNOWN_REGION,
    ExceptionRule,
    gold_types,
)
from lakehouse.records.codes import SettlementStatus, Source, TransactionStatus
from lakehouse.tables import WAITING_DAY

_TOTAL = gold_types()["settled_amount"].dataType
_OF_MONEY = ("event_type", "amount", "currency", "event_time")


class Derivation(Protocol):
    """Compiled rules: the Gold row of each set, then the columns that are carried along."""

    def __call__(self, sets: DataFrame, carrying: Sequence[str] = ()) -> DataFrame: ...


def reduce_contributions(rows: DataFrame) -> DataFrame:
    """One row per transaction: its set of contributions.

    `rows` has (transaction_id, contribution), one row per delivery, in any order, often repeated.
    """
    delivered = F.collect_list("contribution")
    return rows.groupBy("transaction_id").agg(standing(delivered).alias("contributions"))


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

        return F.filter(every, is_first)["contribution"]

    return _let(F.sort_array(F.transform(contributions, ordered)), first_of_each)


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
    yield {"known": _known(contested)}
    yield {
        **{_best(name): strongest(F.col(f"known.{name}"), first[name]) for name in first},
        "money": F.array_compact("known.money"),
        "has_conflict": F.arrays_overlap(
            F.array_compact("known.authorized_at"), F.array_compact("known.declined_at")
        ),
        "updated_at": F.array_max("known.timed_at"),
    }
    yield _won_of(first)
    yield {
        **{_best(name): strongest(agreeing(name, second[name]), second[name]) for name in second},
        "sums": _sums(),
    }
    yield {
        **_won_of(second),
        **{name: F.col(f"sums.{name}") for name in (*SUMS, "last_money_at")},
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


def _known(groups: Mapping[str, Group]) -> Column:
    """What each contribution that counts has to say: a candidate per group, money, and times."""

    def said(c: Column) -> Column:
        source, status = c["source"], c["transaction_status"]
        # answers without a sequence are at one place too: at none
        place = F.coalesce(c["sequence"].cast("string"), F.lit(""))
        money = F.struct(*[c[name].alias(name) for name in _OF_MONEY])
        says = {
            **{name: candidate(c, group) for name, group in groups.items()},
            "money": F.when(source == str(Source.MONEY_EVENT), money),
            "authorized_at": F.when(status == str(TransactionStatus.AUTHORIZED), place),
            "declined_at": F.when(status == str(TransactionStatus.DECLINED), place),
            "timed_at": F.when(~source.isin(*NO_EVENT_TIME), c["event_time"]),
        }
        return F.struct(*[value.alias(name) for name, value in says.items()])

    return F.transform(F.filter("contributions", lambda c: ~c["withdrawn"]), said)


def _won_of(groups: Mapping[str, Group]) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for name, group in groups.items():
        best = F.col(_best(name))
        for unit in group.units:
            prize = won(best, unit) if group.each_field else best
            columns |= {field: prize[field] for field in unit}
    for name, default in DEFAULTS.items():
        if name in columns:
            columns[name] = F.coalesce(columns[name], F.lit(str(default)))
    return columns


def _sums() -> Column:
    """A struct over `money`: `SUMS` and `last_money_at` in the row's currency, `others` counted."""
    zero = F.lit(0).cast(_TOTAL)
    nothing = [zero.alias(name) for name in SUMS]
    nothing += [F.lit(None).cast("timestamp").alias("last_money_at"), F.lit(0).alias("others")]

    def added(sums: Column, money: Column) -> Column:
        counts = money["currency"] == F.col("currency")
        amount = F.when(counts, F.coalesce(money["amount"], zero)).otherwise(zero)
        totals = [
            F.when(money["event_type"] == str(kind), (sums[name] + amount).cast(_TOTAL))
            .otherwise(sums[name])
            .alias(name)
            for name, kind in SUMS.items()
        ]
        newest = F.greatest(sums["last_money_at"], F.when(counts, money["event_time"]))
        others = sums["others"] + F.when(counts, 0).otherwise(1)
        return F.struct(*totals, newest.alias("last_money_at"), others.alias("others"))

    return F.aggregate("money", F.struct(*nothing), added)


def _settlement_status() -> Column:
    settled, refunded = F.col("settled_amount"), F.col("refunded_amount")
    is_disputed = F.col("chargeback_amount") > F.col("chargeback_reversed_amount")
    return (
        F.when(is_disputed, str(SettlementStatus.CHARGEBACK))
        .when((settled > 0) & (refunded >= settled), str(SettlementStatus.REFUNDED))
        .when(refunded > 0, str(SettlementStatus.PARTIALLY_REFUNDED))
        .when(settled > 0, str(SettlementStatus.SETTLED))
    )


def _exceptions() -> Column:
    is_declined = F.col("transaction_status") == str(TransactionStatus.DECLINED)
    holds = {
        ExceptionRule.STATUS_CONFLICT: F.col("has_conflict"),
        ExceptionRule.CURRENCY_MISMATCH: F.col("currency").isNotNull() & (F.col("sums.others") > 0),
        ExceptionRule.MONEY_ON_DECLINED: is_declined & (F.size("money") > 0),
        ExceptionRule.REFUND_EXCEEDS_SETTLED: F.col("refunded_amount") > F.col("settled_amount"),
    }
    flags = [F.when(holds[rule], F.lit(str(rule))) for rule in sorted(holds)]
    return F.array_compact(F.array(*flags))


def _winners(groups: Mapping[str, Group]) -> Column:
    def winner(name: str) -> Column:
        best = F.col(_best(name))
        winning = F.get(best, F.lit(0)) if groups[name].each_field else best
        identity = winning["identity"]
        pair = F.struct(F.lit(name).alias("field_group"), identity.alias("identity"))
        return F.when(identity.isNotNull(), pair)

    return F.array_compact(F.array(*[winner(name) for name in sorted(groups)]))


def _best(group: str) -> str:
    return f"best_{group}"
