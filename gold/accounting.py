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
_INSTANTS = ("inference_time", "effective_date")
# a cell is quoted (with "" for a quote) or plain; a leading comma keeps matches from being empty
_CSV_CELL = r',("(?:[^"]|"")*+"|[^,]*+)'


def delivered_messages(bronze: DataFrame, keys: Sequence[str]) -> DataFrame:
    """One row per Kafka record: `coordinates`, `identity` (null where its text names none)."""
    text = F.col("value").cast("string")
    return bronze.select(
        kafka_coordinates().alias("coordinates"),
        _identity({key: F.get_json_object(text, f"$.{key}") for key in keys}).alias("identity"),
        F.lit(False).alias("superseded"),
    )


def delivered_rows(drops: DataFrame, files: DataFrame, keys: Sequence[str]) -> DataFrame:
    """One row per delivered row of a loaded file: `coordinates`, `identity`, `superseded`.

    A row is superseded when a greater revision of its file was loaded.
    """
    newest = F.max("file_revision").over(Window.partitionBy("path"))
    loaded = files.where(F.col("verdict") == Verdict.LOADED.value).select(
        "path", "file_sha256", (F.col("file_revision") < newest).alias("superseded")
    )
    is_csv = F.col("format") == "csv"
    fields = {
        key: F.when(is_csv, _csv_cell(key)).otherwise(F.get_json_object("raw", f"$.{key}"))
        for key in keys
    }
    return drops.join(F.broadcast(loaded), ["path", "file_sha256"]).select(
        drop_coordinates().alias("coordinates"),
        _identity(fields).alias("identity"),
        "superseded",
    )


def accepted_rows(silver: DataFrame, keys: Sequence[str]) -> DataFrame:
    """One row per Silver row: `coordinates` and the `identity` that the delivered record has."""
    return silver.select(
        "coordinates",
        _identity({key: F.col(key).cast("string") for key in keys}).alias("identity"),
    )


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
    """Per kind of drop: rows `delivered` in files, and those of them that are `held`."""
    is_held = F.col("verdict") == Verdict.HELD.value
    return files.groupBy("kind").agg(
        F.sum("row_count").alias("delivered"),
        F.sum(F.when(is_held, F.col("row_count")).otherwise(0)).alias("held"),
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


def _identity(fields: dict[str, Column]) -> Column:
    """The fields in one text, ids in lower case, instants in UTC; null where one is missing."""
    texts = []
    for name, value in fields.items():
        text = F.trim(value)
        text = F.lower(text) if name in _IDS else text
        texts.append(_instant(text).cast("string") if name in _INSTANTS else text)
    between = [part for text in texts for part in (text, F.lit("|"))]
    return F.concat(*between[:-1])


def _instant(text: Column) -> Column:
    is_millis = text.rlike("^-?[0-9]{1,15}$")
    millis = F.when(is_millis, text.cast("long"))
    return F.coalesce(F.timestamp_millis(millis), F.try_to_timestamp(F.upper(text)))


def _csv_cell(name: str) -> Column:
    place = F.array_position(_csv_cells(F.col("header")), name)
    # element_at takes no place 0, and fails beyond the end
    return F.get(_csv_cells(F.col("raw")), F.when(place > 0, place - 1).cast("int"))


def _csv_cells(line: Column) -> Column:
    cells = F.regexp_extract_all(
        F.concat(F.lit(","), F.regexp_replace(line, r"\r$", "")), F.lit(_CSV_CELL), F.lit(1)
    )
    unquoted = F.transform(cells, lambda cell: F.regexp_replace(cell, '^"|"$', ""))
    return F.transform(unquoted, lambda cell: F.replace(cell, F.lit('""'), F.lit('"')))
