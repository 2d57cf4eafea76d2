"""A delivered row says the same in any format and order of its fields, and who it is."""

from __future__ import annotations

from pyspark.sql import SparkSession

from lakehouse.cli.traces import traces_at


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
    }
    rows = spark.createDataFrame(
        [(name, *row) for name, row in delivered.items()],
        "name string, format string, header string, raw string",
    ).select("name", trace.identity.alias("identity"), trace.content.alias("content"))
    found = {row["name"]: (row["identity"], row["content"]) for row in rows.collect()}

    same = [found[name] for name in ("csv", "in another order", "json", "parquet")]
    assert set(same) == {("a", same[0][1])}
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
