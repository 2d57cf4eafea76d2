"""What was delivered, read from Bronze a second time for the account; pure functions of frames.

Deliberately apart from Silver's contracts: who reads a record wrongly there is not believed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.identity import drop_coordinates, kafka_coordinates
from lakehouse.records.codes import Verdict
from lakehouse.texts import csv_cell, instant_of


@dataclass(frozen=True)
class Reading:
    """Which fields of a delivered record say who it is, when it was, and of how much money."""

    identified_by: tuple[str, ...]
    time: str
    of_money: bool = False
    event_type: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """All of them, each once."""
        money = ("amount", "currency") if self.of_money else ()
        kind = (self.event_type,) if self.event_type else ()
        return tuple(
            dict.fromkeys((*self.identified_by, "transaction_id", self.time, *money, *kind))
        )


READINGS: Mapping[str, Reading] = {
    "live_transactions": Reading(("event_id",), "timestamp", of_money=True),
    "live_scores": Reading(("transaction_id", "model_version", "inference_time"), "inference_time"),
    "transactions": Reading(("transaction_id",), "timestamp", of_money=True),
    "money_events": Reading(("event_id",), "timestamp", of_money=True, event_type="event_type"),
    "fraud_scores": Reading(
        ("transaction_id", "model_version", "inference_time"), "inference_time"
    ),
    "policies": Reading(("policy_id", "effective_date"), "effective_date"),
    "fx_rates": Reading(("rate_date", "base", "currency"), "rate_date"),
}
"""By topic, or by kind of drop."""

DELIVERED = (
    "coordinates", "identity", "name", "at", "currency", "event_type", "amount", "superseded",
    "held",
)  # fmt: skip
"""One delivered record: `identity` is null where its text names none, `name` its transaction or
else its coordinates; money in smallest units, null where it cannot be read."""

_IDS = ("event_id", "transaction_id")
_DAYS = ("effective_date", "rate_date")
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_AMOUNT = r"^[+-]?[0-9]{1,40}([.][0-9]{1,18})?([eE][+]?[0-9]{1,3})?$"
_CURRENCY = "^[A-Z]{3}$"
_EVENT_TYPE = "^[A-Z_]{1,32}$"
_LIMIT = 10**13


def delivered_messages(bronze: DataFrame, corrections: DataFrame, reading: Reading) -> DataFrame:
    """One row per Kafka record: DELIVERED. A corrected one is read as its correction says."""
    # of two corrections, the first was in conflict with what Silver has
    corrected = corrections.groupBy("coordinates").agg(
        F.max_by("payload", "recorded_at").alias("corrected")
    )
    records = bronze.select(kafka_coordinates().alias("coordinates"), "value").join(
        F.broadcast(corrected), "coordinates", "left"
    )
    text = F.coalesce("corrected", "value").cast("string")
    sent = {name: F.get_json_object(text, f"$.{name}") for name in reading.fields}
    marks = (F.lit(False).alias("superseded"), F.lit(False).alias("held"))
    return _read(records, sent, reading, F.col("coordinates"), *marks)


def delivered_rows(drops: DataFrame, files: DataFrame, reading: Reading) -> DataFrame:
    """One row per row of a file that Bronze took: DELIVERED.

    A row is superseded when a greater revision of its file was loaded, and held when its file is
    held behind Bronze. Where a greater revision has the same content, put back, both have the same
    coordinates: the older rows get others.
    """
    content = ("path", "file_sha256", "file_revision")
    # what is held behind Bronze supersedes nothing
    taken = F.when(F.col("is_loaded"), F.col("file_revision"))
    newest = F.max(taken).over(Window.partitionBy("path"))
    newest_of_content = F.max("file_revision").over(Window.partitionBy("path", "file_sha256"))
    landed = (
        files.where(F.col("verdict").isin(str(Verdict.LOADED), str(Verdict.HELD)))
        # a file that was touched is there again; loaded over held
        .groupBy(*content)
        .agg(F.max(F.col("verdict") == Verdict.LOADED.value).alias("is_loaded"))
        .select(
            *content,
            (~F.col("is_loaded")).alias("held"),
            F.coalesce(F.col("file_revision") < newest, F.lit(False)).alias("superseded"),
            (F.col("file_revision") < newest_of_content).alias("put_back"),
        )
    )
    place = drop_coordinates()
    older = F.concat(place, F.lit("/"), F.col("file_revision").cast("string"))
    is_csv = F.col("format") == "csv"
    header, raw = F.col("header"), F.col("raw")
    sent = {
        name: F.when(is_csv, csv_cell(header, raw, name)).otherwise(
            F.get_json_object(raw, f"$.{name}")
        )
        for name in reading.fields
    }
    coordinates = F.when(F.col("put_back"), older).otherwise(place)
    rows = drops.join(F.broadcast(landed), [*content])
    return _read(rows, sent, reading, coordinates, F.col("superseded"), F.col("held"))


def _read(
    rows: DataFrame,
    sent: Mapping[str, Column],
    reading: Reading,
    coordinates: Column,
    *marks: Column,
) -> DataFrame:
    # columns of their own: `try_cast` is known by name only, and each text is taken out once
    texts = rows.select(
        coordinates.alias("coordinates"),
        *marks,
        *[F.trim(text).alias(f"_{name}") for name, text in sent.items()],
    )
    identity = [identifying_text(name, F.col(f"_{name}")) for name in reading.identified_by]
    transaction = F.lower("_transaction_id")
    is_day = reading.time in _DAYS
    at = instant_of(F.col(f"_{reading.time}"), or_day=is_day)
    nothing = F.lit(None).cast("string")
    return texts.select(
        "coordinates",
        joined_identity(identity),
        F.when(transaction.rlike(_UUID), transaction).otherwise(F.col("coordinates")).alias("name"),
        # beyond these years nobody believes it, and Python could not hold it
        F.when(F.year(at).between(2000, 2100), at).alias("at"),
        (_coded("_currency", _CURRENCY) if reading.of_money else nothing).alias("currency"),
        (_coded("_event_type", _EVENT_TYPE) if reading.event_type else nothing).alias("event_type"),
        (_minor_units() if reading.of_money else F.lit(None).cast("decimal(25,2)")).alias("amount"),
        "superseded",
        "held",
    ).select(*DELIVERED)


def identifying_text(name: str, text: Column) -> Column:
    """A trimmed field as Silver has it, in text: ids in lower case, UTC instants."""
    if name in _IDS:
        return F.lower(text)
    match name:
        case "inference_time":
            return instant_of(text).cast("string")
        case "effective_date":
            return instant_of(text, or_day=True).cast("string")
        case _:
            return text


def joined_identity(texts: Sequence[Column]) -> Column:
    """The texts in one, as `identity`; null where one is missing."""
    between = [part for text in texts for part in (text, F.lit("|"))]
    return F.concat(*between[:-1]).alias("identity")


def _coded(name: str, pattern: str) -> Column:
    return F.when(F.col(name).rlike(pattern), F.col(name))


def _minor_units() -> Column:
    """Whole smallest units, not negative, of at most 13 digits; null for any other text."""
    readable = F.col("_amount").rlike(_AMOUNT)
    exact = F.when(readable, F.expr("try_cast(_amount AS DECIMAL(38,18))"))
    is_amount = (exact >= 0) & (exact < _LIMIT) & (exact == F.floor(exact))
    return F.when(is_amount, exact.cast("decimal(25,2)"))
