"""Each table is declared once, readable by Athena, and keeps what the audit needs."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, StructType

from lakehouse import delta
from lakehouse.config import Config
from lakehouse.errors import SchemaDriftError, UnknownTableError
from lakehouse.schema import spark_schema
from lakehouse.tables import (
    BRONZE_DROP_FILES,
    BRONZE_TRANSACTIONS,
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_POLICIES,
    TABLES,
    table_named,
)
from tests.conftest import LOCAL

CORE = {
    "transaction_id": "string", "user_id": "string", "timestamp": "timestamp",
    "amount": "decimal(15,2)", "currency": "string", "fraud_score": "decimal(7,6)",
    "fraud_reason_code": "string", "policy_flag": "string", "transaction_status": "string",
    "settlement_status": "string", "updated_at": "timestamp",
}  # fmt: skip
POLICY = {
    "policy_id": "string", "policy_name": "string", "policy_data": "string",
    "effective_date": "timestamp",
}  # fmt: skip
MODEL_OUTPUT = {
    "model_version": "string", "transaction_id": "string", "fraud_score": "decimal(7,6)",
    "explanations": "string", "inference_time": "timestamp",
}  # fmt: skip


@pytest.mark.parametrize(
    "table, fields",
    [
        (SILVER_LIVE_TRANSACTIONS, CORE),
        (SILVER_BATCH_TRANSACTIONS, CORE),
        (GOLD_TRANSACTIONS, CORE),
        (SILVER_POLICIES, POLICY),
        (SILVER_FRAUD_SCORES, MODEL_OUTPUT),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_seeds_schemas_stand_name_for_name(table, fields) -> None:  # type: ignore[no-untyped-def]
    found = {field.name: field.dataType.simpleString() for field in table.schema}
    assert fields.items() <= found.items()


@pytest.fixture(scope="module")
def created(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Every table, created empty."""
    folder = tmp_path_factory.mktemp("tables")
    local = Config.load(LOCAL)
    config = local.model_copy(update={"lake": local.lake.model_copy(update={"root": str(folder)})})
    for table in TABLES.values():
        delta.create(spark, config, table)
    return config


def _first_commit(config: Config, name: str) -> dict[str, dict[str, object]]:
    log = Path(delta.path_of(config, TABLES[name]), "_delta_log")
    (only,) = log.glob("*.json")
    actions: dict[str, dict[str, object]] = {}
    for line in only.read_text().splitlines():
        actions |= json.loads(line)
    return actions


@pytest.mark.parametrize("name", TABLES)
def test_athena_can_read_the_table(created: Config, name: str) -> None:
    protocol = _first_commit(created, name)["protocol"]
    assert protocol["minReaderVersion"] == 1
    assert "readerFeatures" not in protocol


@pytest.mark.parametrize("name", TABLES)
def test_audit_properties_stand_in_the_first_commit(created: Config, name: str) -> None:
    actions = _first_commit(created, name)
    found = actions["metaData"]["configuration"]
    assert isinstance(found, dict)
    days = created.audit.horizon_days if TABLES[name].audited else created.audit.working_days
    assert found["delta.enableInCommitTimestamps"] == "true"
    assert found["delta.logRetentionDuration"] == f"interval {days} days"
    assert found["delta.deletedFileRetentionDuration"] == f"interval {days} days"
    assert "inCommitTimestamp" in actions["commitInfo"]
    for constraint, condition in TABLES[name].constraints.items():
        assert found[f"delta.constraints.{constraint}"] == condition


def test_gold_and_policies_keep_time_travel_for_the_audit() -> None:
    assert GOLD_TRANSACTIONS.audited and SILVER_POLICIES.audited


def test_every_table_has_one_writing_job_that_exists() -> None:
    jobs = {point.name for point in entry_points(group="lakehouse.jobs")}
    assert {table.written_by for table in TABLES.values()} <= jobs


def test_a_stored_table_that_drifted_is_named(spark: SparkSession) -> None:
    drifted = spark.createDataFrame([], BRONZE_TRANSACTIONS.schema).drop("headers")
    drifted = drifted.selectExpr("*", "1 AS surprise")
    with pytest.raises(SchemaDriftError, match=r"bronze.transactions.*headers.*surprise"):
        delta.check_schema(drifted, BRONZE_TRANSACTIONS)


def test_a_table_that_is_not_declared_is_refused_by_name() -> None:
    with pytest.raises(UnknownTableError, match=r"gold\.transaction'.*gold\.transactions"):
        table_named("gold.transaction")


def test_not_null_stands_at_the_top_level_only() -> None:
    schema = spark_schema(BRONZE_DROP_FILES.record)
    assert not schema["path"].nullable
    headers = BRONZE_TRANSACTIONS.schema["headers"].dataType
    assert isinstance(headers, ArrayType) and isinstance(headers.elementType, StructType)
    assert all(field.nullable for field in headers.elementType)
