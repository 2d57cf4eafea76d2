"""A transaction's decisions, decided again: from recorded evidence, and from what was known then.

What the gateway was told follows `decided_at`; what Gold says of it, the version that stood then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from gold.as_of import (
    AnsweredBy,
    GoldThen,
    Moment,
    asked_as,
    check_has_come,
    read_then,
    standing_at,
)
from gold.auditing import KnownRules, as_json, differences_in, recomputed
from gold.differences import row_of_json
from gold.knowledge import (
    Book,
    KnownThen,
    books_then,
    committed,
    is_there,
    known_then,
    regions_known,
    rules_known,
)
from gold.proving import Difference, Proof, Tried, proof_of, with_doubtful_scores
from gold.selection import Selection
from lakehouse.context import Lakehouse
from lakehouse.decision import DECIDED, Known, PolicyBook, Regions, decide, is_derived
from lakehouse.delta import latest_version, path_of
from lakehouse.errors import (
    BeforeFirstVersionError,
    NotDecidedError,
    TableNotFoundError,
    TransactionNotFoundError,
)
from lakehouse.frames import Keep, keeping
from lakehouse.records.gold import Decision
from lakehouse.tables import GOLD_TRANSACTIONS, SILVER_LIVE_TRANSACTIONS, SILVER_POLICIES

_TOLD = (
    "event_id", "decided_at", "recommended_action", "fraud_score", "fraud_reason_code",
    "score_source", "score_id", "model_version", "policy_flag", "policy_flags", "velocity",
    "rules_version", "coordinates", "transaction_status",
)  # fmt: skip
_IN_GOLD = tuple(Decision.model_fields)


class Outcome(StrEnum):
    """What the audit says of a decision."""

    EQUAL = "EQUAL"
    DIFFERS = "DIFFERS"
    CANNOT_BE_TOLD = "CANNOT_BE_TOLD"


@dataclass(frozen=True)
class AuditedDecision:
    """One decision as it was recorded, and what it should have been."""

    told: Mapping[str, Any]  # as recorded, and when it was committed (null: not known any more)
    is_first: bool  # the one that the gateway goes by, and Gold's
    by_evidence: list[Difference]  # from the score, velocity, policy versions, rules it recorded
    by_knowledge: list[Difference]  # from what was known then, read again
    untold: list[Difference]  # from what may have been known or not: see `proving.Proof`
    policies_in_force: list[str]
    policies_version: int | None  # of the table silver.policies, by which it was decided again
    notes: list[str]

    @property
    def outcome(self) -> Outcome:
        """Whether it follows from both, as far as that can be told."""
        if self.by_evidence or self.by_knowledge:
            return Outcome.DIFFERS
        return Outcome.CANNOT_BE_TOLD if self.untold else Outcome.EQUAL


@dataclass(frozen=True)
class GoldDecision:
    """What Gold says of the first decision, at one version."""

    version: int
    answered_by: AnsweredBy
    differences: list[Difference]
    notes: list[str]


@dataclass(frozen=True)
class DecisionReport:
    """A transaction's decisions up to a time, oldest first."""

    transaction_id: str
    as_of: str | None
    decisions: list[AuditedDecision]
    gold: GoldDecision | None  # null: it is not in Gold yet

    @property
    def outcome(self) -> Outcome:
        """EQUAL: nothing differs anywhere, and all could be told."""
        found = {each.outcome for each in self.decisions}
        if Outcome.DIFFERS in found or (self.gold and self.gold.differences):
            return Outcome.DIFFERS
        return Outcome.CANNOT_BE_TOLD if Outcome.CANNOT_BE_TOLD in found else Outcome.EQUAL

    @property
    def is_equal(self) -> bool:
        """Whether its outcome is EQUAL."""
        return self.outcome is Outcome.EQUAL


def decided_again(lake: Lakehouse, transaction_id: str, moment: Moment | None) -> DecisionReport:
    """Decide again what was decided of a transaction up to a time.

    Raises:
        TableNotFoundError: nothing was decided at all yet.
        TransactionNotFoundError: live has decided nothing of this transaction.
        NotDecidedError: it had not by then.
        VersionNotFoundError, BeforeFirstVersionError: there is no such Gold version.
        FutureTimeError: the time has not come.
    """
    if moment is not None:
        check_has_come(lake, moment)
    if not is_there(lake, SILVER_LIVE_TRANSACTIONS):
        raise TableNotFoundError(SILVER_LIVE_TRANSACTIONS.name, SILVER_LIVE_TRANSACTIONS.written_by)
    of_it = lake.read(SILVER_LIVE_TRANSACTIONS).where(F.col("transaction_id") == transaction_id)
    with keeping() as keep:
        decisions = keep(committed(lake, keep(_by_then(lake, of_it, transaction_id, moment))))
        rows = sorted(decisions.collect(), key=lambda row: (row["decided_at"], row["event_id"]))
        again = _Again(lake, decisions, keep)
        audited = [again.audited(row, is_first=place == 0) for place, row in enumerate(rows)]
    return DecisionReport(
        transaction_id,
        None if moment is None else asked_as(moment),
        audited,
        _in_gold(lake, transaction_id, moment, rows[0]),
    )


def _by_then(
    lake: Lakehouse, of_it: DataFrame, transaction_id: str, moment: Moment | None
) -> DataFrame:
    first = of_it.agg(F.min("decided_at").alias("at")).first()
    if first is None or first["at"] is None:
        raise TransactionNotFoundError(transaction_id, SILVER_LIVE_TRANSACTIONS.name)
    if moment is None:
        return of_it
    then = standing_at(lake, moment).known_from if isinstance(moment, int) else moment
    if then is None or first["at"].astimezone(UTC) > then:
        raise NotDecidedError(transaction_id, asked_as(moment), asked_as(_utc(first["at"])))
    return of_it.where(F.col("decided_at") <= F.lit(then))


