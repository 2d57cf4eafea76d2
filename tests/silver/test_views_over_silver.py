"""The views over both halves of Silver give what plain Python makes of the same rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from lakehouse.cli.questions import answered
from lakehouse.cli.rows import records_of
from lakehouse.context import Lakehouse
from lakehouse.tables import (
    SILVER_CORRECTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_OFFLINE_SCORES,
    SILVER_QUARANTINE_BATCH,
    SILVER_QUARANTINE_LIVE,
    Table,
)
from tests.gold.rows import append
from tests.gold.test_audit_recomputes_decisions import a_live_row

Opener = Callable[[str], Lakehouse]
Row = dict[str, Any]
DAY = date(2026, 3, 9)
NOON = datetime(2026, 3, 9, 12, 0, 0, 123456, tzinfo=UTC)


def a_score(name: str, source: str, **facts: Any) -> Row:
    """A score of which each column says something else."""
    usual = {
        "identity": name, "revision": 0, "withdrawn": False, "coordinates": f"at {name}",
        "content_hash": f"hash of {name}", "event_date": DAY, "model_version": f"model of {name}",
        "transaction_id": f"t-{name}", "fraud_score": "0.25", "explanations": '{"amount": 1}',
        "inference_time": NOON, "score_source": source, "fraud_reason_code": "NONE",
    }  # fmt: skip
    return usual | facts


def a_refused(name: str, **facts: Any) -> Row:
    """A record that broke two rules."""
    usual = {
        "source_table": f"bronze of {name}", "coordinates": f"at {name}",
        "rule_ids": ["A_RULE", "B_RULE"], "reasons": ["a", "b"], "identity": name,
        "transaction_id": f"t-{name}", "payload": b"{}", "quarantine_date": DAY,
    }  # fmt: skip
    return usual | facts


def a_correction(name: str, content_hash: str) -> Row:
    """What somebody has put right."""
    return {
        "coordinates": f"at {name}", "source_table": "bronze.transactions", "partition": 3,
        "offset": 7, "delivered_at": NOON, "quarantine_date": DAY, "payload": b"{}",
        "identity": name, "transaction_id": f"t-{name}", "content_hash": content_hash,
        "event_date": DAY, "reason": f"why {name}", "recorded_at": NOON,
    }  # fmt: skip


def found(lake: Lakehouse, name: str) -> list[Row]:
    """All rows of a view or table, in one order."""
    rows = records_of(answered(lake.spark, lake.config, f"SELECT * FROM {name}"))
    return sorted(rows, key=_place)


def test_a_score_is_found_whatever_brought_it(lake_for: Opener) -> None:
    live, batch = lake_for("enrich_live"), lake_for("build_batch")
    append(live, SILVER_FRAUD_SCORES, a_score("a", "API"),
           a_score("b", "TOPIC", explanations=None, fraud_score="0.999999"))  # fmt: skip
    append(batch, SILVER_OFFLINE_SCORES, a_score("c", "OFFLINE"),
           a_score("c", "OFFLINE", revision=1, withdrawn=True, fraud_score="0"))  # fmt: skip
    scores = found(live, "silver.scores")
    assert scores == _both(live, SILVER_FRAUD_SCORES, SILVER_OFFLINE_SCORES)
    assert [(row["identity"], row["revision"], row["score_source"]) for row in scores] == [
        ("a", 0, "API"), ("b", 0, "TOPIC"), ("c", 0, "OFFLINE"), ("c", 1, "OFFLINE"),
    ]  # fmt: skip
    assert {row["inference_time"] for row in scores} == {NOON}


def test_a_refused_record_is_found_in_either_path(lake_for: Opener) -> None:
    live, batch = lake_for("enrich_live"), lake_for("build_batch")
    append(live, SILVER_QUARANTINE_LIVE, a_refused("a"), a_refused("b", identity=None))
    append(batch, SILVER_QUARANTINE_BATCH, a_refused("c", payload=None, rule_ids=["C_RULE"]))
    refused = found(live, "silver.quarantine")
    assert refused == _both(live, SILVER_QUARANTINE_LIVE, SILVER_QUARANTINE_BATCH)
    assert [row["coordinates"] for row in refused] == ["at a", "at b", "at c"]


def test_a_correction_is_resolved_once_silver_has_it_or_an_equal_one(lake_for: Opener) -> None:
    live, right = lake_for("enrich_live"), lake_for("correct_record")
    append(right, SILVER_CORRECTIONS, *[
        a_correction(name, f"hash of {name}")
        for name in ("a payment", "a score", "waits", "other content", "an offline score")
    ])  # fmt: skip
    append(live, SILVER_LIVE_TRANSACTIONS,
           a_live_row("a payment", content_hash="hash of a payment"),
           a_live_row("other content", content_hash="hash of an earlier one"))  # fmt: skip
    append(live, SILVER_FRAUD_SCORES, a_score("a score", "TOPIC"))
    # a record of a file is corrected by its sender, in another file
    append(lake_for("build_batch"), SILVER_OFFLINE_SCORES, a_score("an offline score", "OFFLINE"))
    resolved = found(live, "silver.resolved")
    assert [row["identity"] for row in resolved] == ["a payment", "a score"]
    assert resolved == [
        row for row in found(live, SILVER_CORRECTIONS.name)
        if row["identity"] in ("a payment", "a score")
    ]  # fmt: skip


def _both(lake: Lakehouse, *tables: Table) -> list[Row]:
    rows = [row for table in tables for row in found(lake, table.name)]
    assert rows
    return sorted(rows, key=_place)


def _place(row: Row) -> tuple[str, int]:
    return row["coordinates"], row.get("revision", 0)
