"""A lake that closes to the cent; then each kind of break, planted and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.config import Config
from lakehouse.delta import path_of
from lakehouse.errors import NotAccountedForError
from lakehouse.tables import (
    DROPS,
    GOLD_RECONCILIATION,
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    Table,
)
from tests.bronze.landing_folder import deliver
from tests.conftest import LOCAL, NOON
from tests.gold.accounted_week import (
    CONTROL,
    FOREIGN,
    LOG,
    LOG_TO_GOLD,
    MONEY,
    MONEY_TO_GOLD,
    PAYMENTS,
    REFUNDED,
    TOTALS,
    UNKNOWN,
    Account,
    PlainAnswer,
    deliver_money,
    deliver_week,
    event_of,
    events,
    payment,
    run,
)
from tests.silver.deliveries import a_log_row

Tamper = Callable[[Table, str], None]

JOBS = ("load_drops", "build_batch", "consolidate")


@pytest.fixture
def tamper(config: Config, spark: SparkSession) -> Tamper:
    """Change a table behind the back of its job; `{t}` is the table."""

    def tampered(table: Table, sql: str) -> None:
        name = f"delta.`{path_of(config, table)}`"
        spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
        spark.sql(sql.format(t=name))

    return tampered


def of(number: int) -> str:
    return f"transaction_id = '{payment(number)}'"


def test_an_account_is_plain_pythons_and_what_waits_is_named_and_aged(config: Config) -> None:
    deliver_week(config)
    run(config, *JOBS)
    account = Account.of(config)

    assert account.unexplained == 0
    every = PlainAnswer.of(events()).sums
    for step in (MONEY, MONEY_TO_GOLD):
        assert account.amounts(step, "delivered_amount") == every
        assert account.amounts(step, "accepted_amount") == every
    log = PlainAnswer.of(a_log_row(number) for number in PAYMENTS).sums
    for step in (LOG, LOG_TO_GOLD):
        assert account.amounts(step, "accepted_amount") == log
    outside = [payment(UNKNOWN), payment(FOREIGN)]
    summed = PlainAnswer.of(e for e in events() if e["transaction_id"] not in outside).sums
    held = PlainAnswer.of(e for e in events() if e["transaction_id"] in outside).sums
    assert account.amounts(TOTALS, "accepted_amount") == summed
    assert account.amounts(TOTALS, "held_amount") == held
    assert account.named(TOTALS, "WAITING") == {payment(UNKNOWN): 70}
    assert account.named(TOTALS, "OTHER_CURRENCY") == {payment(FOREIGN): 1000}
    told = sum(line.accepted_amount or 0 for line in account.lines if line.step == CONTROL)
    assert told == sum(Decimal(event["amount"]) for event in events())

    later = Account.of(config, at=NOON + timedelta(days=3))
    [(_, waiting, _)] = [d for d in later.differences(TOTALS) if d[1].kind == "WAITING"]
    assert waiting.reported_since == NOON
    assert waiting.oldest_at is not None
    assert waiting.oldest_at.isoformat() == "2026-03-03T08:00:00+00:00"


def test_what_a_job_has_not_come_to_is_unread_also_if_it_comes_to_it_meanwhile(
    config: Config,
) -> None:
    deliver_week(config)
    run(config, *JOBS)
    deliver_money(config, [event_of(REFUNDED, 113, event_type="REFUNDED")], day="2026-03-07")
    run(config, "load_drops")
    loaded = Account.of(config, meanwhile=lambda: run(config, "build_batch"))
    assert loaded.named(MONEY, "UNREAD") == {payment(REFUNDED): 1000}
    built = Account.of(config, meanwhile=lambda: run(config, "consolidate"))
    assert built.named(MONEY, "UNREAD") == {}
    assert built.named(MONEY_TO_GOLD, "UNREAD") == {payment(REFUNDED): 1000}
    assert Account.of(config).named(MONEY_TO_GOLD, "UNREAD") == {}
    assert loaded.unexplained == built.unexplained == 0


def test_each_break_between_files_and_gold_is_named_down_to_its_transactions(
    config: Config, spark: SparkSession, tamper: Tamper, tmp_path: Path
) -> None:
    deliver_week(config)
    run(config, *JOBS)
    money, gold = SILVER_MONEY_EVENTS, GOLD_TRANSACTIONS
    tamper(money, f"DELETE FROM {{t}} WHERE {of(1)}")
    tamper(money, f"INSERT INTO {{t}} SELECT * FROM {{t}} WHERE {of(2)}")
    tamper(money, f"UPDATE {{t}} SET amount = amount + 1 WHERE {of(3)}")
    tamper(
        money,
        "UPDATE {t} SET identity = concat('x', identity), coordinates = 'file:nowhere@0#1' "
        f"WHERE {of(10)}",
    )
    tamper(gold, f"UPDATE {{t}} SET settled_amount = settled_amount + 5 WHERE {of(4)}")
    without_money = "filter(contributions, c -> c.source <> 'MONEY_EVENT')"
    tamper(
        gold,
        f"UPDATE {{t}} SET contributions = {without_money}, settled_amount = 0 WHERE {of(5)}",
    )
    tamper(gold, f"DELETE FROM {{t}} WHERE {of(7)}")
    tamper(gold, f"INSERT INTO {{t}} SELECT * FROM {{t}} WHERE {of(8)}")
    tamper(SILVER_BATCH_TRANSACTIONS, f"UPDATE {{t}} SET amount = 1 WHERE {of(11)}")
    tamper(DROPS["money_events"], f"DELETE FROM {{t}} WHERE raw LIKE '%{payment(14)}%'")
    deliver(config.lake.landing, "_CONTROL.json", '{"amount": {"USD": "401"}}', day="2026-03-06")

    account = Account.of(config)

    def named(step: str, kind: str) -> set[str]:
        return set(account.named(step, kind))

    assert payment(1) in named(MONEY, "MISSING") and payment(1) in named(
        MONEY_TO_GOLD, "UNDELIVERED"
    )
    assert named(MONEY, "DOUBLED") == {payment(2)}
    assert named(MONEY, "ALTERED") == {payment(3)} == named(MONEY_TO_GOLD, "ALTERED")
    assert account.named(MONEY, "ALTERED")[payment(3)] == 1
    assert account.named(TOTALS, "SUM_DIFFERS") == {payment(4): 5}
    assert {payment(5), payment(7)} == named(MONEY_TO_GOLD, "MISSING")
    assert named(LOG_TO_GOLD, "MISSING") == {payment(7)}
    assert named(MONEY_TO_GOLD, "DOUBLED") == named(LOG_TO_GOLD, "DOUBLED") == {payment(8)}
    assert named(TOTALS, "DOUBLED") == {payment(8)}
    # nobody delivered the one, nobody has the row that brought the other
    assert named(MONEY, "UNDELIVERED") == {payment(10), payment(14)}
    assert account.named(LOG, "ALTERED") == {payment(11): 999}
    assert any(name.startswith("money_events/date=2026-03-04/a.jsonl@")
               for name in named(MONEY, "MISSING"))  # fmt: skip
    assert named(CONTROL, "CONTROL_UNMET") == {
        "money_events/date=2026-03-04",
        "money_events/date=2026-03-06",
    }
    for line in account.lines:
        missing = sum(d.records for d in line.differences if d.kind in ("MISSING", "CONTROL_UNMET"))
        if line.step != CONTROL:
            assert line.delivered == (
                line.accepted + line.duplicates + line.quarantined + line.held + missing
            )

    file = tmp_path / "all.csv"
    asked = CliRunner().invoke(
        app, ["prove", "money", "--json", "--list", str(file), "--config", str(LOCAL)]
    )
    assert asked.exit_code != 0 and isinstance(asked.exception, NotAccountedForError)
    assert f"{LOG}: 1 ALTERED, 999 USD ({payment(11)})" in asked.exception.differences
    listed = file.read_text().splitlines()
    assert any(line.startswith(f"{LOG},") and payment(11) in line for line in listed)
    told = json.loads(asked.stdout[asked.stdout.index("{\n") :])  # behind log lines
    assert told["holds"] is False
    unexplained = {step["step"]: step["unexplained"] for step in told["steps"]}
    assert (unexplained[LOG], unexplained[TOTALS]) == (1, 2)
    runs = spark.read.format("delta").load(path_of(config, GOLD_RECONCILIATION))
    assert runs.select("run_id").distinct().count() == 2
