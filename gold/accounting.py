"""Where every delivered record went between Bronze and Silver; pure functions of frames.

Each record is looked for by its coordinates. It is accepted, quarantined, held, or the duplicate of
an accepted one; or it is MISSING. The amount that Silver has of it must be the one delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from gold.delivered import DELIVERED, Reading, joined_identity
from gold.items import Bucket, items
from lakehouse.records.codes import AccountDifference, Verdict

_FACTS = ("coordinates", "identity", "name", "at", "currency", "event_type", "amount")
_MARKS = ("is_delivered", "superseded", "held", "is_accepted", "doubles", "is_quarantined")


def accepted_rows(silver: DataFrame, reading: Reading) -> DataFrame:
    """One row per Silver row: DELIVERED's facts as Silver has them, and `doubles`.

    `doubles` are the rows of one identity and revision but one. Rows of reference data have no
    revision, and none doubles.
    """
    columns = set(silver.columns)
    doubles = F.lit(0)
    if {"identity", "revision"} <= columns:
        same = Window.partitionBy("identity", "revision").orderBy("coordinates")
        doubles = (F.row_number().over(same) > 1).cast("int")
    nothing = F.lit(None)
    keys = [F.col(key).cast("string") for key in reading.identified_by]
    time = F.col(reading.time).cast("timestamp")
    return silver.select(
        "coordinates",
        joined_identity(keys),
        (F.col("transaction_id") if "transaction_id" in columns else F.col("coordinates")).alias(
            "name"
        ),
        time.alias("at"),
        (F.col("currency") if reading.of_money else nothing).cast("string").alias("currency"),
        (F.col(reading.event_type) if reading.event_type else nothing)
        .cast("string")
        .alias("event_type"),
        (F.col("amount") if reading.of_money else nothing).cast("decimal(25,2)").alias("amount"),
        doubles.alias("doubles"),
    )


def of_step(step: str, rows: DataFrame) -> DataFrame:
    """The same rows with the name of the step they belong to."""
    return rows.withColumn("step", F.lit(step))


def record_items(delivered: DataFrame, accepted: DataFrame, quarantined: DataFrame) -> DataFrame:
    """Items of records: one per delivered record with what became of it, and its differences.

    `delivered` has `step` and DELIVERED, `accepted` has `step` and what `accepted_rows` gives,
    `quarantined` has `step, coordinates`.
    """
    places = _places(delivered, accepted, quarantined).withColumn("key", F.col("coordinates"))
    is_delivered = F.col("is_delivered") > 0
    is_accepted, is_quarantined = F.col("is_accepted") > 0, F.col("is_quarantined") > 0
    repeats = (F.col("superseded") > 0) | (F.col("known") > 0)
    bucket = (
        F.when(F.col("held") > 0, str(Bucket.HELD))
        .when(is_accepted, str(Bucket.ACCEPTED))
        .when(is_quarantined, str(Bucket.QUARANTINED))
        .when(repeats, str(Bucket.DUPLICATES))
    )
    kind = (
        F.when(F.col("held") > 0, str(AccountDifference.HELD))
        .when(bucket.isNull(), str(AccountDifference.MISSING))
        .when(is_accepted & F.col("is_altered"), str(AccountDifference.ALTERED))
    )
    gap = F.when(F.col("is_altered"), F.col("apart")).otherwise(F.col("amount"))
    met = places.where(is_delivered)
    twice = (
        F.greatest(F.col("is_delivered") - 1, F.lit(0))
        + F.col("doubles")
        + (is_accepted & is_quarantined & (F.col("held") == 0)).cast("int")
    )
    doubled = met.withColumn("_twice", twice).where("_twice > 0")
    unknown = places.where(~is_delivered & is_accepted).withColumns(
        {"amount": F.col("taken"), "currency": F.col("taken_currency"), "at": F.col("taken_at")}
    )
    found = [
        items(met, bucket=bucket, kind=kind, gap=gap),
        items(
            doubled,
            delivered=0,
            kind=AccountDifference.DOUBLED,
            cases=F.col("_twice"),
            gap=F.col("amount") * F.col("_twice"),
        ),
        items(
            unknown,
            delivered=0,
            kind=AccountDifference.UNDELIVERED,
            cases=F.col("is_accepted"),
            gap=F.col("taken") * F.col("is_accepted"),
        ),
    ]
    return reduce(DataFrame.unionByName, found)


def _places(delivered: DataFrame, accepted: DataFrame, quarantined: DataFrame) -> DataFrame:
    """One row per step and coordinates: what was delivered there, and what is said of it."""
    here = F.lit(1)
    marks = _marked(
        delivered, is_delivered=here,
        superseded=F.col("superseded").cast("int"), held=F.col("held").cast("int"),
    )  # fmt: skip
    marks = marks.unionByName(_marked(accepted, is_accepted=here, doubles=F.col("doubles")))
    empty = {name: F.lit(None) for name in _FACTS if name != "coordinates"}
    refused = quarantined.dropDuplicates(["step", "coordinates"]).withColumns(empty)
    marks = marks.unionByName(_marked(refused, is_quarantined=here))
    was_sent, was_taken = F.col("is_delivered") > 0, F.col("is_accepted") > 0

    def sent(name: str) -> Column:
        return F.max(F.when(was_sent, F.col(name)))

    def taken(name: str) -> Column:
        return F.when(was_taken, F.col(name))

    said = F.struct(
        *[F.col(name).alias(name) for name in ("currency", "event_type", "at", "amount")]
    )
    places = marks.groupBy("step", "coordinates").agg(
        F.max("identity").alias("identity"),
        F.coalesce(sent("name"), F.max("name")).alias("name"),
        *[sent(name).alias(name) for name in ("at", "currency", "amount")],
        F.coalesce(sent("event_type"), F.max("event_type")).alias("event_type"),
        *[F.sum(name).alias(name) for name in ("is_delivered", "is_accepted", "doubles")],
        *[F.max(name).alias(name) for name in ("superseded", "held", "is_quarantined")],
        F.max(F.when(was_sent, said)).alias("sent"),
        F.min(F.when(was_taken, said)).alias("least_taken"),
        F.max(F.when(was_taken, said)).alias("most_taken"),
        F.max(taken("amount")).alias("taken"),
        F.max(taken("currency")).alias("taken_currency"),
        F.max(taken("at")).alias("taken_at"),
    )  # fmt: skip
    is_other = ~F.col("least_taken").eqNullSafe(F.col("sent")) | ~F.col("most_taken").eqNullSafe(
        F.col("sent")
    )
    # who has no identity is nobody's duplicate
    same_record = Window.partitionBy("step", F.coalesce("identity", "coordinates"))
    return places.withColumns(
        {
            "known": F.max("is_accepted").over(same_record),
            "is_altered": (F.col("is_accepted") > 0)
            & is_other
            & F.col("most_taken.amount").isNotNull(),
            "apart": _apart(),
        }
    )


def _apart() -> Column:
    """How far what Silver has lies from what was sent: all of it, where more than the amount."""
    amount, least, most = (
        F.col(f"{side}.amount") for side in ("sent", "least_taken", "most_taken")
    )
    gap = F.greatest(F.abs(amount - least), F.abs(amount - most))
    whole = F.greatest(amount, most)
    names = ("currency", "event_type", "at")
    is_elsewhere = reduce(
        lambda one, other: one | other,
        [
            ~F.col(f"{side}.{name}").eqNullSafe(F.col(f"sent.{name}"))
            for side in ("least_taken", "most_taken")
            for name in names
        ],
    )
    return F.when(is_elsewhere, whole).otherwise(F.coalesce(gap, whole))


def manifest_items(files: DataFrame, landed: DataFrame, steps: Mapping[str, str]) -> DataFrame:
    """Items of rows that the manifest of files counts and Bronze has not, and the other way round.

    `files` are rows of the manifest, HELD where a gate holds them, `landed` the rows of files in
    Bronze, `steps` names the step of each kind. Rows of a held file that Bronze never took are
    held.
    A content of a path counts once, however often it is named: as loaded if it ever was, whether
    its file is gone by now or not. What waits was not counted by anybody.
    """
    content = ("kind", "path", "file_sha256", "file_revision")
    step_of_kind = F.create_map(*[F.lit(text) for pair in steps.items() for text in pair])
    is_loaded = F.col("verdict") == Verdict.LOADED.value
    is_counted = is_loaded | (F.col("verdict") == Verdict.HELD.value)
    told = (
        files.where(is_counted & F.col("kind").isin([*steps]))
        .groupBy(*content)
        # loaded over held; a file that could not be read was held with no rows
        .agg(F.max(F.struct(is_loaded.alias("is_loaded"), "row_count")).alias("known"))
    )
    found = landed.groupBy(*content).agg(F.countDistinct("row_number").alias("found"))
    lacking = F.col("known.row_count") - F.coalesce("found", F.lit(0))
    nothing = F.lit(None).cast("string")
    place = F.concat_ws("@", "path", F.substring("file_sha256", 1, 12))
    # a file that nobody looked into has no hash
    same = [F.col(f"told.{name}").eqNullSafe(F.col(f"landed.{name}")) for name in content]
    differing = (
        told.alias("told")
        .join(found.alias("landed"), same, "left")
        .select(*[F.col(f"told.{name}") for name in content], "known", "found")
        .select(
            F.element_at(step_of_kind, F.col("kind")).alias("step"),
            nothing.alias("currency"),
            nothing.alias("event_type"),
            place.alias("name"),
            nothing.alias("key"),  # to Bronze itself, nothing is yet to come
            F.lit(None).cast("timestamp").alias("at"),
            F.lit(None).cast("decimal(25,2)").alias("amount"),
            F.col("known.is_loaded").alias("is_loaded"),
            # what a gate holds lies in Bronze, what load_drops holds does not
            (F.col("found").isNull() & ~F.col("known.is_loaded")).alias("is_held"),
            lacking.alias("lacking"),
        )
    )
    held, missing = str(AccountDifference.HELD), str(AccountDifference.MISSING)
    short = differing.where("lacking > 0")
    return items(
        short,
        delivered=F.col("lacking"),
        bucket=F.when(F.col("is_held"), str(Bucket.HELD)),
        kind=F.when(F.col("is_held"), held).otherwise(missing),
        cases=F.col("lacking"),
    ).unionByName(
        items(
            differing.where("lacking < 0"),
            delivered=0,
            kind=AccountDifference.UNDELIVERED,
            cases=-F.col("lacking"),
        )
    )


def _marked(rows: DataFrame, **marks: Column) -> DataFrame:
    facts = [name for name in DELIVERED if name in _FACTS]
    values = [marks.get(name, F.lit(0)).cast("int").alias(name) for name in _MARKS]
    return rows.select("step", *[F.col(name) for name in facts], *values)
