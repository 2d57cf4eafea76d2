"""A micro-batch seen again, at any instant and under any checkpoint, changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.config import DynamoDbSettings
from lakehouse.context import Batch, Lakehouse
from lakehouse.dynamodb import ensure_table, lookup
from lakehouse.tables import (
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_QUARANTINE_LIVE,
    Table,
)
from silver.enrich_live import enrich_live
from tests.conftest import NOON
from tests.silver import inference_api
from tests.silver.inference_api import InferenceApi
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

SILVER = (SILVER_FRAUD_SCORES, SILVER_LIVE_TRANSACTIONS, SILVER_QUARANTINE_LIVE)
RECORDS = (
    a_payment("a"),
    a_payment("b", user_id="u2"),
    a_payment("a"),
    a_payment("a", amount=5),
    (TRANSACTIONS, b"{}"),
    a_score("a"),
    a_score("a", fraud_score=0.5),
    (FRAUD_SCORES, b"{}"),
)


@pytest.fixture
def api() -> Iterator[InferenceApi]:
    """An inference API that answers well."""
    with inference_api.running() as running:
        yield running


@pytest.fixture
def lake(
    lake_for: Callable[[str], Lakehouse], dynamodb: DynamoDbSettings, api: InferenceApi
) -> Lakehouse:
    """The job's lakehouse with the API."""
    ensure_table(dynamodb)
    return connected(lake_for("enrich_live"), dynamodb, api.url)


class Killed(Exception):
    """The process ends here."""


@dataclass(frozen=True)
class Dying(Lakehouse):
    """A lakehouse whose process dies behind the commit to a table."""

    dies_behind: Table = SILVER_FRAUD_SCORES

    def append(
        self, rows: DataFrame, to: Table, batch: Batch | None = None, behind: int | None = None
    ) -> None:
        """Append, and die if it was that table."""
        super().append(rows, to, batch, behind)
        if to is self.dies_behind:
            raise Killed


def dying(lake: Lakehouse, behind: Table) -> Dying:
    parts = {field.name: getattr(lake, field.name) for field in fields(lake)}
    return Dying(**parts, dies_behind=behind)


def later(lake: Lakehouse) -> Lakehouse:
    """The same lakehouse, ten minutes later."""
    return replace(lake, clock=lambda: NOON + timedelta(minutes=10))


def content(lake: Lakehouse) -> list[list[dict[str, Any]]]:
    return [rows_of(lake.read(table)) for table in SILVER]


def test_a_batch_seen_again_leaves_silver_equal_row_for_row(
    lake: Lakehouse, spark: SparkSession, api: InferenceApi, dynamodb: DynamoDbSettings
) -> None:
    records = records_of(spark, *RECORDS)
    enriched(lake, records)
    first, item = content(lake), lookup(dynamodb, an_id("a"))
    assert [len(rows) for rows in first] == [2, 2, 4]
    for number, query in ((0, "q1"), (0, "another checkpoint")):
        enriched(later(lake), records, number, query)
        assert content(lake) == first
    assert api.asked_ids == [an_id("b")]
    again = lookup(dynamodb, an_id("a"))
    assert again is not None
    assert item is not None
    assert again["live"] == item["live"]


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("behind", SILVER, ids=lambda table: table.name)
def test_a_batch_killed_behind_any_commit_completes_itself(
    lake: Lakehouse,
    spark: SparkSession,
    api: InferenceApi,
    dynamodb: DynamoDbSettings,
    behind: Table,
) -> None:
    records = records_of(spark, *RECORDS)
    with pytest.raises(Killed):
        enriched(dying(lake, behind), records)
    assert lookup(dynamodb, an_id("b")) is None
    enriched(later(lake), records)
    assert [len(rows) for rows in content(lake)] == [2, 2, 4]
    # what was committed is not asked for again
    assert api.asked_ids == [an_id("b")]
    item = lookup(dynamodb, an_id("b"))
    assert item is not None
    assert item["live"]["score_source"] == "API"


def test_what_the_api_answers_behind_the_commit_of_scores_is_nobodys_evidence(
    lake: Lakehouse, spark: SparkSession, api: InferenceApi, dynamodb: DynamoDbSettings
) -> None:
    records = records_of(spark, *RECORDS)
    api.status = 503
    with pytest.raises(Killed):
        enriched(dying(lake, SILVER_FRAUD_SCORES), records)
    api.status = 200
    enriched(later(lake), records)
    sources = {
        (row["transaction_id"], row["score_source"])
        for row in rows_of(lake.read(SILVER_LIVE_TRANSACTIONS))
    }
    assert sources == {(an_id("a"), "TOPIC"), (an_id("b"), "NONE")}
    assert lake.read(SILVER_FRAUD_SCORES).where("score_source = 'API'").isEmpty()
    item = lookup(dynamodb, an_id("b"))
    assert item is not None
    assert item["live"]["fraud_reason_code"] == "UNSCORED"
    asked = len(api.asked)
    enriched(later(lake), records)
    assert len(api.asked) == asked


def test_a_deleted_checkpoint_replays_the_stream_to_the_same_tables(
    lake: Lakehouse, spark: SparkSession, dynamodb: DynamoDbSettings
) -> None:
    records = records_of(spark, *RECORDS)
    for topic, table in (
        (TRANSACTIONS, BRONZE_TRANSACTIONS),
        (FRAUD_SCORES, BRONZE_FRAUD_SCORES),
    ):
        lake.append(records.where(f"topic = '{topic}'"), to=table)
    enrich_live(lake).awaitTermination()
    first = content(lake)
    assert [len(rows) for rows in first] == [2, 2, 4]
    shutil.rmtree(Path(lake.config.lake.checkpoints) / "enrich_live")
    enrich_live(later(lake)).awaitTermination()
    assert content(lake) == first
