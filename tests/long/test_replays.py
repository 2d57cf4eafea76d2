"""What is delivered again changes nothing; a corrected drop changes exactly what it corrects."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pyspark.sql import Row, SparkSession

from lakehouse.cli.generate import send
from lakehouse.config import Config
from lakehouse.local.generator import Correction, GeneratedWorld, corrected_drop, write_drops
from lakehouse.local.generator.feed import FeedRecord
from lakehouse.local.generator.sheets import Sheet
from lakehouse.tables import (
    BRONZE_TRANSACTIONS,
    GOLD_RECONCILIATION,
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
)
from tests.e2e.comparison import differences
from tests.e2e.oracle import instant
from tests.e2e.platform import TIMEOUT_SECONDS, Platform, deliver, empty_platform

pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS)

_LONGEST_WINDOW = timedelta(hours=1)  # of the generator's policies
LIVE = ("ingest_transactions", "ingest_fraud_scores", "enrich_live")
BATCH = ("load_drops", "build_batch")


@pytest.fixture(scope="module")
def platform(
    services: Config, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A generated week, through every job in this process."""
    with empty_platform(services, spark, tmp_path_factory.mktemp("platform")) as platform:
        deliver(platform, platform.run)
        yield platform


def _content(platform: Platform) -> list[str]:
    return sorted(str(row) for row in platform.rows(GOLD_TRANSACTIONS))


def test_all_records_sent_again_leave_gold_unchanged(platform: Platform) -> None:
    before, version = _content(platform), platform.version(GOLD_TRANSACTIONS)
    landed = platform.read(BRONZE_TRANSACTIONS).count()
    send(platform.config, platform.world)
    platform.run(*LIVE, "consolidate")
    assert platform.read(BRONZE_TRANSACTIONS).count() == 2 * landed
    assert _content(platform) == before
    assert platform.version(GOLD_TRANSACTIONS) == version


def test_deleted_checkpoints_leave_gold_unchanged_but_for_what_is_new(platform: Platform) -> None:
    before, landed = _content(platform), platform.read(BRONZE_TRANSACTIONS).count()
    for job in (*LIVE, "consolidate"):
        shutil.rmtree(Path(platform.config.lake.checkpoints) / job)
    # a job that would skip all there is would leave Gold unchanged too
    arrival = _another_payment(platform.world)
    send(platform.config, replace(platform.world, transactions=[arrival], scores=[]))
    platform.world.transactions.append(arrival)
    platform.run(*LIVE, "consolidate")
    assert platform.read(BRONZE_TRANSACTIONS).count() == landed + 1
    (added,) = set(_content(platform)) - set(before)
    assert json.loads(arrival.value)["transaction_id"] in added
    assert set(before) <= set(_content(platform))


def _another_payment(world: GeneratedWorld) -> FeedRecord:
    """A payment that nobody has heard of, at the time of one that there is."""
    like = next(record for record in world.transactions if record.fault is None)
    ids = {"event_id": str(uuid4()), "transaction_id": str(uuid4())}
    return like._replace(value=json.dumps({**json.loads(like.value), **ids}).encode())


def test_the_same_drops_loaded_again_leave_gold_unchanged(platform: Platform) -> None:
    before, version = _content(platform), platform.version(SILVER_BATCH_TRANSACTIONS)
    landing = Path(platform.config.lake.landing)
    for file in landing.rglob("*"):
        file.touch()
    platform.run(*BATCH, "consolidate")
    assert platform.version(SILVER_BATCH_TRANSACTIONS) == version
    assert _content(platform) == before


@pytest.fixture(scope="module")
def corrected(platform: Platform) -> tuple[Correction, set[str]]:
    """The correction, delivered and absorbed, and the transactions whose Gold rows it changed."""
    before = _by_id(platform)
    correction = corrected_drop(platform.world)
    write_drops(correction.drops, Path(platform.config.lake.landing))
    platform.run(*BATCH, "consolidate", "reconcile")
    platform.sheets = [_corrected(sheet, correction) for sheet in platform.sheets]
    after = _by_id(platform)
    assert after.keys() == before.keys()
    return correction, {key for key in after if after[key] != before[key]}


