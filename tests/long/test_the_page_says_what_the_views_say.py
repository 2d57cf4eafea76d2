"""The numbers of the analyst's page, as a browser shows them, are those of the SQL views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from pyspark.sql import SparkSession

from gold.record_history import record_history
from lakehouse.cli.page.cells import exact
from lakehouse.cli.page.document import page
from lakehouse.cli.page.numbers import COUNT_VIEWS, GOLD_VIEWS, numbers_of, rows_then
from lakehouse.cli.questions import answered
from lakehouse.cli.rows import rows_of
from lakehouse.config import Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.delta import commit_times, path_of
from lakehouse.errors import BeforeFirstVersionError, FutureTimeError
from lakehouse.lease import held_lease
from lakehouse.tables import (
    GOLD_RECONCILIATION,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
    SILVER_PARITY,
    SILVER_QUARANTINE_LIVE,
)
from tests.cli.browser import Seen, chromium, opened
from tests.conftest import LOCAL, in_folder, override
from tests.gold.as_of import by_view, travelled
from tests.gold.horizon import vacuumed
from tests.gold.rows import Row, a_decision, a_gold_row, append, merge_gold

NOW = datetime.now(UTC)
OLD, NEW = (NOW - timedelta(days=days) for days in (300, 2))
COLUMNS = [name for name in GOLD_TRANSACTIONS.columns if name not in ("contributions", "winners")]
PAYER = "payer whose name is on no page"


def _paid(name: str, at: datetime, **facts: object) -> Row:
    return a_gold_row(name, timestamp=at, event_date=at.date(), user_id=PAYER, **facts)


FIRST = [
    _paid("fraud", OLD, settled_amount="1200", chargeback_amount="1200",
          settlement_status="CHARGEBACK", fraud_score="0.95",
          decision=a_decision(fraud_reason_code="HIGH_SCORE", policy_flags=["GEO_BLOCK"],
                              recommended_action="BLOCK")),
    _paid("good", OLD, settled_amount="1200", fraud_score="0.01", decision=a_decision()),
    _paid("waits", NEW, currency="JPY", region="EAST_ASIA", amount="5000"),
    _paid("declined", NEW, transaction_status="DECLINED", exceptions=["MONEY_ON_DECLINED"],
          amount_base="1100", base_currency="EUR"),
]  # fmt: skip
LATER = [_paid("waits", NEW, currency="JPY", amount="5000", settled_amount="5000"),
         _paid("another", NEW, region=None)]  # fmt: skip


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """Gold in two versions with rows, what was counted at each, a refused record, a difference."""
    with pytest.MonkeyPatch.context() as patch:
        override(patch, in_folder(tmp_path_factory.mktemp("analyst")))
        # nobody listens there: a stream whose broker is away has an unknown lag
        override(patch, {"KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"})
        config = Config.load(LOCAL)
        with held_lease(config, "consolidate") as lease:
            lake = Lakehouse(config, spark, "consolidate", Trigger("once", 1), lease, lambda: NOW)
            append(lake, GOLD_TRANSACTIONS, *FIRST)
            append(lake, GOLD_RECONCILIATION, _counted(1, 4))
            merge_gold(lake, *LATER)
            append(lake, GOLD_RECONCILIATION, _counted(2, 6))
            append(lake, SILVER_QUARANTINE_LIVE, {
                "source_table": "bronze.transactions", "coordinates": "kafka:t/0/1@x",
                "rule_ids": ["A_RULE", "B_RULE"], "reasons": ["a", "b"], "payload": b"secret",
                "quarantine_date": NOW.date(),
            })  # fmt: skip
            append(lake, SILVER_PARITY, *[_differs(*each) for each in (
                ("a", 0, False, ["LATE_SCORE"], []), ("b", 0, False, ["OTHER_SCORE"], []),
                ("b", 1, True, [], []), ("c", 0, False, ["LATE_SCORE"], ["policy_flag"]),
            )])  # fmt: skip
            yield lake


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all of this file."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def now(
    lake: Lakehouse, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Seen]:
    """The page of now."""
    with _shown(lake, browser, tmp_path_factory.mktemp("now"), None) as seen:
        yield seen


@pytest.mark.parametrize("view", [*GOLD_VIEWS, *COUNT_VIEWS, "silver.parity_by_cause"])
def test_a_table_of_the_page_is_the_view(lake: Lakehouse, now: Seen, view: str) -> None:
    rows = rows_of(answered(lake.spark, lake.config, f"SELECT * FROM {view}"))
    assert sorted(now.table(view)) == sorted([exact(value) for value in row] for row in rows)
    assert rows


def test_the_rest_is_counted_as_it_stands(now: Seen) -> None:
    assert now.table("gold.exceptions") == [["MONEY_ON_DECLINED", "1"]]
    assert [row[1:5] for row in now.table("silver.quarantine")] == [
        ["A_RULE", "a", "1", "1"], ["B_RULE", "b", "1", "1"],
    ]  # fmt: skip
    assert [row[:2] for row in now.table("silver.parity_by_cause")] == [
        ["LATE_SCORE", "2"], ["UNEXPLAINED", "1"],
    ]  # fmt: skip
    rows_by_table = {row[1]: row[2] for row in now.table("freshness")}
    assert rows_by_table["gold.transactions"] == "5"
    lag = {row[0]: row[2] for row in now.table("lag")}
    assert (lag["record_history"], lag["ingest_transactions"]) == ("3", "")
    assert now.ask("document.getElementById('standing').dataset.version") == "2"
    assert now.errors == []


def test_nobody_is_on_the_page(now: Seen) -> None:
    written = now.page.content()
    assert not [name for name in (PAYER, "secret", "kafka:t/0/1") if name in written]
    assert not [name for name in ("declined", "another") if f'data-value="{name}"' in written]


@pytest.mark.parametrize("by", ["time", "version"])
def test_as_of_a_time_gold_is_what_it_was(
    lake: Lakehouse, browser: Browser, tmp_path: Path, by: str
) -> None:
    committed = commit_times(lake.spark, path_of(lake.config, GOLD_TRANSACTIONS))
    asked = "1" if by == "version" else committed[1].isoformat()
    with _shown(lake, browser, tmp_path, asked) as seen:
        assert seen.ask("document.getElementById('standing').dataset.version") == "1"
        said = seen.ask("document.getElementById('standing').innerText")
        assert f"committed {committed[1]:%Y-%m-%d %H:%M:%S} UTC" in said
        assert f"replaced {committed[2]:%Y-%m-%d %H:%M:%S} UTC" in said
        by_day = {row[0]: row[1:5] for row in seen.table("gold.fraud_by_day")}
        assert by_day == {
            OLD.date().isoformat(): ["2", "2", "1", "0.5"],
            NEW.date().isoformat(): ["2", "0", "0", ""],
        }
        assert [row[3] for row in seen.table("gold.settlement_ageing")] == ["1"]
        (step,) = seen.table("gold.reconciled")
        assert [*step[:2], *step[3:]] == ["a -> b", "1", "4", "4", "0", "0", "0", "0"]


def test_a_label_is_as_old_as_it_was_then(lake: Lakehouse) -> None:
    with pytest.raises(BeforeFirstVersionError):
        numbers_of(lake.spark, lake.config, "2020-01-01", NOW)
    with pytest.raises(FutureTimeError):
        numbers_of(lake.spark, lake.config, "2999-01-01", NOW)
    early = numbers_of(lake.spark, lake.config, None, OLD + timedelta(days=179))
    known = numbers_of(lake.spark, lake.config, None, OLD + timedelta(days=181))
    labelled = [sum(n.answers["gold.fraud_by_day"].column("labelled")) for n in (early, known)]
    assert labelled == [0, 2]


@pytest.fixture(scope="module")
def remembered(lake: Lakehouse) -> Lakehouse:
    """The same, with history: behind those that count how far it is behind."""
    with held_lease(lake.config, "record_history") as lease:
        record_history(replace(lake, job="record_history", lease=lease))
    return lake


def test_history_answers_as_time_travel_does(remembered: Lakehouse) -> None:
    lake = remembered
    for version in (1, 2):
        rows = [
            rows_then(lake.spark, lake.config, version, by).select(*COLUMNS).collect()
            for by in ("time travel", GOLD_TRANSACTION_HISTORY.name)
        ]
        assert sorted(map(str, rows[0])) == sorted(map(str, rows[1]))
        assert {row.user_id for row in rows[0]} == {None}


def test_the_view_of_history_is_gold_at_each_of_its_versions(remembered: Lakehouse) -> None:
    found, columns = by_view(remembered, (1, 2))
    # what waits for its payment is none of the view, and none is here
    assert found == travelled(remembered, (1, 2), columns)
    assert len(found) == len(FIRST) + len(FIRST) + 1
    assert {"amount", "decision", "settlement_status", "exceptions"} <= set(columns)


def test_beyond_the_horizon_the_page_is_answered_from_history(
    remembered: Lakehouse, browser: Browser, tmp_path: Path
) -> None:
    lake = remembered
    by_travel = numbers_of(lake.spark, lake.config, "1", NOW)
    vacuumed(lake, GOLD_TRANSACTIONS)
    by_history = numbers_of(lake.spark, lake.config, "1", NOW)
    assert by_travel.standing and by_history.standing
    assert (by_travel.standing.answered_by, by_travel.standing.notes) == ("time travel", ())
    assert by_history.standing.answered_by == GOLD_TRANSACTION_HISTORY.name
    assert "beyond time travel" in by_history.standing.notes[0]
    of_gold = (*GOLD_VIEWS, *COUNT_VIEWS, "gold.exceptions")
    assert [by_history.answers[name] for name in of_gold] == [
        by_travel.answers[name] for name in of_gold
    ]
    with _shown(lake, browser, tmp_path, "1") as seen:
        assert "beyond time travel" in seen.ask("document.body.innerText")
        assert {row[0] for row in seen.table("gold.fraud_by_day")} == {
            OLD.date().isoformat(), NEW.date().isoformat(),
        }  # fmt: skip


def _counted(version: int, rows: int) -> Row:
    return {"run_id": f"run {version}", "run_at": NOW + timedelta(seconds=version), "inputs": [],
            "gold_version": version, "step": "a -> b", "delivered": rows, "accepted": rows,
            "duplicates": 0, "quarantined": 0, "held": 0, "unexplained": 0, "currency": "JPY",
            "delivered_amount": "5000", "accepted_amount": "5000",
            "differences": []}  # fmt: skip


def _differs(
    name: str, revision: int, withdrawn: bool, causes: list[str], unexplained: list[str]
) -> Row:
    return {"identity": name, "transaction_id": name, "revision": revision, "withdrawn": withdrawn,
            "differences": [], "causes": causes, "unexplained": unexplained, "read_versions": {},
            "event_date": NEW.date(), "compared_at": NOW}  # fmt: skip


def _shown(lake: Lakehouse, browser: Browser, folder: Path, as_of: str | None):  # type: ignore[no-untyped-def]
    file = folder / "report.html"
    file.write_text(page(numbers_of(lake.spark, lake.config, as_of, NOW)), "utf-8")
    return opened(browser, file)
