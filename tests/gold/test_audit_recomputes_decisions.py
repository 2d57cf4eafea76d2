"""The audit finds every decision that does not follow from its evidence, and shows any version."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import typer

from gold.audit import audit
from gold.questions import AsOfReport, DecisionsReport, RowsReport
from lakehouse.context import Lakehouse
from lakehouse.delta import commit_times, log_begins_at, path_of
from lakehouse.errors import (
    DecisionsDifferError,
    FutureTimeError,
    TableNotFoundError,
    TransactionNotFoundError,
    VersionGoneError,
    VersionNotFoundError,
)
from lakehouse.tables import GOLD_TRANSACTIONS, SILVER_LIVE_TRANSACTIONS, SILVER_POLICIES
from tests.gold.horizon import shortened, vacuumed
from tests.gold.rows import MORNING, a_gold_row, append, merge_gold

Opener = Callable[[str], Lakehouse]

GEO_BLOCK = {
    "policy_id": "geo", "policy_name": "Sanctions",
    "policy_data": '{"rule": "geo_block", "countries": ["KP"], "regions": []}',
    "effective_date": datetime(2026, 1, 1, tzinfo=UTC), "version": 1,
    "recorded_at": datetime(2026, 1, 1, tzinfo=UTC), "coordinates": "file:policies#1",
}  # fmt: skip
FIRED = {"policy_id": "geo", "version": 1, "flag": "GEO_BLOCK", "fired": True}


def a_live_row(event_id: str = "event-1", **facts: Any) -> dict[str, Any]:
    """A payment without a score, from a country that no policy names: REVIEW."""
    usual = {
        "event_id": event_id, "identity": event_id, "transaction_id": f"t-{event_id}",
        "user_id": "payer-1", "timestamp": MORNING, "updated_at": MORNING, "amount": "1200",
        "currency": "EUR", "country": "DE", "region": "EU", "fraud_reason_code": "UNSCORED",
        "policy_flag": "NONE", "transaction_status": "AUTHORIZED", "score_source": "NONE",
        "policy_flags": [], "policies": [FIRED | {"fired": False}], "velocity": [],
        "recommended_action": "REVIEW", "revision": 0, "withdrawn": False,
        "coordinates": "kafka:payments.transactions/0/0", "content_hash": "0" * 64,
        "event_date": date(2026, 3, 8), "extra": {}, "decided_at": MORNING,
    }  # fmt: skip
    return usual | facts


BLOCKED = {
    "country": "KP", "policy_flag": "GEO_BLOCK", "policy_flags": ["GEO_BLOCK"],
    "policies": [FIRED], "recommended_action": "BLOCK",
}  # fmt: skip


def test_decisions_that_follow_from_their_evidence_are_equal_and_others_are_named(
    lake_for: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    silver, lake = lake_for("enrich_live"), lake_for("audit")
    append(silver, SILVER_POLICIES, GEO_BLOCK)
    append(silver, SILVER_LIVE_TRANSACTIONS, a_live_row("1"), a_live_row("2", **BLOCKED))

    assert audit(lake) == DecisionsReport(decisions=2, equal=2, differences=[])
    assert "decisions checked: 2, equal: 2" in capsys.readouterr().out

    tampered = a_live_row("3", **BLOCKED | {"recommended_action": "ALLOW"})
    append(silver, SILVER_LIVE_TRANSACTIONS, tampered)
    with pytest.raises(DecisionsDifferError, match="1 of 3 decisions"):
        audit(lake, as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert (report["decisions"], report["equal"]) == (3, 2)
    assert report["differences"] == [
        {
            "event_id": "3",
            "transaction_id": "t-3",
            "differences": [
                {"field": "recommended_action", "recorded": "ALLOW", "recomputed": "BLOCK"}
            ],
        }
    ]
    # each transaction can be asked for alone
    assert audit(lake, transaction_id=["T-2"]) == DecisionsReport(1, 1, [])
    with pytest.raises(TransactionNotFoundError):
        audit(lake, transaction_id=["t-9"])


def test_any_table_is_shown_as_of_any_version(
    lake_for: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    silver, lake = lake_for("build_batch"), lake_for("audit")
    with pytest.raises(TableNotFoundError, match="lakehouse run build_batch"):
        audit(lake, table="silver.policies")
    append(silver, SILVER_POLICIES, GEO_BLOCK)
    append(silver, SILVER_POLICIES, GEO_BLOCK | {"version": 2})

    report = audit(lake, table="silver.policies", version=1, as_json=True)

    assert isinstance(report, RowsReport)
    assert (report.version, report.rows) == (1, 1)
    assert report.shown[0]["effective_date"] == "2026-01-01T00:00:00.000000Z"
    assert json.loads(capsys.readouterr().out)["shown"] == report.shown
    for beyond in (-1, 3):
        with pytest.raises(VersionNotFoundError, match="the newest is 2"):
            audit(lake, table="silver.policies", version=beyond)
    with pytest.raises(typer.BadParameter):
        audit(lake, table="silver.policies", transaction_id=["t-1"])


def test_a_version_that_is_kept_no_longer_is_told_from_one_that_never_was(
    lake_for: Opener,
) -> None:
    silver, gold, lake = lake_for("build_batch"), lake_for("consolidate"), lake_for("audit")
    append(silver, SILVER_POLICIES, GEO_BLOCK)
    append(silver, SILVER_POLICIES, GEO_BLOCK | {"version": 2})
    append(gold, GOLD_TRANSACTIONS, a_gold_row("t-1"))
    merge_gold(gold, a_gold_row("t-1", amount="5"))
    path = path_of(lake.config, SILVER_POLICIES)
    times = commit_times(lake.spark, path)
    assert log_begins_at(lake.spark, path) == times[0]
    shortened(lake, SILVER_POLICIES, through=1)
    assert log_begins_at(lake.spark, path) == times[2]
    shortened(lake, GOLD_TRANSACTIONS, through=1)

    with pytest.raises(VersionGoneError, match="no history is kept"):
        audit(lake, table="silver.policies", version=1)
    with pytest.raises(VersionGoneError, match="`lakehouse audit as-of 1` shows"):
        audit(lake, table="gold.transactions", version=1)
    # nobody has followed this Gold
    with pytest.raises(VersionGoneError, match=r"gold\.transaction_history would answer"):
        audit(lake, as_of="1")
    still = audit(lake, as_of="2")
    assert isinstance(still, AsOfReport)
    assert still.transactions == 1


def test_a_time_that_has_not_come_is_refused(lake_for: Opener) -> None:
    gold, lake = lake_for("consolidate"), lake_for("audit")
    append(gold, GOLD_TRANSACTIONS, a_gold_row("t-1"))
    append(lake_for("enrich_live"), SILVER_LIVE_TRANSACTIONS, a_live_row("1"))
    path = path_of(lake.config, GOLD_TRANSACTIONS)
    committed = max(commit_times(lake.spark, path).values())
    later = (committed + timedelta(seconds=1)).isoformat()
    questions: list[dict[str, Any]] = [{"as_of": later}, {"diff_from": "1", "diff_to": later}]
    for question in questions:
        with pytest.raises(FutureTimeError, match="has not come: it is 2026-03-09T12:00:00Z now"):
            audit(lake, **question)
    with pytest.raises(FutureTimeError):
        audit(lake, decision="t-1", as_of=later)
    # what was committed has come, whatever the clock of this machine says
    then = audit(lake, as_of=committed.isoformat())
    assert isinstance(then, AsOfReport)
    assert then.standing.version == 1


def test_every_decimal_is_a_text_for_programs(
    lake_for: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    gold, lake = lake_for("consolidate"), lake_for("audit")
    append(gold, GOLD_TRANSACTIONS, a_gold_row("t-1", amount_base="1300", sequence=3))
    merge_gold(gold, a_gold_row("t-1", amount_base="1400", sequence=3))

    def shown(**question: Any) -> Any:
        audit(lake, as_json=True, **question)
        return json.loads(capsys.readouterr().out)["shown"]

    for [row] in (shown(as_of="1"), shown(table="gold.transactions", version=1)):
        assert (row["amount"], row["amount_base"]) == ("1200.00", "1300")
        assert (row["sequence"], row["contributions"][0]["version"]) == (3, 1)
        assert row["timestamp"] == "2026-03-08T09:00:00.000000Z"
    [changed] = shown(diff_from="1", diff_to="2")
    [base] = [each for each in changed["fields"] if each["field"] == "amount_base"]
    assert (base["before"], base["after"]) == ("1300", "1400")


def test_who_asks_only_how_many_gets_no_row_and_hears_of_files_that_are_gone(
    lake_for: Opener,
) -> None:
    gold, lake = lake_for("consolidate"), lake_for("audit")
    append(gold, GOLD_TRANSACTIONS, a_gold_row("t-1"), a_gold_row("t-2"))
    report = audit(lake, as_of="1", limit=0)
    assert isinstance(report, AsOfReport)
    assert (report.transactions, report.shown) == (2, [])
    merge_gold(gold, a_gold_row("t-1", amount="5"), a_gold_row("t-2", amount="5"))
    vacuumed(lake, GOLD_TRANSACTIONS)
    # only history would answer
    with pytest.raises(VersionGoneError):
        audit(lake, as_of="1", limit=0)


def test_a_version_without_a_table_is_refused(lake_for: Opener) -> None:
    with pytest.raises(typer.BadParameter, match="add --table"):
        audit(lake_for("audit"), version=1)
