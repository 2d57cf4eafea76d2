"""What was known when a transaction was decided, read from the tables as they stood then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from gold.auditing import KnownRules
from gold.evidence import UNREADABLE, is_gone
from lakehouse.context import Lakehouse
from lakehouse.decision import (
    COUNTED,
    DecisionRules,
    Known,
    PolicyBook,
    Regions,
    known_by_then,
    load_regions,
    load_rules,
)
from lakehouse.delta import commit_times, exists, path_of
from lakehouse.frames import Keep
from lakehouse.pinned import Pinned
from lakehouse.records.codes import RuleKind
from lakehouse.tables import (
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_POLICIES,
    SILVER_RULES,
    Table,
)

_SCORES = (
    "identity", "transaction_id", "event_date", "score_source", "model_version", "inference_time",
    "fraud_score", "explanations",
)  # fmt: skip


@dataclass(frozen=True)
class Book:
    """silver.policies as of one version, and why that it agrees would prove nothing.

    `is_after_gone`: an earlier one, which may have been read, is gone. `is_later`: it came after
    the decision was committed; where nobody knows when that was, after it was decided.
    """

    table_version: int | None  # null: there was no such table
    committed_at: datetime | None  # UTC
    is_after_gone: bool
    is_later: bool
    policies: PolicyBook
    in_force: list[str]  # POLICY_ID version NUMBER, at the payment's time


@dataclass(frozen=True)
class KnownThen:
    """What was known for a decision, and what may have been: with scores of which nothing tells.

    Null: there is no such score.
    """

    surely: Known
    in_doubt: Known | None


def rules_known(lake: Lakehouse) -> KnownRules:
    """The rules of decision of now, and all that silver.rules has."""
    recorded = {
        version: DecisionRules(**json.loads(content))
        for version, content in _recorded(lake, RuleKind.DECISION)
    }
    return KnownRules(load_rules(lake.config.rules.decision), recorded)


def regions_known(lake: Lakehouse) -> list[Regions]:
    """conf/regions.yaml of now, and all contents of it that silver.rules has."""
    recorded = [Regions(**json.loads(content)) for _, content in _recorded(lake, RuleKind.REGIONS)]
    return [load_regions(lake.config.rules.regions), *recorded]


def is_there(lake: Lakehouse, table: Table) -> bool:
    """Whether a table exists; a question creates none."""
    return exists(lake.spark, path_of(lake.config, table))


def committed(lake: Lakehouse, decisions: DataFrame) -> DataFrame:
    """Decisions with `known_from`, when each was taken, and `known_until`, when it was committed.

    Null: the table's log does not reach back so far.
    """
    first = decisions.agg(F.min("decided_at").alias("at")).first()
    assert first is not None  # an aggregate has one row
    pinned = Pinned.now(lake, [SILVER_LIVE_TRANSACTIONS])
    events = [row["event_id"] for row in decisions.select("event_id").collect()]
    commits = (
        pinned.commits(SILVER_LIVE_TRANSACTIONS, first["at"].astimezone(UTC))
        .where(F.col("event_id").isin(events))
        # first: who changes a row afterwards does not change when it was there
        .groupBy("event_id")
        .agg(F.min("committed_at").alias("known_until"))
    )
    return decisions.withColumn("known_from", F.col("decided_at")).join(commits, "event_id", "left")


def known_then(
    lake: Lakehouse, decision: DataFrame, look_back_seconds: int, keep: Keep
) -> KnownThen:
    """What live knew when it took one decision (a frame of one row, as `committed` gives it)."""
    row = decision.select("transaction_id", "user_id", "decided_at", "known_until", "event_date",
                          "timestamp", "inference_time").first()  # fmt: skip
    assert row is not None  # the decision itself
    window = lake.config.gold.locate_window_days
    oldest = row["timestamp"].astimezone(UTC) - timedelta(seconds=look_back_seconds)
    payments = (
        lake.read(SILVER_LIVE_TRANSACTIONS)
        .where(F.col("event_date").between(F.lit(oldest.date()), F.lit(row["event_date"])))
        .where(F.col("user_id") == F.lit(row["user_id"]))
        .select(*COUNTED, "decided_at")
    )
    days = {row["event_date"], row["decided_at"].astimezone(UTC).date()}
    is_near = F.lit(False)
    for day in sorted(days):
        around = timedelta(days=window)
        is_near |= F.col("event_date").between(F.lit(day - around), F.lit(day + around))
    if row["inference_time"] is not None:
        is_near |= F.col("event_date") == F.lit(row["inference_time"].astimezone(UTC).date())
    since = row["decided_at"].astimezone(UTC)
    found, complete_since = _scores(lake, row["transaction_id"], is_near, since)
    until = row["known_until"] and row["known_until"].astimezone(UTC)
    if until is not None and complete_since <= until:
        return KnownThen(known_by_then(decision, payments, found, window), None)
    scores = keep(found)
    surely, in_doubt = (
        known_by_then(decision, payments, scores, window, in_doubt=each) for each in (False, True)
    )
    are_there = in_doubt.scores.count() > surely.scores.count()
    return KnownThen(surely, in_doubt if are_there else None)


def books_then(
    lake: Lakehouse, paid_at: datetime, decided_at: datetime, until: datetime | None
) -> Iterator[Book]:
    """Policies as they can have been read for a decision: each version of the table that stood.

    Those between `decided_at` and its commit (`until`, null: not known, and so all until today),
    oldest first, that differ in what was in force at `paid_at`. Where one of them is beyond time
    travel, the oldest version left is told instead, as that. Its rows of before the decision would
    prove nothing: they have the day on which their file was delivered, and not when they were
    published, and lose their intervals to what comes later.
    """
    if not is_there(lake, SILVER_POLICIES):
        empty = lake.spark.createDataFrame([], SILVER_POLICIES.schema)
        yield Book(None, None, False, False, PolicyBook.of(empty), [])
        return
    commits = sorted(commit_times(lake.spark, path_of(lake.config, SILVER_POLICIES)).items())
    ends = [at for _, at in commits[1:]]
    stood = [
        (version, at)
        for (version, at), end in zip(commits, [*ends, None], strict=True)
        if (until is None or at <= until) and (end is None or end > decided_at)
    ]
    wanted = stood or commits[:1]
    later = [each for each in commits if each > wanted[-1]]
    is_gone_before = commits[0][0] > 0 and commits[0][1] > decided_at
    seen: set[tuple[str, ...]] = set()
    for version, at in [*wanted, *later]:
        if seen and (version, at) in later:
            return
        try:
            rows = lake.read(SILVER_POLICIES, version)
            in_force = rows.where(_in_force(paid_at)).orderBy("policy_id", "version").collect()
            policies = PolicyBook.of(rows)
        except UNREADABLE as fault:
            if (version, at) == commits[-1] or not is_gone(fault):
                raise
            is_gone_before = True
            continue
        content = tuple(f"{p.policy_id}/{p.version}/{p.policy_data}" for p in in_force)
        if content not in seen:
            seen.add(content)
            names = [f"{p.policy_id} version {p.version}" for p in in_force]
            # version 0 creates the table: it says what was known when there was none
            is_later = at > (until or decided_at) and version > 0
            yield Book(version, at, is_gone_before, is_later, policies, names)


def _in_force(paid_at: datetime) -> Column:
    has_begun = F.col("effective_date") <= F.lit(paid_at)
    return has_begun & F.coalesce(F.col("effective_to") > F.lit(paid_at), F.lit(True))


def _scores(
    lake: Lakehouse, transaction_id: str, is_near: Column, since: datetime
) -> tuple[DataFrame, datetime]:
    """Scores of the transaction, with `committed_at` and `committed_by`, as `known_by_then` asks.

    And from when on, at or after `since`, the log tells of all commits.
    """
    if not is_there(lake, SILVER_FRAUD_SCORES):
        empty = lake.spark.createDataFrame([], SILVER_FRAUD_SCORES.schema)
        nothing = F.lit(None).cast("timestamp")
        times = [nothing.alias("committed_at"), nothing.alias("committed_by")]
        return empty.select(*_SCORES, *times), since
    pinned = Pinned.now(lake, [SILVER_FRAUD_SCORES])
    is_own = F.col("transaction_id") == transaction_id
    commits = pinned.commits(SILVER_FRAUD_SCORES, since).where(is_own & is_near)
    first = commits.groupBy("identity").agg(F.min("committed_at").alias("committed_at"))
    known = pinned.read(SILVER_FRAUD_SCORES).where(is_own & is_near).select(*_SCORES)
    complete_since = pinned.commits_since(SILVER_FRAUD_SCORES, since)
    committed_by = F.coalesce("committed_at", F.lit(complete_since))
    dated = known.join(first, "identity", "left").withColumn("committed_by", committed_by)
    return dated, complete_since


def _recorded(lake: Lakehouse, kind: RuleKind) -> list[tuple[str, str]]:
    if not is_there(lake, SILVER_RULES):
        return []
    rows = lake.read(SILVER_RULES).where(F.col("kind") == str(kind)).collect()
    return [(row["version"], row["content"]) for row in sorted(rows, key=lambda r: r["version"])]
