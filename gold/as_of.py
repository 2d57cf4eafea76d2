"""Gold at one of its versions: which one a time means, and who still answers for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.chain import committed_times
from gold.evidence import UNREADABLE
from gold.history import without_payer
from gold.record_history import gold_as_of
from gold.selection import Selection
from lakehouse.context import Lakehouse
from lakehouse.delta import commit_times, exists, path_of
from lakehouse.errors import (
    BeforeFirstVersionError,
    TableNotFoundError,
    TransactionNotFoundError,
    UserNotFoundError,
    VersionNotFoundError,
)
from lakehouse.tables import GOLD_HISTORY_CHAIN, GOLD_TRANSACTION_HISTORY, GOLD_TRANSACTIONS

Moment = int | datetime
"""A version of Gold, or an instant (UTC): the newest version committed at or before it."""

_Answer = TypeVar("_Answer")
# how Spark and Delta say that a version's log or files are gone
_GONE = (
    "FileNotFound", "FILE_NOT_EXIST", "FILE_NOT_FOUND", "Cannot time travel", "VersionNotFound",
    "LOG_FILE_NOT_FOUND", "TRUNCATED_TRANSACTION_LOG", "VERSION_NOT_CONTIGUOUS",
    "VERSIONS_NOT_CONTIGUOUS",
)  # fmt: skip


class AnsweredBy(StrEnum):
    """Where rows of an earlier Gold come from."""

    TIME_TRAVEL = "time travel"
    HISTORY = "gold.transaction_history"


@dataclass(frozen=True)
class Standing:
    """One version of Gold: it stood from `known_from` until `known_until` (UTC, exclusive).

    Null: nothing tells when it was committed; it stands still.
    """

    asked: str
    version: int
    known_from: datetime | None
    known_until: datetime | None


@dataclass(frozen=True)
class GoldThen:
    """Rows of Gold at a version, who answered, and what a reader of the answer must know."""

    standing: Standing
    answered_by: AnsweredBy
    rows: DataFrame
    notes: list[str] = field(default_factory=list)


def asked_as(moment: Moment) -> str:
    """A moment as a person wrote it."""
    if isinstance(moment, int):
        return f"version {moment}"
    return moment.isoformat().replace("+00:00", "Z")


def standing_at(lake: Lakehouse, moment: Moment) -> Standing:
    """The version of Gold that stood then, by in-commit timestamps; the chain knows older ones.

    Raises:
        TableNotFoundError: there is no Gold yet.
        VersionNotFoundError: Gold has not come to that version.
        BeforeFirstVersionError: the time is before all that is recorded.
    """
    path = path_of(lake.config, GOLD_TRANSACTIONS)
    # a question creates no table
    if not exists(lake.spark, path):
        raise TableNotFoundError(GOLD_TRANSACTIONS.name, GOLD_TRANSACTIONS.written_by)
    known = dict(sorted((_chained(lake) | commit_times(lake.spark, path)).items()))
    version = _version(known, moment)
    return Standing(asked_as(moment), version, known.get(version), known.get(version + 1))


def read_then(
    lake: Lakehouse,
    standing: Standing,
    selection: Selection,
    answer: Callable[[GoldThen], _Answer],
    by: AnsweredBy | None = None,
) -> _Answer:
    """What `answer` makes of the selected rows, by time travel, or from history where that ends.

    `by` says who shall answer, and nobody else. Beyond time travel rows are without the payer.

    Raises:
        BeyondKnownHistoryError: only history could answer, and has not come to that version.
        UserNotFoundError: only history could answer, and no row of now names the user.
        TransactionNotFoundError: no row of that version is of the transaction asked for.
    """
    if by is not AnsweredBy.HISTORY:
        try:
            return answer(_travelled(lake, standing, selection))
        except UNREADABLE as fault:
            if by or not any(sign in str(fault) for sign in _GONE):
                raise
    return answer(_remembered(lake, standing, selection))


def check_found(selection: Selection, rows: int, where: str) -> None:
    """Refuse an answer without a row, where somebody was named.

    Raises:
        TransactionNotFoundError, UserNotFoundError: nothing is known of them.
    """
    if rows:
        return
    if selection.user is not None:
        raise UserNotFoundError(where)
    if selection.transactions:
        raise TransactionNotFoundError(selection.transactions[0], where)


def _travelled(lake: Lakehouse, standing: Standing, selection: Selection) -> GoldThen:
    gold = lake.read(GOLD_TRANSACTIONS, standing.version).where(selection.condition())
    return GoldThen(standing, AnsweredBy.TIME_TRAVEL, gold)


def _remembered(lake: Lakehouse, standing: Standing, selection: Selection) -> GoldThen:
    if not exists(lake.spark, path_of(lake.config, GOLD_TRANSACTION_HISTORY)):
        raise VersionNotFoundError(
            GOLD_TRANSACTIONS.name, standing.version, lake.version(GOLD_TRANSACTIONS)
        )
    then = gold_as_of(lake, standing.version)
    notes = [
        f"version {standing.version} of {GOLD_TRANSACTIONS.name} is beyond time travel: "
        f"{GOLD_TRANSACTION_HISTORY.name} answers, and keeps no user id"
    ]
    nameless = selection
    if selection.user is not None:
        nameless = selection.of_these(_transactions_now(lake, selection.user))
        notes.append(
            "the user's transactions are those of the rows of now: one that was another user's "
            "then, or has no row any more, is not among them"
        )
    return GoldThen(standing, AnsweredBy.HISTORY, then.where(nameless.condition()), notes)


def _transactions_now(lake: Lakehouse, user: str) -> list[str]:
    own = lake.read(GOLD_TRANSACTIONS).where(F.col("user_id") == user)
    ids = [row["transaction_id"] for row in own.select("transaction_id").collect()]
    if not ids:
        raise UserNotFoundError(f"{GOLD_TRANSACTIONS.name} as it is now")
    return ids


def anonymous(then: GoldThen) -> DataFrame:
    """Its rows without the payer, whoever answered."""
    if then.answered_by is AnsweredBy.HISTORY:
        return then.rows
    return without_payer(then.rows)


def _chained(lake: Lakehouse) -> dict[int, datetime]:
    if not exists(lake.spark, path_of(lake.config, GOLD_HISTORY_CHAIN)):
        return {}
    return committed_times(lake.read(GOLD_HISTORY_CHAIN))


def _version(known: dict[int, datetime], moment: Moment) -> int:
    newest = max(known, default=-1)
    if isinstance(moment, int):
        if not 0 <= moment <= newest:
            raise VersionNotFoundError(GOLD_TRANSACTIONS.name, moment, newest)
        return moment
    before = [version for version, at in known.items() if at <= moment]
    if not before:
        first = min(known, default=None)
        at = None if first is None else asked_as(known[first])
        raise BeforeFirstVersionError(GOLD_TRANSACTIONS.name, asked_as(moment), first, at)
    return max(before)
