"""The fold in plain Python: what the Spark form is measured against.

A set of contributions is a tuple sorted by (identity, source), one revision of each: the greatest.
At equal revision the least Silver version stands, then the least content: an order that does not
know which side a contribution came from, so that `union` is associative, commutative, idempotent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from lakehouse.fold.precedence import Group, Key, Precedence
from lakehouse.fold.rules import (
    DEFAULTS,
    NO_EVENT_TIME,
    SCORE_SOURCES,
    SUM_OF,
    SUMS,
    TAKEN_FROM,
    UNKNOWN_REGION,
    ExceptionRule,
    contribution_fields,
    unit_name,
)
from lakehouse.fold.transitions import Answers, Money, Transitions
from lakehouse.records.codes import MoneyEventType, SettlementStatus, Source
from lakehouse.records.gold import Contribution, Winner
from lakehouse.schema import Record
from lakehouse.tables import WAITING_DAY

ContributionSet = tuple[Contribution, ...]


def union(left: Iterable[Contribution], right: Iterable[Contribution]) -> ContributionSet:
    """Everything that either side knows, in its greatest revision."""
    standing: dict[tuple[str, str], Contribution] = {}
    for contribution in (*left, *right):
        who = (contribution.identity, contribution.source)
        rival = standing.get(who)
        if rival is None or _stands_before(contribution, rival):
            standing[who] = contribution
    return tuple(standing[who] for who in sorted(standing))


def derive(
    transaction_id: str,
    contributions: Iterable[Contribution],
    precedence: Precedence,
    transitions: Transitions,
) -> dict[str, Any]:
    """All columns of the Gold row that this set of contributions is."""
    known = [c for c in contributions if not c.withdrawn]
    row: dict[str, Any] = {
        "transaction_id": transaction_id,
        "contributions": tuple(contributions),
    }
    winners: list[tuple[str, str]] = []
    for name, group in precedence.contested.items():
        ranked = strongest_first(candidates(known, group, row), group)
        competing = ranked if group.each_field else ranked[:1]
        won_by = {unit: _winner(competing, unit) for unit in group.units}
        row |= {field: _won(who, field) for unit, who in won_by.items() for field in unit}
        winners += _winners(name, won_by)
    row |= {name: default for name, default in DEFAULTS.items() if row[name] is None}
    counted = [c for c in known if c.source == Source.MONEY_EVENT and _is(c, row["currency"])]
    row |= _money(counted)
    row["exceptions"] = sorted(_exceptions(known, counted, row, transitions))
    row["winners"] = [Winner(field_group=name, identity=who) for name, who in sorted(winners)]
    row["region"] = row["region"] or UNKNOWN_REGION
    row["event_date"] = _utc_day(row["timestamp"])
    timed = (c for c in known if c.source not in NO_EVENT_TIME)
    row["updated_at"] = max((c.event_time for c in timed), default=None)
    return row


def uncovered(money: Sequence[Contribution], of: str, by: str) -> Decimal:
    """How much of the events of one type those of another do not cover, dispute by dispute.

    Of one dispute, what is too much covers nothing of another dispute. Events that name no dispute
    cover, and are covered by, whatever is left.
    """
    sums = {(c.dispute_id, kind): Decimal(0) for c in money for kind in (of, by)}
    for c in money:
        if c.event_type in (of, by):
            sums[c.dispute_id, str(c.event_type)] += c.amount or 0
    disputes = {dispute for dispute, _ in sums if dispute is not None}
    left = [sums[dispute, of] - sums[dispute, by] for dispute in disputes]
    lacking = sum((amount for amount in left if amount > 0), Decimal(0))
    too_much = sum((-amount for amount in left if amount < 0), Decimal(0))
    nothing = Decimal(0)
    unnamed = max(nothing, sums.get((None, of), nothing) - too_much)
    return max(nothing, lacking + unnamed - sums.get((None, by), nothing))


def settlement_status(sums: Mapping[str, Decimal], is_disputed: bool) -> SettlementStatus | None:
    """Where the money stands, from the sums of its events in the payment's currency.

    It `is_disputed` while chargebacks of a dispute exceed its reversals.
    """
    settled, refunded = sums["settled_amount"], sums["refunded_amount"]
    if is_disputed:
        return SettlementStatus.CHARGEBACK
    if settled > 0 and refunded >= settled:
        return SettlementStatus.REFUNDED
    if refunded > 0:
        return SettlementStatus.PARTIALLY_REFUNDED
    return SettlementStatus.SETTLED if settled > 0 else None


def candidates(
    known: Sequence[Contribution], group: Group, row: Mapping[str, Any]
) -> list[Contribution]:
    """Of contributions that count, those that have a say in a group; `row` has the facts."""
    return [
        c
        for c in known
        if c.source in group.sources
        and (group.each_field or value_of(c, group.fields[0]) is not None)
        and all(value_of(c, field) == row[field] for field in group.agrees_with)
    ]


def strongest_first(competing: Iterable[Contribution], group: Group) -> list[Contribution]:
    """Candidates of a group in the order of its precedence."""

    def stronger(one: Contribution, other: Contribution) -> int:
        for field, classes in group.classes.items():
            if by_class := _class(classes, one, field) - _class(classes, other, field):
                return by_class
        if by_source := _rank(group, one) - _rank(group, other):
            return by_source
        return next((order for key in group.then if (order := _compare(key, one, other))), 0)

    return sorted(competing, key=cmp_to_key(stronger))


def _class(classes: Sequence[Sequence[str]], contribution: Contribution, field: str) -> int:
    value = value_of(contribution, field)
    return next((i for i, values in enumerate(classes) if value in values), len(classes))


def _rank(group: Group, contribution: Contribution) -> int:
    return group.sources.index(Source(contribution.source))


def _compare(key: Key, one: Contribution, other: Contribution) -> int:
    """Below zero if `one` is stronger."""
    mine, theirs = key_of(one, key.field), key_of(other, key.field)
    if mine == theirs:
        return 0
    if mine is None or theirs is None:
        return 1 if mine is None else -1
    return -1 if (mine > theirs) == (key.wins == "highest") else 1


def _winner(ranked: Sequence[Contribution], unit: Sequence[str]) -> Contribution | None:
    def first_where(enough: Callable[[Iterable[object]], bool]) -> Contribution | None:
        return next(
            (c for c in ranked if enough(value_of(c, field) is not None for field in unit)),
            None,
        )

    return first_where(all) or first_where(any)


def _won(winner: Contribution | None, field: str) -> Any:
    return value_of(winner, field) if winner else None


def _winners(
    group: str, won_by: Mapping[tuple[str, ...], Contribution | None]
) -> Iterator[tuple[str, str]]:
    """The winner of a group; where several have won in it, that of each unit by its first field."""
    known = {unit: who.identity for unit, who in won_by.items() if who}
    if len({*known.values()}) > 1:
        yield from ((unit_name(group, unit), who) for unit, who in known.items())
    else:
        yield from ((group, who) for who in {*known.values()})


def _money(counted: Sequence[Contribution]) -> dict[str, Any]:
    sums = {
        column: sum(
            (c.amount or Decimal(0) for c in counted if c.event_type == kind),
            Decimal(0),
        )
        for column, kind in SUMS.items()
    }
    raised, reversed_ = MoneyEventType.CHARGEBACK, MoneyEventType.CHARGEBACK_REVERSED
    return {
        **sums,
        "settlement_status": settlement_status(sums, uncovered(counted, raised, reversed_) > 0),
        "last_money_at": max((c.event_time for c in counted), default=None),
    }


def _exceptions(
    known: Sequence[Contribution],
    counted: Sequence[Contribution],
    row: Mapping[str, Any],
    transitions: Transitions,
) -> Iterator[ExceptionRule]:
    """The rules that are broken, each once; `counted` is the money that is in the sums."""
    yield from _of_answers(known, transitions.answers)
    money = [c for c in known if c.source == Source.MONEY_EVENT]
    yield from _of_money(money, row, transitions.money)
    for limit in transitions.limits:
        if limit.less is None:
            is_beyond = uncovered(counted, limit.of, limit.up_to) > 0
        else:
            is_beyond = uncovered(counted, limit.of, limit.less) > row[SUM_OF[limit.up_to]]
        if is_beyond:
            yield limit.rule


def _of_answers(known: Sequence[Contribution], answers: Answers) -> Iterator[ExceptionRule]:
    given = [(c.transaction_status, c.sequence) for c in known if c.transaction_status]
    statuses_at: dict[int | None, set[str]] = {}
    for status, sequence in given:
        statuses_at.setdefault(sequence, set()).add(status)
    apart = {
        sequence: found
        for sequence, statuses in statuses_at.items()
        if (found := statuses & {*answers.apart})
    }
    # an answer without a sequence may be as late as the last one
    last = max((sequence for sequence in apart if sequence is not None), default=None)
    apart[last] = apart.get(last, set()) | apart.get(None, set())
    if any(len(statuses) > 1 for statuses in apart.values()):
        yield answers.rules.apart
    numbered = [(status, sequence) for status, sequence in given if sequence is not None]
    going_back = {*answers.going_back}
    if any((one, other) in going_back for one, m in numbered for other, n in numbered if m < n):
        yield answers.rules.follow


def _of_money(
    money: Sequence[Contribution], row: Mapping[str, Any], rules: Money
) -> Iterator[ExceptionRule]:
    illegal = rules.illegal_on.get(row["transaction_status"], ())
    if any(c.event_type in illegal for c in money):
        yield rules.rules.legal_on
    if row["currency"] is not None and any(c.currency != row["currency"] for c in money):
        yield rules.rules.currency


def value_of(contribution: Contribution, field: str) -> Any:
    """The contribution's value of a column of Gold."""
    value = getattr(contribution, TAKEN_FROM.get(field, field))
    return SCORE_SOURCES.get(Source(value)) if field == "score_source" else value


def key_of(contribution: Contribution, path: str) -> Any:
    """What a contribution says of a key of the precedence, as in `decision.decided_at`."""
    value: Any = contribution
    for name in path.split("."):
        value = None if value is None else getattr(value, name)
    return value


def _is(money: Contribution, currency: str | None) -> bool:
    return currency is not None and money.currency == currency


def _utc_day(instant: datetime | None) -> date:
    return instant.astimezone(UTC).date() if instant else WAITING_DAY


def _stands_before(one: Contribution, rival: Contribution) -> bool:
    mine, theirs = (-one.revision, one.version), (-rival.revision, rival.version)
    return mine < theirs or (mine == theirs and _content(one) < _content(rival))


def _content(contribution: Contribution) -> Any:
    return _comparable([getattr(contribution, field) for field in contribution_fields()])


def _comparable(value: Any) -> Any:
    """An order over values of any field: null is least, as in Spark."""
    if value is None:
        return (False,)
    if isinstance(value, Record):
        value = [getattr(value, field) for field in type(value).model_fields]
    if isinstance(value, (list, tuple)):
        return (True, tuple(_comparable(item) for item in value))
    return (True, value)
