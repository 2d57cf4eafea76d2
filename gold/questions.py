"""What an auditor asks of the tables: rows as of a time, what changed, all decisions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import typer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from gold.as_of import (
    AnsweredBy,
    GoldThen,
    Moment,
    Standing,
    anonymous,
    check_found,
    read_then,
    standing_at,
)
from gold.auditing import as_json, as_json_texts, recomputed
from gold.differences import Row, Rules, TransactionChange, changed, json_row, row_of_json
from gold.evidence import UNREADABLE, is_gone
from gold.knowledge import is_there, rules_known
from gold.selection import Selection, has_values
from lakehouse.context import Lakehouse
from lakehouse.decision import PolicyBook
from lakehouse.delta import latest_version, path_of
from lakehouse.errors import (
    TableNotFoundError,
    TransactionNotFoundError,
    VersionGoneError,
    VersionNotFoundError,
)
from lakehouse.fold.precedence import load_precedence
from lakehouse.fold.transitions import load_transitions
from lakehouse.history import GOLD_WITHOUT_PAYER
from lakehouse.tables import (
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_POLICIES,
    Table,
)


@dataclass(frozen=True)
class DecisionsReport:
    """How many decisions follow from their evidence, and where the others differ."""

    decisions: int
    equal: int
    differences: list[dict[str, Any]]  # the first that differ, field by field


@dataclass(frozen=True)
class RowsReport:
    """Rows of a table as of a version."""

    table: str
    version: int
    rows: int
    shown: list[dict[str, Any]]  # the first


@dataclass(frozen=True)
class AsOfReport:
    """Rows of Gold as they stood, one per transaction."""

    standing: Standing
    answered_by: AnsweredBy
    notes: list[str]
    transactions: int
    shown: list[Row]  # the first, by transaction id


@dataclass(frozen=True)
class DifferenceReport:
    """What is other in one state of Gold than in an earlier one."""

    before: Standing
    after: Standing
    answered_by: tuple[AnsweredBy, AnsweredBy]
    notes: list[str]
    transactions: int  # that differ
    shown: list[TransactionChange]  # the first, by transaction id


def rows_as_of(lake: Lakehouse, asked: Moment, selection: Selection, limit: int) -> AsOfReport:
    """Gold as it stood at a version or time.

    Raises:
        what `as_of.standing_at` and `as_of.read_then` raise; TransactionNotFoundError and
        UserNotFoundError where nothing of whom was asked for was known then.
    """
    standing = standing_at(lake, asked)

    def report(then: GoldThen) -> AsOfReport:
        if not limit:
            # to show none is no reason to sort them
            return AsOfReport(standing, then.answered_by, then.notes, _counted(then.rows), [])
        ordered = as_json_texts(then.rows.orderBy("transaction_id").limit(limit + 1)).collect()
        rows = [row for text in ordered if (row := row_of_json(text["row"])) is not None]
        count = then.rows.count() if len(rows) > limit else len(rows)
        return AsOfReport(standing, then.answered_by, then.notes, count, rows[:limit])

    found = read_then(lake, standing, selection, report)
    check_found(selection, found.transactions, _named(standing))
    return found


def differences_between(
    lake: Lakehouse, before: Moment, after: Moment, selection: Selection, limit: int
) -> DifferenceReport:
    """What changed from one version or time to a later one, and which contributions caused it.

    A transaction counts if it was meant in either state. Raises as `rows_as_of`.
    """
    earlier, later = standing_at(lake, before), standing_at(lake, after)
    if earlier.version > later.version:
        raise typer.BadParameter(f"{earlier.asked} is later than {later.asked}: turn them round")
    rules = Rules(
        load_precedence(lake.config.rules.precedence),
        load_transitions(lake.config.rules.transitions),
    )

    def report(one: GoldThen, other: GoldThen) -> DifferenceReport:
        # of a row that was not there nothing is unset either
        is_meant = reduce(
            or_,
            [
                F.col(of).isNotNull() & has_values(selection.values, f"{of}.")
                for of in ("before", "after")
            ],
        )
        pairs = _pairs(one, other, F.coalesce(is_meant, F.lit(False)))
        texts = pairs.orderBy("transaction_id").limit(limit + 1).collect()
        shown = [
            changed(row_of_json(pair["before"]), row_of_json(pair["after"]), rules)
            for pair in texts[:limit]
        ]
        count = pairs.count() if len(texts) > limit else len(texts)
        notes = list(dict.fromkeys((*told, *one.notes, *other.notes)))
        by = (one.answered_by, other.answered_by)
        return DifferenceReport(earlier, later, by, notes, count, shown)

    whom, told = _of_user(lake, earlier, later, selection.of_whom)
    return read_then(
        lake, earlier, whom,
        lambda one: read_then(lake, later, whom, lambda other: report(one, other)),
    )  # fmt: skip


def decisions_by_evidence(
    lake: Lakehouse, transactions: list[str] | None, limit: int
) -> DecisionsReport:
    """All recorded decisions, concluded again from their evidence.

    Raises:
        TableNotFoundError: nothing was decided yet, or no policy published.
        TransactionNotFoundError: live has decided nothing of the transaction.
    """
    decisions = _of_transactions(
        _stored(lake, SILVER_LIVE_TRANSACTIONS), SILVER_LIVE_TRANSACTIONS.name, transactions
    )
    policies = PolicyBook.of(_stored(lake, SILVER_POLICIES))
    checked = recomputed(decisions, policies, rules_known(lake))
    differing = checked.where(F.size("differences") > 0)
    counts = checked.agg(
        F.count(F.lit(1)).alias("checked"), F.count_if(F.size("differences") == 0).alias("equal")
    ).first()
    assert counts is not None  # an aggregate has one row
    _found(counts["checked"], SILVER_LIVE_TRANSACTIONS.name, transactions)
    differ = counts["equal"] < counts["checked"]
    shown = _shown(differing.orderBy("event_id"), limit) if differ else []
    return DecisionsReport(counts["checked"], counts["equal"], shown)


def rows_of_table(
    lake: Lakehouse, table: Table, version: int | None, transactions: list[str] | None, limit: int
) -> RowsReport:
    """Rows of any table, now or as of a version.

    Raises:
        TableNotFoundError, VersionNotFoundError: there is nothing to show.
        VersionGoneError: there was, and it is kept no longer.
        TransactionNotFoundError: the transaction is not in it.
    """
    stored = _stored(lake, table)
    newest = latest_version(lake.spark, path_of(lake.config, table))
    at = newest if version is None else version
    if not 0 <= at <= newest:
        raise VersionNotFoundError(table.name, at, newest)
    try:
        stored = stored if version is None else lake.read(table, version)
        rows = _of_transactions(stored, table.name, transactions)
        count = rows.count()
        _found(count, f"{table.name} at version {at}", transactions)
        return RowsReport(table.name, at, count, _shown(rows, limit))
    except UNREADABLE as fault:
        if version is None or not is_gone(fault):
            raise
        raise VersionGoneError(table.name, at, _instead(table, at)) from None


def _instead(table: Table, version: int) -> str:
    """Who answers for a version that is gone."""
    if table is GOLD_TRANSACTIONS:
        return (
            f"{GOLD_TRANSACTION_HISTORY.name} has its rows, and `lakehouse audit as-of {version}` "
            "shows them"
        )
    return "no history is kept of this table; ask for a later version"


def _pairs(one: GoldThen, other: GoldThen, is_meant: Column) -> DataFrame:
    """`transaction_id`, `before`, `after`: rows as JSON, of those meant that are not the same."""
    is_whole = one.answered_by is other.answered_by is AnsweredBy.TIME_TRAVEL
    columns = GOLD_TRANSACTIONS.columns if is_whole else GOLD_WITHOUT_PAYER
    sides = [
        (then.rows if is_whole else anonymous(then)).select(
            "transaction_id", F.struct(*columns).alias(name)
        )
        for name, then in (("before", one), ("after", other))
    ]
    both = sides[0].join(sides[1], "transaction_id", "full_outer")
    is_other = ~F.col("before").eqNullSafe(F.col("after"))
    return both.where(is_other & is_meant).select(
        "transaction_id", as_json(F.col("before")).alias("before"),
        as_json(F.col("after")).alias("after"),
    )  # fmt: skip


def _of_user(
    lake: Lakehouse, earlier: Standing, later: Standing, whom: Selection
) -> tuple[Selection, list[str]]:
    """Instead of a user the transactions that were of the user before or after, and notes.

    Raises:
        UserNotFoundError: there are none.
    """
    if whom.user is None:
        return whom, []
    ids: set[str] = set()
    notes: list[str] = []

    def found(then: GoldThen) -> None:
        ids.update(row[0] for row in then.rows.select("transaction_id").collect())
        notes.extend(then.notes)

    for standing in (earlier, later):
        read_then(lake, standing, whom, found)
    check_found(whom, len(ids), _named(later))
    return whom.of_these(sorted(ids)), notes


def _counted(rows: DataFrame) -> int:
    """How many rows, by the foot of each file: by the log alone, none would be missed."""
    found = rows.agg(F.sum(F.lit(1))).first()
    return (found and found[0]) or 0


def _named(standing: Standing) -> str:
    return f"{GOLD_TRANSACTIONS.name} at version {standing.version}"


def _stored(lake: Lakehouse, table: Table) -> DataFrame:
    # a question creates no table
    if not is_there(lake, table):
        raise TableNotFoundError(table.name, table.written_by)
    return lake.read(table)


def _of_transactions(rows: DataFrame, table: str, transactions: list[str] | None) -> DataFrame:
    if transactions is None:
        return rows
    if "transaction_id" not in rows.columns:
        raise typer.BadParameter(f"{table} has no transaction_id", param_hint="--transaction-id")
    return rows.where(F.col("transaction_id").isin(transactions))


def _found(count: int, where: str, transactions: list[str] | None) -> None:
    if transactions and not count:
        raise TransactionNotFoundError(transactions[0], where)


def _shown(rows: DataFrame, limit: int) -> list[dict[str, Any]]:
    texts = as_json_texts(rows.limit(limit)).collect()
    return [dict(json_row(each["row"], rows.schema)) for each in texts]
