"""Where every record went, step by step; pure functions of frames.

A step closes when delivered = accepted + duplicates + quarantined + held. Each of the five is
counted for itself; `unexplained` is what then remains: above zero something is missing, below
zero something is counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.identity import drop_coordinates, kafka_coordinates
from lakehouse.records.codes import Verdict
from lakehouse.texts import csv_cell, instant_of

IDENTIFIED_BY = {
    "live_transactions": ("event_id",),
    "fraud_scores": ("transaction_id", "model_version", "inference_time"),
    "transactions": ("transaction_id",),
    "money_events": ("event_id",),
    "policies": ("policy_id", "effective_date"),
    "fx_rates": ("rate_date", "base", "currency"),
}
"""Which delivered fields say who a record is, by topic or by kind of drop."""

_IDS = ("event_id", "transaction_id")


def delivered_messages(bronze: DataFrame, corrections: DataFrame, keys: Sequence[str]) -> DataFrame:
    """One row per Kafka record: `coordinates`, `identity` (null where its text names none).

    A record that was corrected has the identity that its correction names.
    """
    # of two corrections, the first was in conflict with what Silver has
    corrected = corrections.groupBy("coordinates").agg(
        F.max_by("payload", "recorded_at").alias("corrected")
    )
    records = bronze.select(kafka_coordinates().alias("coordinates"), "value").join(
        F.broadcast(corrected),
        "coordinates",
        "left",
    )
    text = F.coalesce("corrected", "value").cast("string")
    return records.select(
        "coordinates",
        _identity([_read(key, F.get_json_object(text, f"$.{key}")) for key in keys]),
        F.lit(False).alias("superseded"),
    )


def delivered_rows(drops: DataFrame, files: DataFrame, keys: Sequence[str]) -> DataFrame:
    """One row per delivered row of a loaded file: `coordinates`, `identity`, `superseded`.

    A row is superseded when a greater revision of its file was loaded. Where that is the same
    content, put back, both have the same coordinates: the older rows get others.
    """
    content = ("path", "file_sha256", "file_revision")
    newest = F.max("file_revision").over(Window.partitionBy("path"))
    newest_of_content = F.max("file_revision").over(Window.partitionBy("path", "file_sha256"))
    loaded = (
        files.where(F.col("verdict") == Verdict.LOADED.value)
        # a file that was touched is there again
        .dropDuplicates([*content])
        .select(
            *content,
            (F.col("file_revision") < newest).alias("superseded"),
            (F.col("file_revision") < newest_of_content).alias("put_back"),
        )
    )
    place = drop_coordinates()
    older = F.concat(place, F.lit("/"), F.col("file_revision").cast("string"))
    is_csv = F.col("format") == "csv"
    header, raw = F.col("header"), F.col("raw")
    fields = [
        F.when(is_csv, csv_cell(header, raw, key)).otherwise(F.get_json_object(raw, f"$.{key}"))
        for key in keys
    ]
    return drops.join(F.broadcast(loaded), [*content]).select(
        F.when(F.col("put_back"), older).otherwise(place).alias("coordinates"),
        _identity([_read(key, field) for key, field in zip(keys, fields, strict=True)]),
        "superseded",
    )


def accepted_rows(silver: DataFrame, keys: Sequence[str]) -> DataFrame:
    """One row per Silver row: `coordinates` and the `identity` that the delivered record has."""
    return silver.select("coordinates", _identity([F.col(key).cast("string") for key in keys]))


def silver_revisions(contributions: Sequence[DataFrame]) -> DataFrame:
    """What Gold has to contain: each identity at its greatest revision, of all Silver tables."""
    revisions = [table.select("identity", "revision") for table in contributions]
    return _greatest_revisions(reduce(DataFrame.unionByName, revisions)).withColumns(
        {"identity": F.lit(None).cast("string"), "superseded": F.lit(False)}
    )


def gold_revisions(gold: DataFrame) -> DataFrame:
    """What Gold contains: each identity of `contributions` at its greatest revision."""
    pairs = F.explode(F.arrays_zip("contributions.identity", "contributions.revision"))
    revisions = gold.select(pairs.alias("pair")).select("pair.identity", "pair.revision")
    return _greatest_revisions(revisions).withColumn("identity", F.lit(None).cast("string"))


def of_step(step: str, rows: DataFrame) -> DataFrame:
    """The same rows with the name of the step they belong to."""
    return rows.withColumn("step", F.lit(step))


def closing(
    steps: DataFrame,
    delivered: DataFrame,
    accepted: DataFrame,
    quarantined: DataFrame,
    files: DataFrame,
) -> DataFrame:
    """One row per row of `steps`: its five counts, and what they leave unexplained.

    `delivered` has `step, coordinates, identity, superseded`, `accepted` has `step, coordinates,
    identity`, `quarantined` has `step, coordinates`, and `files` has `step, delivered, held`: rows
    that the manifest counted in files, whether or not any of them was loaded.
    """
    nowhere, here = F.lit(0), F.lit(1)
    marks = _marked(delivered, is_delivered=here, superseded=F.col("superseded").cast("int"))
    marks = marks.unionByName(_marked(accepted, is_accepted=here))
    refused = quarantined.withColumn("identity", F.lit(None).cast("string"))
    marks = marks.unionByName(_marked(refused, is_quarantined=here))
    places = marks.groupBy("step", "coordinates").agg(
        F.sum("is_delivered").alias("rows"),
        F.max("identity").alias("identity"),
        *[F.max(name).alias(name) for name in ("superseded", "is_accepted", "is_quarantined")],
    )
    # who has no identity is nobody's duplicate
    same_record = Window.partitionBy("step", F.coalesce("identity", "coordinates"))
    is_accepted, is_quarantined = F.col("is_accepted") > nowhere, F.col("is_quarantined") > nowhere
    repeats = (F.col("superseded") > nowhere) | (F.col("known") > nowhere)
    counted = (
        places.withColumn("known", F.max("is_accepted").over(same_record))
        .where("rows > 0")
        .groupBy("step")
        .agg(
            F.sum("rows").alias("rows"),
            F.count_if(is_accepted).alias("accepted"),
            F.count_if(~is_accepted & ~is_quarantined & repeats).alias("duplicates"),
            F.count_if(is_quarantined).alias("quarantined"),
        )
    )
    # files have a manifest of their own: a row that never reached Bronze is missed there
    in_files = files.select("step", F.col("delivered").alias("in_files"), "held")
    whole = (
        steps.join(counted, "step", "left")
        .join(in_files, "step", "left")
        .select(
            "step",
            F.coalesce("in_files", "rows", F.lit(0)).cast("long").alias("delivered"),
            *[
                F.coalesce(name, F.lit(0)).cast("long").alias(name)
                for name in ("accepted", "duplicates", "quarantined", "held")
            ],
        )
    )
    explained = F.expr("accepted + duplicates + quarantined + held")
    return whole.withColumn("unexplained", F.col("delivered") - explained)


def manifest_counts(files: DataFrame) -> DataFrame:
    """Per kind of drop: rows `delivered` in files, and those of them that are `held`.

    A content of a path counts once, however often the manifest names it: as loaded if it ever
    was, else as held, whether its file is gone by now or not. What waits was not counted by
    anybody.
    """
    is_loaded = F.col("verdict") == Verdict.LOADED.value
    is_counted = is_loaded | (F.col("verdict") == Verdict.HELD.value)
    contents = (
        files.where(is_counted)
        .groupBy("kind", "path", "file_sha256", "file_revision")
        .agg(
            # loaded over held; a file that could not be read was held with no rows
            F.max(F.struct(is_loaded.alias("is_loaded"), "row_count")).alias("known")
        )
    )
    held = F.when(F.col("known.is_loaded"), 0).otherwise(F.col("known.row_count"))
    return contents.groupBy("kind").agg(
        F.sum("known.row_count").alias("delivered"), F.sum(held).alias("held")
    )


def _marked(rows: DataFrame, **marks: Column) -> DataFrame:
    names = ("is_delivered", "superseded", "is_accepted", "is_quarantined")
    values = [marks.get(name, F.lit(0)).alias(name) for name in names]
    return rows.select("step", "coordinates", "identity", *values)


def _greatest_revisions(revisions: DataFrame) -> DataFrame:
    greatest = revisions.groupBy("identity").agg(F.max("revision").alias("revision"))
    return greatest.select(
        F.concat("identity", F.lit("@"), F.col("revision").cast("string")).alias("coordinates")
    )


def _identity(texts: Sequence[Column]) -> Column:
    """The texts in one, as `identity`; null where one is missing."""
    between = [part for text in texts for part in (text, F.lit("|"))]
    return F.concat(*between[:-1]).alias("identity")


def _read(name: str, sent: Column) -> Column:
    """A delivered field as Silver's contract reads it, in text: ids in lower case, UTC instants."""
    text = F.trim(sent)
    if name in _IDS:
        return F.lower(text)
    match name:
        case "inference_time":
            return instant_of(text).cast("string")
        case "effective_date":
            return instant_of(text, or_day=True).cast("string")
        case _:
            return text
