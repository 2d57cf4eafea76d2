"""Each job runs by spark-submit, as a process of its own."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from lakehouse.serving import lookup
from lakehouse.tables import (
    BRONZE_DROP_FILES,
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    DROPS,
    GOLD_HISTORY_CHAIN,
    GOLD_RECONCILIATION,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    SILVER_OFFLINE_SCORES,
    SILVER_QUARANTINE_BATCH,
    SILVER_QUARANTINE_LIVE,
)
from tests.conftest import ROOT
from tests.e2e.conftest import JOB_FILES, TIMEOUT_SECONDS, Platform

pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS)


# job -> tables that its first run of the week must write, among others
WRITES = {
    "ingest_transactions": (BRONZE_TRANSACTIONS,),
    "ingest_fraud_scores": (BRONZE_FRAUD_SCORES,),
    "enrich_live": (SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES, SILVER_QUARANTINE_LIVE,),
    "load_drops": (BRONZE_DROP_FILES, DROPS["transactions"]),
    "build_batch": (SILVER_BATCH_TRANSACTIONS, SILVER_MONEY_EVENTS, SILVER_OFFLINE_SCORES,
        SILVER_QUARANTINE_BATCH,),
    "consolidate": (GOLD_TRANSACTIONS,),
    "record_history": (GOLD_TRANSACTION_HISTORY, GOLD_HISTORY_CHAIN,),
    "reconcile": (GOLD_RECONCILIATION,),
    "sync_dynamodb": (),
    "audit": (),
}  # fmt: skip


@pytest.mark.parametrize("job", JOB_FILES)
def test_the_job_runs_by_spark_submit_and_does_its_work(platform: Platform, job: str) -> None:
    run = platform.first_runs[job]
    assert run.process.returncode == 0, run.process.stderr[-3000:]
    assert {table.name for table in WRITES[job]} <= run.wrote


def test_what_was_synced_by_spark_submit_is_in_dynamodb(platform: Platform) -> None:
    paid = platform.read(GOLD_TRANSACTIONS).where("timestamp IS NOT NULL")
    some = paid.orderBy("transaction_id").limit(5).collect()
    items = [lookup(platform.config.dynamodb, row["transaction_id"]) for row in some]
    assert [item["transaction_status"] for item in items if item] == [
        row["transaction_status"] for row in some
    ]


def test_the_audit_by_spark_submit_found_every_decision_equal(platform: Platform) -> None:
    decisions = platform.read(SILVER_LIVE_TRANSACTIONS).count()
    told = platform.first_runs["audit"].process.stdout
    assert f"decisions checked: {decisions}, equal: {decisions}" in told


def test_every_job_file_is_a_job_of_that_name_and_is_run_here() -> None:
    jobs = {point.name: point.value for point in entry_points(group="lakehouse.jobs")}
    assert set(jobs) == set(JOB_FILES)
    for name, file in JOB_FILES.items():
        assert (ROOT / file).is_file()
        assert jobs[name] == f"{file.removesuffix('.py').replace('/', '.')}:{name}"
