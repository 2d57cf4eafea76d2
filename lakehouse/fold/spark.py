"""The fold as native Spark expressions: no Python function sees a row.

Each contribution is looked at once: it becomes a struct with a candidate for each field group
(keys of its strength, then what there is to win), and the greatest or least candidate wins. Same
results as `lakehouse.fold.pure`, by test. An expression costs a call into the JVM per node, and a
lambda a dozen: hence few lambdas, and fields taken out of whole arrays of structs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.fold.disputes import is_uncovered, sums_by_dispute
from lakehouse.fold.precedence import Group, Precedence
from lakehouse.fold.ranking import agreeing, candidate, strongest, won
from lakehouse.fold.rules import (
    DEFAULTS,
    NO_EVENT_TIME,
    SUM_OF,
    SUMS,
    UNKNOWN_REGION,
    gold_types,
    unit_name,
)
from lakehouse.fold.transitions import Answers, Limit, Money, Transitions
from lakehouse.records.codes import (
    MoneyEventType,
    SettlementStatus,
    Source,
    TransactionStatus,
)
from lakehouse.tables import WAITING_DAY

_TOTAL = gold_types()["settled_amount"].dataType
_OF_MONEY = ("event_type", "amount", "currency", "event_time", "dispute_id")
_OF_ANSWER = ("transaction_status", "sequence")


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


def derivation(precedence: Precedence, transitions: Transitions) -> Derivation:
    """Compile the rules once: `derived(sets, carrying=())` gives the Gold row of each set.

    `sets` has (transaction_id, contributions), each array a set as `standing` makes it, and the
    columns to be carried along behind Gold's.
    """
    steps = [*_steps(precedence, transitions)]

    def derived(sets: DataFrame, carrying: Sequence[str] = ()) -> DataFrame:
        kept = sets.select("transaction_id", "contributions", *carrying)
        rows = reduce(DataFrame.withColumns, steps, kept)
        return rows.select(*gold_types().fieldNames(), *carrying)

    return derived


def _steps(precedence: Precedence, transitions: Transitions) -> Iterator[dict[str, Column]]:
    """Columns to add, step by step: each reads only what stands before it."""
    contested = precedence.contested
    first = {name: group for name, group in contested.items() if not group.agrees_with}
    second = {name: group for name, group in contested.items() if group.agrees_with}
    yield {"known": _known(contested)}
    yield {
        **{_best(name): strongest(F.col(f"known.{name}"), first[name]) for name in first},
        "money": F.array_compact("known.money"),
        "answers": F.array_distinct(F.array_compact("known.answer")),
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
        "disputes": sums_by_dispute(F.col("money"), F.col("currency")),
    }
    yield {
        "settlement_status": _settlement_status(),
        "exceptions": _exceptions(transitions),
        "winners": _winners(contested),
        "event_date": F.coalesce(F.to_date("timestamp"), F.lit(WAITING_DAY)),
        "region": F.coalesce("region", F.lit(UNKNOWN_REGION)),
    }


def _let(value: Column, body: Callable[[Column], Column]) -> Column:
    # a name for a value inside one expression: Spark would evaluate it at each mention
    return F.get(F.transform(F.array(value), body), F.lit(0))


def _known(groups: Mapping[str, Group]) -> Column:
    """What each contribution that counts has to say: candidates per group, money, answer, time."""

    def said(c: Column) -> Column:
        source = c["source"]
        money = F.struct(*[c[name].alias(name) for name in _OF_MONEY])
        answer = F.struct(*[c[name].alias(name) for name in _OF_ANSWER])
        says = {
            **{name: candidate(c, group) for name, group in groups.items()},
            "money": F.when(source == str(Source.MONEY_EVENT), money),
            "answer": F.when(c["transaction_status"].isNotNull(), answer),
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
            columns |= {_winner(name, unit): prize["identity"]}
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
    is_disputed = is_uncovered(MoneyEventType.CHARGEBACK, MoneyEventType.CHARGEBACK_REVERSED)
    return (
        F.when(is_disputed, str(SettlementStatus.CHARGEBACK))
        .when((settled > 0) & (refunded >= settled), str(SettlementStatus.REFUNDED))
        .when(refunded > 0, str(SettlementStatus.PARTIALLY_REFUNDED))
        .when(settled > 0, str(SettlementStatus.SETTLED))
    )


def _exceptions(transitions: Transitions) -> Column:
    answers, money = transitions.answers, transitions.money
    is_other = F.col("currency").isNotNull() & (F.col("sums.others") > 0)
    broken = {
        answers.rules.apart: _clash(answers),
        answers.rules.follow: _went_back(answers),
        money.rules.legal_on: _is_illegal(money),
        money.rules.currency: is_other,
        **{limit.rule: _is_beyond(limit) for limit in transitions.limits},
    }
    flags = [F.when(broken[rule], F.lit(str(rule))) for rule in sorted(broken)]
    return F.array_compact(F.array(*flags))


def _clash(answers: Answers) -> Column:
    """Whether answers that exclude each other stand at one sequence; one without any may be as
    late as the last.
    """
    given = _answers_of(answers.apart)
    # each answer stands once at a sequence, so that a sequence that comes twice has two of them
    sequences = F.array_compact(given["sequence"])
    last = F.array_max(sequences)
    late = F.filter(
        given, lambda answer: F.coalesce(answer["sequence"] == last, answer["sequence"].isNull())
    )
    return (F.size(sequences) > F.size(F.array_distinct(sequences))) | (
        F.size(F.array_distinct(late["transaction_status"])) > 1
    )


def _went_back(answers: Answers) -> Column:
    """Whether an answer stands at a greater sequence than one that it may not follow."""

    def sequences(status: TransactionStatus) -> Column:
        return _answers_of([status])["sequence"]

    # a comparison with no sequence at all is null: nothing follows there
    pairs = [
        F.array_min(sequences(earlier)) < F.array_max(sequences(later))
        for earlier, later in answers.going_back
    ]
    return reduce(or_, pairs, F.lit(False))


def _answers_of(statuses: Sequence[TransactionStatus]) -> Column:
    names = [str(status) for status in statuses]
    return F.filter("answers", lambda answer: answer["transaction_status"].isin(names))


def _is_illegal(money: Money) -> Column:
    """Whether there is a money event that may not happen to a payment of this status."""
    kinds = F.col("money.event_type")
    forbidden = [
        (F.col("transaction_status") == str(status))
        & F.arrays_overlap(kinds, F.array(*[F.lit(str(kind)) for kind in illegal]))
        for status, illegal in money.illegal_on.items()
    ]
    return reduce(or_, forbidden, F.lit(False))


def _is_beyond(limit: Limit) -> Column:
    if limit.less is None:
        return is_uncovered(limit.of, limit.up_to)
    return is_uncovered(limit.of, limit.less, beyond=F.col(SUM_OF[limit.up_to]))


def _winners(groups: Mapping[str, Group]) -> Column:
    """The winner of each group; where several have won in it, that of each unit."""

    def pair(name: str, identity: Column) -> Column:
        known = F.struct(F.lit(name).alias("field_group"), identity.alias("identity"))
        return F.when(identity.isNotNull(), known)

    def of_group(name: str, group: Group) -> Column:
        of_units = {unit: F.col(_winner(name, unit)) for unit in group.units}
        one_for_all = F.array(pair(name, F.coalesce(*of_units.values())))
        if len(of_units) == 1:
            return one_for_all
        apart = {unit_name(name, unit): identity for unit, identity in of_units.items()}
        identities = F.array_distinct(F.array_compact(F.array(*of_units.values())))
        several = F.array(*[pair(each, apart[each]) for each in sorted(apart)])
        return F.when(F.size(identities) > 1, several).otherwise(one_for_all)

    each = [of_group(name, groups[name]) for name in sorted(groups)]
    return F.array_compact(F.concat(*each))


def _winner(group: str, unit: Sequence[str]) -> str:
    return f"winner_of_{unit_name(group, unit).replace('.', '_')}"


def _best(group: str) -> str:
    return f"best_{group}"
