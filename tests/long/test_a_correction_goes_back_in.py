"""A quarantined record that was put right goes on under its own identity and coordinates."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.cli.quarantined import broken_rules, quarantined_records
from lakehouse.config import DynamoDbSettings
from lakehouse.context import Lakehouse
from lakehouse.dynamodb import ensure_table
from lakehouse.errors import CorrectionRefusedError, NotInQuarantineError
from lakehouse.serving import lookup
from lakehouse.tables import (
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    SILVER_CORRECTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_QUARANTINE_LIVE,
)
from silver.correct_record import correct_record
from tests.conftest import LOCAL
from tests.silver.live_records import (
    FRAUD_SCORES,
    TRANSACTIONS,
    a_payment,
    a_score,
    an_id,
    connected,
    enriched,
    records_of,
    rows_of,
)

BROKEN, NAMELESS, CONFLICT, SCORE = (
    f"kafka:payments.{place}@zbXbJwqZ"
    for place in ("transactions/0/1", "transactions/0/2", "transactions/0/3", "fraud-scores/0/4")
)


@pytest.fixture
def lake(lake_for: Callable[[str], Lakehouse], dynamodb: DynamoDbSettings) -> Lakehouse:
    """One good payment; one with two faults, one that names nothing, a conflict, a bad score."""
    ensure_table(dynamodb)
    lake = connected(lake_for("enrich_live"), dynamodb)
    records = records_of(
        lake.spark,
        a_payment("good"),
        a_payment("broken", amount="-5", currency="XXX"),
        (TRANSACTIONS, b"{}"),
        a_payment("good", amount=7),
        a_score("broken", fraud_score=7),
    )
    for topic, table in ((TRANSACTIONS, BRONZE_TRANSACTIONS), (FRAUD_SCORES, BRONZE_FRAUD_SCORES)):
        replace(lake, job=table.written_by).append(records.where(F.col("topic") == topic), to=table)
    enriched(lake, records)
    return lake


@pytest.fixture
def correct(lake: Lakehouse, tmp_path: Path) -> Callable[[str, Any], None]:
    def corrected(coordinates: str, record: tuple[str, bytes | None]) -> None:
        file = tmp_path / "corrected.json"
        file.write_bytes(record[1] or b"")
        correct_record(lake, coordinates=coordinates, payload=file, reason="by the acquirer")

    return corrected


def taken(lake: Lakehouse, number: int = 1) -> None:
    """The next micro-batch of enrich_live, which finds nothing new but the corrections."""
    nothing = records_of(lake.spark)
    enriched(lake, nothing, number=number, corrections=lake.read(SILVER_CORRECTIONS))


def test_a_corrected_payment_and_score_go_on_and_count_as_resolved(
    lake: Lakehouse, spark: SparkSession, correct: Callable[..., None], dynamodb: DynamoDbSettings
) -> None:
    before = rows_of(lake.read(SILVER_QUARANTINE_LIVE))
    correct(BROKEN, a_payment("broken", amount=500, note="card 4111 1111 1111 1111"))
    correct(SCORE, a_score("broken", fraud_score=0.7))
    open_before = [r.resolved for r in quarantined_records(spark, lake.config, BROKEN, None, 1)]
    taken(lake)
    taken(lake, number=2)  # seen again: a checkpoint was lost
    payments = {row["coordinates"]: row for row in rows_of(lake.read(SILVER_LIVE_TRANSACTIONS))}
    assert len(payments) == 2
    payment = payments[BROKEN]
    assert (payment["event_id"], int(payment["amount"])) == (an_id("event broken"), 500)
    assert "4111" not in payment["extra"]["note"] and "tok_" in payment["extra"]["note"]
    [score] = rows_of(lake.read(SILVER_FRAUD_SCORES))
    assert score["coordinates"] == SCORE
    item = lookup(dynamodb, an_id("broken"))
    assert item is not None and float(item["live"]["fraud_score"]) == 0.7
    # what was refused stays to be seen, marked
    assert rows_of(lake.read(SILVER_QUARANTINE_LIVE)) == before
    shown = quarantined_records(spark, lake.config, None, None, 9)
    assert open_before == [False]
    assert {record.coordinates for record in shown if record.resolved} == {BROKEN, SCORE}
    rules = {rule.rule_id: (rule.records, rule.open) for rule in broken_rules(spark, lake.config)}
    assert rules["amount_negative"] == rules["currency_unknown"] == (1, 0)
    assert rules["event_id_conflict"] == (1, 1)
    assert len(rules) == 3 + 1 + len(rules_of_nothing(lake))


def test_the_commands_list_show_and_replay(lake: Lakehouse, tmp_path: Path) -> None:
    def asked(*words: str) -> Any:
        ended = CliRunner().invoke(app, ["quarantine", *words, "--config", str(LOCAL)])
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    listed = {rule["rule_id"]: rule for rule in json.loads(asked("list", "--json"))}
    assert (listed["amount_negative"]["records"], listed["amount_negative"]["open"]) == (1, 1)
    assert "amount_negative" in asked("list")
    [shown] = json.loads(asked("show", "--rule", "amount_negative", "--json"))
    assert (shown["coordinates"], shown["resolved"]) == (BROKEN, False)
    assert "amount is negative" in asked("show", BROKEN)
    corrected = tmp_path / "payment.json"
    corrected.write_bytes(a_payment("broken", amount=500)[1] or b"")
    told = asked("replay", BROKEN, str(corrected), "--reason", "a typing error")
    assert f"{BROKEN} is corrected" in told
    taken(lake)
    [shown] = json.loads(asked("show", BROKEN, "--json"))
    assert shown["resolved"]


def rules_of_nothing(lake: Lakehouse) -> list[str]:
    held = lake.read(SILVER_QUARANTINE_LIVE).where(F.col("coordinates") == NAMELESS).first()
    assert held is not None
    return list(held["rule_ids"])


def test_what_would_be_refused_again_is_refused_now(
    lake: Lakehouse, correct: Callable[..., None]
) -> None:
    for coordinates, record, told in (
        (BROKEN, a_payment("broken", amount="-5"), "amount is negative"),
        (BROKEN, a_payment("other"), "its identity is another"),
        (CONFLICT, a_payment("good", amount=8), "has its identity"),
    ):
        with pytest.raises(CorrectionRefusedError, match=told):
            correct(coordinates, record)
    with pytest.raises(NotInQuarantineError, match="transactions/0/0"):
        correct("kafka:payments.transactions/0/0@zbXbJwqZ", a_payment("good"))
    assert lake.read(SILVER_CORRECTIONS).count() == 0


def test_a_record_is_corrected_once_and_one_that_named_nobody_may_be_a_duplicate(
    lake: Lakehouse, spark: SparkSession, correct: Callable[..., None]
) -> None:
    correct(NAMELESS, a_payment("good"))
    correct(BROKEN, a_payment("broken"))
    with pytest.raises(CorrectionRefusedError, match="waits for the next micro-batch"):
        correct(BROKEN, a_payment("broken", amount=1))
    taken(lake)
    with pytest.raises(CorrectionRefusedError, match="is resolved"):
        correct(BROKEN, a_payment("broken", amount=1))
    assert lake.read(SILVER_LIVE_TRANSACTIONS).count() == 2
    [record] = quarantined_records(spark, lake.config, NAMELESS, None, 1)
    assert record.resolved