class _Again:
    """Decides each of some decisions again; what all of them need is read once."""

    def __init__(self, lake: Lakehouse, decisions: DataFrame, keep: Keep) -> None:
        self._lake, self._decisions, self._keep = lake, decisions, keep
        self._rules: KnownRules = rules_known(lake)
        self._regions: Sequence[Regions] = regions_known(lake)
        now = (
            lake.read(SILVER_POLICIES)
            if is_there(lake, SILVER_POLICIES)
            else lake.spark.createDataFrame([], SILVER_POLICIES.schema)
        )
        self._evidence = {
            row["event_id"]: _differences(row["differences"])
            for row in recomputed(decisions, PolicyBook.of(now), self._rules).collect()
        }

    def audited(self, row: Row, *, is_first: bool) -> AuditedDecision:
        """One decision, by its evidence and by what was known."""
        until = row["known_until"] and _utc(row["known_until"])
        notes = []
        if until is None:
            notes.append(
                "the log of silver.live_transactions does not reach back to its commit: what was "
                "known is what was there when it was decided, and the score that it used"
            )
        proof = self._by_knowledge(row, until)
        book = proof.book
        told = {name: _plain(row[name]) for name in _TOLD} | {"committed_at": until}
        return AuditedDecision(
            told, is_first, self._evidence[row["event_id"]], proof.differences, proof.untold,
            book.in_force if book else [], book.table_version if book else None,
            [*notes, *proof.notes],
        )  # fmt: skip

    def _by_knowledge(self, row: Row, until: datetime | None) -> Proof:
        """What comes out otherwise by what was known, and what of that is proven."""
        if self._rules.of(row["rules_version"]) is None:
            return Proof(None, [Difference("rules_version", row["rules_version"], None)])
        tried: list[Tried] = []
        in_doubt: dict[int | None, Known | None] = {}
        for book in books_then(self._lake, _utc(row["timestamp"]), _utc(row["decided_at"]), until):
            known = self._known(row, book)
            in_doubt[book.table_version] = known.in_doubt
            tried.append(Tried(book, self._by_book(row, book, known.surely)))
            if not tried[-1].differences:
                break
        proof = proof_of(tried)
        assert proof.book is not None  # it was decided by one
        doubtful = in_doubt[proof.book.table_version]
        if proof.differences or doubtful is None:
            return proof
        return with_doubtful_scores(proof, self._by_book(row, proof.book, doubtful))

    def _known(self, row: Row, book: Book) -> KnownThen:
        decision = self._decisions.where(F.col("event_id") == row["event_id"])
        window = book.policies.longest_window_seconds
        return known_then(self._lake, decision, window, self._keep)

    def _by_book(self, row: Row, book: Book, known: Known) -> list[Difference]:
        rules = self._rules.of(row["rules_version"])
        assert rules is not None  # looked at before
        region = F.when(~is_derived(self._regions), F.lit("region"))
        again = decide(
            known.sides.withColumn("recorded", F.struct(*DECIDED)),
            earlier=known.payments,
            scores=known.scores,
            policies=book.policies,
            rules=rules,
        ).select(differences_in(DECIDED).alias("differences"), region.alias("strange"), "region")
        [found] = again.collect()
        strange = [Difference("region", found["region"], None)] if found["strange"] else []
        return _differences(found["differences"]) + strange


def _in_gold(
    lake: Lakehouse, transaction_id: str, moment: Moment | None, first: Row
) -> GoldDecision | None:
    """Whether Gold says of the first decision what Silver does."""
    if not is_there(lake, GOLD_TRANSACTIONS):
        return None
    try:
        newest = latest_version(lake.spark, path_of(lake.config, GOLD_TRANSACTIONS))
        standing = standing_at(lake, newest if moment is None else moment)
    except BeforeFirstVersionError:
        # it was decided before there was a Gold
        return None

    def found(then: GoldThen) -> GoldDecision | None:
        rows = then.rows.select(as_json(F.struct("decision", "contributions")).alias("row"))
        texts = [row_of_json(each["row"]) for each in rows.collect()]
        gold = texts[0] if texts else None
        taken = {c["identity"] for c in (gold["contributions"] if gold else ())}
        # the decision of another event is no sign that Gold waits for this one
        if gold is None or (first["event_id"] not in taken and gold["decision"] is None):
            return None
        said = gold["decision"] or {}
        silver = {name: _comparable(first[name]) for name in _IN_GOLD}
        differences = [
            Difference(f"gold.decision.{name}", _text(_comparable(said.get(name))), _text(value))
            for name, value in silver.items()
            if _comparable(said.get(name)) != value
        ]
        return GoldDecision(standing.version, then.answered_by, differences, then.notes)

    return read_then(lake, standing, Selection(transactions=[transaction_id]), found)


def _differences(found: Sequence[Row]) -> list[Difference]:
    return [Difference(each["field"], each["recorded"], each["recomputed"]) for each in found]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, Row):
        return {name: _plain(each) for name, each in value.asDict().items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _comparable(value: Any) -> Any:
    """A value of Spark's or of JSON as what both have in common."""
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, str) and value.endswith("Z") and value[:4].isdigit() and "T" in value:
        return datetime.fromisoformat(value)
    return value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