def test_a_corrected_drop_changes_exactly_what_it_corrects(
    platform: Platform, corrected: tuple[Correction, set[str]]
) -> None:
    correction, changed = corrected
    payments = {correction.lowered.identity, correction.vanished_transaction_id}
    # and the payment whose money was corrected
    assert len((changed - _counting_them(platform, payments)) | payments) == 3
    assert payments <= changed
    amount = _by_id(platform)[correction.lowered.identity]["amount"]
    assert amount == Decimal(correction.lowered.after)
    found = differences(platform, platform.sheets)
    assert not found, "\n".join(found[:40])


def test_counts_close_after_a_correction_too(
    platform: Platform, corrected: tuple[Correction, set[str]]
) -> None:
    steps = platform.rows(GOLD_RECONCILIATION)
    assert [(row["step"], row["unexplained"]) for row in steps if row["unexplained"]] == []


def test_a_correction_adds_revisions_and_one_withdrawal(
    platform: Platform, corrected: tuple[Correction, set[str]]
) -> None:
    correction, _ = corrected
    revised = [row for row in platform.rows(SILVER_BATCH_TRANSACTIONS) if row["revision"] > 0]
    found = {row["transaction_id"]: row["withdrawn"] for row in revised}
    payments = {correction.lowered.identity, correction.vanished_transaction_id}
    assert payments <= found.keys() <= payments | _counting_them(platform, payments)
    withdrawn = {payment for payment, is_withdrawn in found.items() if is_withdrawn}
    assert withdrawn == {correction.vanished_transaction_id}
    (money,) = [row for row in platform.rows(SILVER_MONEY_EVENTS) if row["revision"] > 0]
    assert (money["event_id"], money["amount"]) == (
        correction.money.identity,
        Decimal(correction.money.after),
    )


def _counting_them(platform: Platform, payments: set[str]) -> set[str]:
    """Payments of the same users within the longest velocity window behind one of them.

    What they counted is their evidence: it is another where one of these is another or gone.
    """
    log = [row for sheet in platform.world.sheets if sheet.kind == "transactions"
           for row in sheet.rows if row.get("transaction_id")]  # fmt: skip
    theirs = [row for row in log if row["transaction_id"] in payments]
    return {
        row["transaction_id"]
        for row in log
        for one in theirs
        if str(row["user_id"]) == str(one["user_id"])
        and row["transaction_id"] not in payments
        and timedelta(0) <= instant(row["timestamp"]) - instant(one["timestamp"]) <= _LONGEST_WINDOW
    }


def _by_id(platform: Platform) -> dict[str, Row]:
    return {row["transaction_id"]: row for row in platform.rows(GOLD_TRANSACTIONS)}


def _corrected(sheet: Sheet, correction: Correction) -> Sheet:
    """The sheet as the correction leaves it, by the correction's own word."""

    def changed(row: dict[str, Any]) -> dict[str, Any]:
        for change in (correction.lowered, correction.money):
            name = "event_id" if sheet.kind == "money_events" else "transaction_id"
            if sheet.path == change.path and row.get(name) == change.identity:
                return {**row, "amount": change.after}
        return row

    if sheet.path not in (correction.lowered.path, correction.money.path):
        return sheet
    rows = [{} if _vanished(sheet, row, correction) else changed(row) for row in sheet.rows]
    planted = dict(sheet.planted)
    kept = [(planted.get(i), row) for i, row in enumerate(rows) if row]
    return sheet._replace(
        rows=tuple(row for _, row in kept),
        planted=tuple((i, fault) for i, (fault, _) in enumerate(kept) if fault),
    )


def _vanished(sheet: Sheet, row: dict[str, Any], correction: Correction) -> bool:
    return (
        sheet.path == correction.vanished_path
        and row["transaction_id"] == correction.vanished_transaction_id
    )


def test_gold_holds_one_row_per_transaction(platform: Platform) -> None:
    ids = [row["transaction_id"] for row in platform.rows(GOLD_TRANSACTIONS, "transaction_id")]
    assert len(ids) == len(set(ids))
