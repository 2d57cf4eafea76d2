"""Each job runs by spark-submit, as a process of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points

import pytest
from pyspark.sql import functions as F

from lakehouse.cli.lineage import traced
from lakehouse.cli.links import Progress, Served, broken_links
from lakehouse.cli.streams import versions_behind
from lakehouse.serving import lookup
from lakehouse.tables import GOLD_TRANSACTIONS, TABLES
from tests.conftest import ROOT
from tests.e2e.platform import JOB_FILES, TIMEOUT_SECONDS, Platform

pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS)


# job -> tables to which its submitted run must commit, among others
WRITES = {
    "ingest_transactions": {"bronze.transactions"},
    "ingest_fraud_scores": {"bronze.fraud_scores"},
    "enrich_live": {"silver.live_transactions", "silver.fraud_scores", "silver.quarantine_live"},
    "correct_record": {"silver.corrections"},
    "load_drops": {
        "bronze.drop_files", "bronze.drops_transactions", "bronze.drops_money_events",
        "bronze.drops_fraud_scores",
    },
    "build_batch": {
        "silver.batch_transactions", "silver.money_events", "silver.offline_scores",
        "silver.quarantine_batch",
    },
    "compare_paths": {"silver.parity", "silver.rules"},
    "consolidate": {"gold.transactions"},
    "record_history": {"gold.transaction_history", "gold.history_chain"},
    "reconcile": {"gold.reconciliation"},
    # their work is in no table of their own: see the tests below
    "create_tables": set(),
    "sync_dynamodb": set(),
    "compare_serving": set(),
    "audit": set(),
    "prove_history": set(),
    "maintain": set(),
}  # fmt: skip


@pytest.mark.parametrize("job", JOB_FILES)
def test_the_job_runs_by_spark_submit_and_does_its_work(platform: Platform, job: str) -> None:
    run = platform.submitted[job]
    assert run.process.returncode == 0, run.process.stderr[-3000:]
    assert WRITES[job] <= run.wrote


def test_every_table_was_created_before_anything_was_delivered(platform: Platform) -> None:
    assert platform.submitted["create_tables"].grown == set(TABLES)


def test_what_was_synced_by_spark_submit_is_in_dynamodb(platform: Platform) -> None:
    paid = platform.read(GOLD_TRANSACTIONS).where("timestamp IS NOT NULL")
    some = paid.orderBy("transaction_id").limit(5).collect()
    items = [lookup(platform.config.dynamodb, row["transaction_id"]) for row in some]
    assert len(some) == 5
    assert [item and item["gold"]["transaction_status"] for item in items] == [
        row["transaction_status"] for row in some
    ]


def test_the_audit_by_spark_submit_found_every_decision_equal(platform: Platform) -> None:
    decisions = platform.decisions
    assert decisions
    told = platform.submitted["audit"].process.stdout
    assert f"decisions checked: {decisions}, equal: {decisions}" in told


def test_the_history_of_the_week_was_proven_by_spark_submit(platform: Platform) -> None:
    assert "everything holds" in platform.submitted["prove_history"].process.stdout


def test_no_link_of_a_transaction_is_missing(platform: Platform) -> None:
    richest = F.size("contributions").desc()
    some = platform.read(GOLD_TRANSACTIONS).orderBy(richest, "transaction_id").limit(2).collect()
    for row in some:
        found = traced(platform.spark, platform.config, row["transaction_id"])
        item = lookup(platform.config.dynamodb, row["transaction_id"])
        store = Served(item, True, timedelta(days=platform.config.dynamodb.retention_days))
        progress = Progress(versions_behind(platform.spark, platform.config))
        assert broken_links(found, progress, store, datetime.now(UTC))[0] == []
        assert {win.group for win in found.wins} >= {"payment_facts", "transaction_status"}


def test_every_job_file_is_a_job_of_that_name_and_is_run_here() -> None:
    jobs = {point.name: point.value for point in entry_points(group="lakehouse.jobs")}
    assert set(jobs) == set(JOB_FILES)
    for name, file in JOB_FILES.items():
        assert (ROOT / file).is_file()
        assert jobs[name] == f"{file.removesuffix('.py').replace('/', '.')}:{name}"
