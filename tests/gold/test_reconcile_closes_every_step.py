"""Counts close at every step, and a record that is nowhere is missed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pyspark.sql import functions as F

from gold.reconcile import reconcile
from lakehouse.context import Lakehouse
from lakehouse.errors import NotAccountedForError
from lakehouse.records.gold import Reconciliation
from lakehouse.tables import (
    BRONZE_DROP_FILES,
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    DROPS,
    GOLD_RECONCILIATION,
    GOLD_TRANSACTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    SILVER_QUALITY_BATCHES,
    SILVER_QUARANTINE_BATCH,
    SILVER_QUARANTINE_LIVE,
)
from tests.gold.rows import MORNING, a_contribution, a_gold_row, append

Opener = Callable[[str], Lakehouse]
Row = dict[str, Any]

DAY = date(2026, 3, 8)
DECIDED: Row = {
    "decided_at": MORNING, "score_source": "NONE", "extra": {}, "policy_flags": [], "policies": [],
    "velocity": [], "recommended_action": "ALLOW", "transaction_status": "AUTHORIZED",
    "policy_flag": "NONE",
}  # fmt: skip
FACTS = "EUR,SETTLED,2026-03-08T09:00:00Z"
LIVE = "bronze.transactions -> silver.live_transactions"
SCORES = "bronze.fraud_scores -> silver.fraud_scores"
MONEY = "bronze.drops_money_events -> silver.money_events"
LIVE_TO_GOLD = "silver.live_transactions -> gold.transactions"
SCORES_TO_GOLD = "silver.fraud_scores -> gold.transactions"
MONEY_TO_GOLD = "silver.money_events -> gold.transactions"


def a_message(offset: int, value: str, topic: str = "payments.transactions") -> Row:
    return {
        "topic": topic, "topic_id": "id", "partition": 0, "offset": offset, "timestamp": MORNING,
        "timestamp_type": 0, "value": bytearray(value.encode()), "redactions": 0,
        "ingest_date": DAY,
    }  # fmt: skip


def a_file(sha: str, revision: int, rows: int, verdict: str = "LOADED", name: str = "a") -> Row:
    return {
        "kind": "money_events", "delivery_date": DAY, "path": f"money_events/{name}.csv",
        "file_sha256": sha, "file_revision": revision, "size_bytes": 1, "modified_at": MORNING,
        "format": "csv", "row_count": rows, "verdict": verdict,
        "fault": None if verdict == "LOADED" else "CONTROL_UNMET", "judged_at": MORNING,
    }  # fmt: skip


def a_csv_row(sha: str, revision: int, number: int, raw: str, name: str = "a") -> Row:
    return {
        "delivery_date": DAY, "path": f"money_events/{name}.csv", "file_sha256": sha,
        "file_revision": revision, "row_number": number, "format": "csv",
        "header": "amount,event_id,note,currency,event_type,timestamp", "raw": raw, "redactions": 0,
    }  # fmt: skip


def a_verdict(verdict: str, *files: tuple[str, int]) -> Row:
    return {
        "batch": "money_events", "kind": "money_events", "delivery_date": DAY, "content": "c",
        "files": [
            {"path": f"money_events/{name}.csv", "file_revision": revision}
            for name, revision in files
        ],
        "verdict": verdict, "failed": [], "recorded_at": MORNING,
    }  # fmt: skip


def in_silver(identity: str, coordinates: str, revision: int = 0) -> Row:
    return {
        "identity": identity, "revision": revision, "withdrawn": False,
        "coordinates": coordinates, "content_hash": "0" * 64, "event_date": DAY,
        "transaction_id": "t-1",
    }  # fmt: skip


def refused(source_table: str, coordinates: str) -> Row:
    return {
        "source_table": source_table, "coordinates": coordinates, "rule_ids": ["r"],
        "reasons": ["r"], "quarantine_date": DAY,
    }  # fmt: skip


def test_each_count_is_made_for_itself_and_what_is_nowhere_is_unexplained(
    lake_for: Opener,
) -> None:
    lake = lake_for("reconcile")
    _transactions(lake)
    _scores(lake)
    _money_events(lake)
    # Gold has the live event and the scores, but only an old revision of the money event
    contributions = [
        a_contribution("e-1", amount="1"),
        a_contribution("score-1", source="TOPIC_SCORE"),
        a_contribution("score-2", source="TOPIC_SCORE"),
        a_contribution("m-1", source="MONEY_EVENT", amount="100", currency="EUR",
                       event_type="SETTLED"),
    ]  # fmt: skip
    row = a_gold_row("t-1", contributions=contributions, settled_amount="100")
    append(lake, GOLD_TRANSACTIONS, row)

    lines = reconcile(lake, only_report=True)

    assert _counts(lines, LIVE) == (4, 1, 1, 1, 0, 1)  # offset 3 is nowhere
    assert _counts(lines, SCORES) == (4, 2, 2, 0, 0, 0)
    assert _counts(lines, MONEY) == (4 + 7 + 3 + 2, 1, 4, 1, 7 + 3, 0)
    assert _counts(lines, LIVE_TO_GOLD) == (1, 1, 0, 0, 0, 0)
    assert _counts(lines, SCORES_TO_GOLD) == (2, 2, 0, 0, 0, 0)
    assert _counts(lines, MONEY_TO_GOLD) == (1, 0, 0, 0, 0, 1)
    assert len({line.step for line in lines}) == 7 + 5 + 1  # those without a record as well
    assert _counts(lines, "bronze.drops_policies -> silver.policies") == (0,) * 6

    append(lake, BRONZE_TRANSACTIONS, a_message(4, '{"event_id": "e-1"}'))
    with pytest.raises(NotAccountedForError, match=r"silver.live_transactions: 1 MISSING \(kafka"):
        reconcile(lake)
    published = lake.read(GOLD_RECONCILIATION)
    runs = [row.asDict()["run_id"] for row in published.select("run_id").distinct().collect()]
    assert len(runs) == 2
    again = (
        published.where(F.col("step") == LIVE).groupBy("run_id").agg(F.sum("delivered").alias("n"))
    )
    assert sorted(row["n"] for row in again.collect()) == [4, 5]


def test_breaks_of_topics_are_named_down_to_their_transactions(lake_for: Opener) -> None:
    lake = lake_for("reconcile")
    twice, other, nobody, once = (f"{number:08}-1111-4111-8111-111111111111" for number in range(4))
    append(
        lake, BRONZE_TRANSACTIONS,
        a_message(0, a_payment(twice)), a_message(1, a_payment(other)),
        a_message(2, a_payment(once)),
    )  # fmt: skip
    append(
        lake, SILVER_LIVE_TRANSACTIONS,
        decided(twice, 0), decided(twice, 0), decided(other, 1) | {"amount": "7"},
        decided(once, 2), decided(nobody, 3),
    )  # fmt: skip
    append(
        lake, BRONZE_FRAUD_SCORES, a_message(0, a_score(twice), "scores"),
        a_message(1, a_score(once), "scores"),
    )  # fmt: skip
    append(
        lake, SILVER_FRAUD_SCORES,
        scored(twice, 0), scored(twice, 0), scored(once, 1), scored(nobody, 2),
    )  # fmt: skip

    lines = reconcile(lake, only_report=True)

    assert _told(lines, LIVE) == {
        ("ALTERED", 1, 2, (other,)), ("DOUBLED", 1, 5, (twice,)),
        ("UNDELIVERED", 1, 5, (nobody,)),
    }  # fmt: skip
    assert _told(lines, SCORES) == {
        ("DOUBLED", 1, None, (twice,)), ("UNDELIVERED", 1, None, (nobody,)),
    }  # fmt: skip
    assert _counts(lines, LIVE) == (3, 3, 0, 0, 0, 3)
    assert _counts(lines, SCORES) == (2, 2, 0, 0, 0, 2)


def a_payment(transaction_id: str) -> str:
    return (
        f'{{"event_id": "{transaction_id}", "transaction_id": "{transaction_id}", "amount": "5", '
        '"currency": "EUR", "timestamp": "2026-03-08T09:00:00Z"}'
    )


def a_score(transaction_id: str) -> str:
    return (
        f'{{"transaction_id": "{transaction_id}", "model_version": "m1", '
        '"inference_time": "2026-03-08T09:00:00Z"}'
    )


def decided(transaction_id: str, offset: int) -> Row:
    place = f"kafka:payments.transactions/0/{offset}@id"
    return in_silver(transaction_id, place) | DECIDED | {
        "event_id": transaction_id, "transaction_id": transaction_id, "amount": "5",
        "currency": "EUR", "timestamp": MORNING,
    }  # fmt: skip


def scored(transaction_id: str, offset: int) -> Row:
    return in_silver(f"score of {transaction_id}", f"kafka:scores/0/{offset}@id") | {
        "transaction_id": transaction_id, "model_version": "m1", "inference_time": MORNING,
        "score_source": "TOPIC", "fraud_score": "0.5", "fraud_reason_code": "NONE",
    }  # fmt: skip


def _transactions(lake: Lakehouse) -> None:
    append(
        lake, BRONZE_TRANSACTIONS,
        a_message(0, '{"event_id": "e-1", "amount": "1"}'), a_message(1, '{"event_id": "E-1"}'),
        a_message(2, "garbage"), a_message(3, '{"event_id": "e-2"}'),
    )  # fmt: skip
    accepted = in_silver("e-1", "kafka:payments.transactions/0/0@id") | DECIDED | {
        "event_id": "e-1", "amount": "1",
    }  # fmt: skip
    append(lake, SILVER_LIVE_TRANSACTIONS, accepted)
    append(
        lake,
        SILVER_QUARANTINE_LIVE,
        refused("bronze.transactions", "kafka:payments.transactions/0/2@id"),
    )


def _scores(lake: Lakehouse) -> None:
    inferred = datetime(2026, 3, 8, 9, 0, 0, 250_000, tzinfo=UTC)
    as_millis = int(inferred.timestamp() * 1000)
    text = '{"transaction_id": "T-1", "model_version": "m1", "inference_time": %s}'
    append(
        lake, BRONZE_FRAUD_SCORES,
        a_message(0, text % as_millis, "scores"),
        a_message(1, text % '"2026-03-08T10:00:00.250+01:00"', "scores"),
        a_message(2, text % '"2026-03-08T09:00Z"', "scores"),
        a_message(3, text % '"2026-03-08T10:00:00+01"', "scores"),
    )  # fmt: skip
    score = {
        "model_version": "m1", "inference_time": inferred, "score_source": "TOPIC",
        "fraud_score": "0.5", "fraud_reason_code": "NONE",
    }  # fmt: skip
    append(
        lake, SILVER_FRAUD_SCORES,
        in_silver("score-1", "kafka:scores/0/0@id") | score,
        in_silver("score-2", "kafka:scores/0/2@id") | score | {"inference_time": MORNING},
    )  # fmt: skip


def _money_events(lake: Lakehouse) -> None:
    """A file, its correction in which m-2 vanished, both put back and forth; and two held files.

    The file was held before it was loaded, and its last content was touched afterwards. Of the held
    files, one was not loaded and is gone, and one is held by a gate of Silver, which let another
    through. One more file waits.
    """
    append(
        lake, BRONZE_DROP_FILES,
        a_file("new", 0, 0, "HELD"), a_file("new", 0, 2, "HELD"), a_file("new", 0, 2),
        a_file("old", 1, 2), a_file("new", 2, 2), a_file("new", 2, 2),
        a_file("bad", 0, 7, "HELD", name="b"), a_file("bad", 0, 7, "GONE", name="b"),
        a_file("gated", 0, 3, name="c"), a_file("open", 0, 9, "WAITING", name="d"),
    )  # fmt: skip
    append(
        lake, SILVER_QUALITY_BATCHES,
        a_verdict("HELD", ("a", 0), ("c", 0)), a_verdict("PUBLISHED", ("a", 0)),
    )  # fmt: skip
    append(
        lake, DROPS["money_events"],
        a_csv_row("new", 0, 1, f'"90","m-1",corrected,{FACTS}\r'), a_csv_row("new", 0, 2, "x,m-3,"),
        a_csv_row("old", 1, 1, '100,m-1,"a, ""quoted"" note"'), a_csv_row("old", 1, 2, "5,m-2,"),
        a_csv_row("new", 2, 1, f'"90","m-1",corrected,{FACTS}\r'), a_csv_row("new", 2, 2, "x,m-3,"),
        a_csv_row("gated", 0, 1, "1,m-1,", name="c"), a_csv_row("gated", 0, 2, "1,m-8,", name="c"),
        a_csv_row("gated", 0, 3, "1,m-9,", name="c"),
    )  # fmt: skip
    place = "file:money_events/a.csv@new#"
    accepted = in_silver("m-1", f"{place}1", revision=1) | {
        "event_id": "m-1", "event_type": "SETTLED", "amount": "90", "currency": "EUR",
        "timestamp": MORNING,
    }  # fmt: skip
    append(lake, SILVER_MONEY_EVENTS, accepted)
    append(lake, SILVER_QUARANTINE_BATCH, refused("bronze.drops_money_events", f"{place}2"))


def _counts(lines: list[Reconciliation], step: str) -> tuple[int, ...]:
    names = ("delivered", "accepted", "duplicates", "quarantined", "held", "unexplained")
    own = [line for line in lines if line.step == step]
    return tuple(sum(getattr(line, name) for line in own) for name in names)


def _told(lines: list[Reconciliation], step: str) -> set[tuple[Any, ...]]:
    """Differences of a step: kind, records, smallest units, names."""
    return {
        (each.kind, each.records, each.amount, tuple(each.names))
        for line in lines
        if line.step == step
        for each in line.differences
    }
