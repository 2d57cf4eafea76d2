"""A delivered row says the same in any format and order of its fields, and who it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.cli.lineage import Sighting, set_aside
from lakehouse.cli.traces import traces_at
from lakehouse.context import Lakehouse
from lakehouse.tables import BRONZE_DROP_FILES, SILVER_QUALITY_BATCHES
from tests.gold.rows import append

DAY = date(2026, 3, 8)
MORNING = datetime(2026, 3, 8, 9, tzinfo=UTC)
ID = "89f0d9d0-6c28-5aaf-a30a-e0f8ae18cec1"
BATCH = f"money_events/date={DAY}"


def test_rows_that_say_the_same_have_one_content_and_one_identity(spark: SparkSession) -> None:
    trace = traces_at([])["bronze.drops_money_events"]
    delivered = {
        "csv": ("csv", "event_id,amount,note", "A,100,"),
        "in another order": ("csv", "amount,note,event_id", '100,"",A'),
        "json": ("json", None, '{"note": null, "amount": 100, "event_id": "A"}'),
        "parquet": ("parquet", None, '{"amount":"100","event_id":"A"}'),
        "of more": ("csv", "event_id,amount", "A,101"),
        "another": ("csv", "event_id,amount", "B,100"),
        "unreadable": ("json", None, "[1"),
        "at": ("csv", "event_id,timestamp,rate", f"{ID},2026-03-09T08:00:00Z,1.5"),
        "at, written otherwise": (
            "json",
            None,
            f'{{"event_id": "{ID.upper()}", "timestamp": 1773043200000, "rate": 1.50}}',
        ),
    }
    rows = spark.createDataFrame(
        [(name, *row) for name, row in delivered.items()],
        "name string, format string, header string, raw string",
    ).select("name", trace.identity.alias("identity"), trace.content.alias("content"))
    found = {row["name"]: (row["identity"], row["content"]) for row in rows.collect()}

    same = [found[name] for name in ("csv", "in another order", "json", "parquet")]
    assert set(same) == {("a", same[0][1])}
    assert found["at"] == found["at, written otherwise"]
    assert found["at"][0] == ID
    assert found["of more"][0] == "a"
    assert found["another"][0] == "b"
    assert found["unreadable"][0] is None
    contents = {found[name][1] for name in ("csv", "of more", "another", "unreadable")}
    assert len(contents) == 4


def test_a_score_is_named_by_its_instant_however_it_is_written(spark: SparkSession) -> None:
    trace = traces_at([])["bronze.drops_fraud_scores"]
    rows = spark.createDataFrame(
        [
            (f'{{"model_version": "m1", "inference_time": "{at}"}}',)
            for at in ("2026-03-09T10:00:00Z", "2026-03-09T12:00:00.000+02:00")
        ],
        "raw string",
    ).selectExpr("'json' AS format", "CAST(NULL AS string) AS header", "raw")
    identities = {row[0] for row in rows.select(trace.identity).collect()}
    assert len(identities) == 1


def test_a_score_of_a_topic_too(spark: SparkSession) -> None:
    trace = traces_at([])["bronze.fraud_scores"]
    delivered = [
        ("1.0", '"2026-03-09T10:00:00Z"'), ("1.0", '"2026-03-09T12:00:00.000+02:00"'),
        ("1.0", "1773050400000"), ("1", '"2026-03-09T10:00:00Z"'),
    ]  # fmt: skip
    rows = spark.createDataFrame(
        [(f'{{"model_version": "{model}", "inference_time": {at}}}',) for model, at in delivered],
        "value string",
    ).selectExpr("CAST(value AS binary) AS value")
    identities = [row[0] for row in rows.select(trace.identity).collect()]
    assert len(set(identities[:3])) == 1
    assert identities[3] != identities[0]


def test_rows_of_a_replaced_file_and_of_a_held_one_are_set_aside(
    lake_for: Callable[[str], Lakehouse],
) -> None:
    files, gates = lake_for("load_drops"), lake_for("build_batch")
    append(
        files, BRONZE_DROP_FILES,
        loaded("replaced.csv", 0), loaded("replaced.csv", 1), loaded("held.csv", 0),
        loaded("held.csv", 1),
        loaded("refused.csv", 0), loaded("refused.csv", 1, verdict="HELD", fault="DAMAGED"),
    )  # fmt: skip
    append(gates, SILVER_QUALITY_BATCHES, {
        "batch": BATCH, "kind": "money_events", "delivery_date": DAY, "content": "0" * 16,
        "files": [{"path": f"{BATCH}/held.csv", "file_revision": 1}], "verdict": "HELD",
        "failed": ["a check"], "reason": "too few", "recorded_at": MORNING,
    })  # fmt: skip
    rows = {(name, revision): f"file:{BATCH}/{name}@{revision}#1"
            for name, revision in (("replaced.csv", 0), ("replaced.csv", 1), ("held.csv", 0),
                                   ("held.csv", 1),
                                   ("refused.csv", 0))}  # fmt: skip
    delivered = [
        Sighting("bronze.drops_money_events", MORNING, place, "", revision=revision)
        for (_, revision), place in rows.items()
    ]
    assert set_aside(files.spark, files.config, delivered) == {
        rows["replaced.csv", 0]: None,
        rows["held.csv", 1]: f"a gate holds {BATCH}",
    }
    taken = [Sighting("silver.money_events", MORNING, row.coordinates, "") for row in delivered]
    assert set_aside(files.spark, files.config, delivered + taken) == {}


def loaded(name: str, revision: int, **facts: Any) -> dict[str, Any]:
    """What was judged of a delivered file."""
    usual = {
        "kind": "money_events", "delivery_date": DAY, "path": f"{BATCH}/{name}",
        "file_sha256": f"{revision}" * 64, "file_revision": revision, "size_bytes": 1,
        "modified_at": MORNING, "format": "csv", "row_count": 1, "verdict": "LOADED",
        "judged_at": MORNING,
    }  # fmt: skip
    return usual | facts
