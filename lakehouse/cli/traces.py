"""How each table is asked about a transaction: which rows, their time and place, what they tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.identity import drop_coordinates, kafka_coordinates
from lakehouse.records.codes import Source
from lakehouse.tables import DROPS
from lakehouse.texts import csv_cells, instant_of

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def _none() -> Column:
    return F.lit(None)


@dataclass(frozen=True)
class Trace:
    """The rows of one table that are meant, and what a `lineage.Sighting` takes of each."""

    about: Column
    at: Column
    coordinates: Column
    tells: Column
    identity: Column = field(default_factory=_none)
    revision: Column = field(default_factory=_none)
    source: Column = field(default_factory=_none)
    score_id: Column = field(default_factory=_none)
    content: Column = field(default_factory=_none)


def traces_of(transaction_id: str) -> Mapping[str, Trace]:
    """By table, in the order of the flow: rows that name the transaction."""
    is_named = F.col("transaction_id") == transaction_id
    return {
        **_bronze(
            F.lower(F.decode("key", "UTF-8")) == transaction_id,
            F.contains(F.lower("raw"), F.lit(transaction_id)),
        ),
        **_silver(is_named),
        **_gold(is_named),
    }


def traces_at(coordinates: Iterable[str]) -> Mapping[str, Trace]:
    """Of the tables of Bronze: rows at these coordinates, whatever they name."""
    places = [*coordinates]
    return _bronze(kafka_coordinates().isin(places), drop_coordinates().isin(places))


def _bronze(of_topic: Column, of_file: Column) -> Mapping[str, Trace]:
    value = F.decode("value", "UTF-8")

    def from_kafka(identity: Column) -> Trace:
        size = F.concat(F.length("value").cast("string"), F.lit(" bytes"))
        return Trace(of_topic, F.col("timestamp"), kafka_coordinates(), size, identity)

    def from_file(kind: str) -> Trace:
        # of other kinds no row is of a transaction, and to plan this takes a second
        is_told_apart = kind in _NAMED_BY
        return Trace(
            of_file,
            F.col("delivery_date"),
            drop_coordinates(),
            F.concat(F.lit("file revision "), F.col("file_revision").cast("string")),
            _NAMED_BY[kind]() if is_told_apart else _none(),
            revision=F.col("file_revision"),
            content=_content() if is_told_apart else _none(),
        )

    model, inferred_at = (
        F.get_json_object(value, f"$.{name}") for name in ("model_version", "inference_time")
    )
    return {
        "bronze.transactions": from_kafka(F.lower(F.get_json_object(value, "$.event_id"))),
        "bronze.fraud_scores": from_kafka(
            # Silver knows a score by its instant, and by the text of its model
            F.concat_ws("@", model, _one_way(inferred_at))
        ),
        **{table.name: from_file(kind) for kind, table in DROPS.items()},
    }


def _fields() -> Column:
    """(name, value) of each field of a delivered row that says something, in order of the names.

    Values are written in one way each. Null: the row is no JSON object.
    """
    cells = F.arrays_zip(csv_cells(F.col("header")).alias("name"), csv_cells(F.col("raw")))
    of_csv = F.transform(cells, lambda cell: _field(cell["name"], cell["1"]))
    entries = F.map_entries(F.from_json("raw", "map<string,string>"))
    of_json = F.transform(entries, lambda entry: _field(entry["key"], entry["value"]))
    found = F.when(F.col("format") == "csv", of_csv).otherwise(of_json)
    return F.array_sort(F.filter(found, lambda each: F.coalesce(each["value"], F.lit("")) != ""))


def _field(name: Column, value: Column) -> Column:
    return F.struct(name.cast("string").alias("name"), _one_way(value).alias("value"))


def _one_way(value: Column) -> Column:
    """The same text for an instant, a number or a UUID, however it is written."""
    number = F.regexp_replace(F.trim(value), r"^(-?[0-9]+[.][0-9]*?)0+$", "$1")
    text = F.regexp_replace(number, r"^(-?[0-9]+)[.]$", "$1")
    # of whole numbers too: which of them are epochs is Silver's to say
    instant = instant_of(text).cast("string")
    return F.coalesce(instant, F.when(text.rlike(f"(?i)^{_UUID}$"), F.lower(text)), text)


def _content() -> Column:
    """A hash of what a delivered row says, in whatever format and order of its fields."""
    return F.sha2(F.coalesce(F.to_json(_fields()), F.col("raw")), 256)


def _value(name: str) -> Column:
    return F.get(F.filter(_fields(), lambda each: each["name"] == name), F.lit(0))["value"]


def _named(name: str) -> Callable[[], Column]:
    return lambda: F.lower(_value(name))


def _score() -> Column:
    return F.concat_ws("@", _value("model_version"), _value("inference_time"))


# what tells a delivered row from its repetition, by kind of drop
_NAMED_BY: Mapping[str, Callable[[], Column]] = {
    "transactions": _named("transaction_id"),
    "money_events": _named("event_id"),
    "fraud_scores": _score,
}


def _silver(is_named: Column) -> Mapping[str, Trace]:
    place = F.col("coordinates")
    who = {"identity": F.col("identity"), "revision": F.col("revision")}
    refused = Trace(
        is_named,
        F.col("quarantine_date"),
        place,
        _told(F.concat_ws(", ", "rule_ids"), F.lit("-"), F.concat_ws("; ", "reasons")),
        identity=F.col("identity"),
    )
    scored = Trace(
        is_named,
        F.col("inference_time"),
        place,
        _told("score_source", "fraud_score", "fraud_reason_code", "model_version"),
        source=F.concat("score_source", F.lit("_SCORE")),
        **who,
    )
    revision = F.concat(
        F.lit("revision "),
        F.col("revision").cast("string"),
        F.when(F.col("withdrawn"), F.lit(" (withdrawn)")).otherwise(F.lit("")),
    )
    return {
        "silver.quarantine_live": refused,
        "silver.quarantine_batch": refused,
        "silver.corrections": Trace(
            is_named, F.col("recorded_at"), place, F.col("reason"), identity=F.col("identity")
        ),
        "silver.fraud_scores": scored,
        "silver.offline_scores": scored,
        "silver.live_transactions": Trace(
            is_named,
            F.col("timestamp"),
            place,
            _told(
                "transaction_status", "amount", "currency", F.lit("->"), "recommended_action",
                "fraud_score", "fraud_reason_code", "policy_flag", F.lit("decided"), "decided_at",
            ),
            source=F.lit(str(Source.LIVE_EVENT)),
            score_id=F.col("score_id"),
            **who,
        ),
        "silver.batch_transactions": Trace(
            is_named,
            F.col("timestamp"),
            place,
            _told(revision, "transaction_status", "amount", "currency", "policy_flag"),
            source=F.lit(str(Source.BATCH_LOG)),
            **who,
        ),
        "silver.parity": Trace(
            is_named,
            F.col("compared_at"),
            revision,
            _told(
                F.concat_ws(", ", "differences"), F.lit("by"), F.concat_ws(", ", "causes"),
                F.lit("unexplained"), F.concat_ws(", ", "unexplained"),
            ),
        ),
        "silver.money_events": Trace(
            is_named,
            F.col("timestamp"),
            place,
            _told(revision, "event_type", "amount", "currency"),
            source=F.lit(str(Source.MONEY_EVENT)),
            **who,
        ),
    }  # fmt: skip


def _gold(is_named: Column) -> Mapping[str, Trace]:
    return {
        "gold.transactions": Trace(
            is_named,
            F.col("updated_at"),
            F.concat(F.size("contributions").cast("string"), F.lit(" contributions")),
            _told(
                "transaction_status", F.coalesce("settlement_status", F.lit("unsettled")),
                "amount", "currency", "fraud_score", "fraud_reason_code", "policy_flag",
            ),
        ),
    }  # fmt: skip


def _told(*columns: str | Column) -> Column:
    parts = [F.col(c) if isinstance(c, str) else c for c in columns]
    return F.concat_ws(" ", *[part.cast("string") for part in parts])
