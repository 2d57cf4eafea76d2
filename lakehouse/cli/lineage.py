"""Where a transaction was seen, in the order of the flow, and what Gold made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.cli.rows import records_of, rows_of
from lakehouse.cli.traces import Trace, traces_at, traces_of
from lakehouse.config import Config
from lakehouse.delta import exists, path_of
from lakehouse.fold.precedence import load_precedence
from lakehouse.fold.transitions import load_transitions
from lakehouse.fold.wins import Win, wins_of
from lakehouse.hot import hot_until
from lakehouse.quality.batches import Content, Ledger, batch_of
from lakehouse.records.codes import Verdict
from lakehouse.records.gold import Contribution
from lakehouse.tables import (
    BRONZE_DROP_FILES,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
    SILVER_QUALITY_BATCHES,
    TABLES,
    Table,
)

_DYNAMODB = "dynamodb"
_AT_ONCE = 4
_COLUMNS: Mapping[str, str] = {
    "at": "timestamp", "coordinates": "string", "tells": "string", "identity": "string",
    "revision": "int", "source": "string", "score_id": "string", "content": "string",
}  # fmt: skip


@dataclass(frozen=True)
class Sighting:
    """One row of one table that tells of the transaction."""

    table: str
    at: datetime | None  # the row's own time, UTC: Kafka's, the event's, or the commit's
    coordinates: str  # Kafka coordinates, file and row, or a table version
    tells: str
    # of a contribution; in Bronze what tells a record from its repetition, where it can be read
    identity: str | None = None
    revision: int | None = None  # in Bronze of the file
    source: str | None = None  # codes.Source
    score_id: str | None = None  # of the score that a decision used
    content: str | None = None  # of a delivered row: a hash of what it says


@dataclass(frozen=True)
class GoldState:
    """Gold's row of the transaction, as one Gold version left it."""

    version: int
    known_from: datetime  # UTC, when that version was committed
    changed_groups: list[str]  # field groups that are other than in the state before
    brought: list[str]  # contributions that the state before had not: SOURCE IDENTITY, revision
    contributions: list[Contribution] = field(repr=False)


@dataclass(frozen=True)
class Lineage:
    """All that is known of one transaction."""

    sightings: list[Sighting]
    states: list[GoldState]  # by history, oldest first
    gold: list[list[Contribution]]  # of each of its rows in Gold: there should be one row
    hot_until: datetime | None  # UTC; until then DynamoDB serves what Gold says; null: never
    wins: list[Win]
    # why rows of files are set aside, by coordinates: a text where that may end
    set_aside: Mapping[str, str | None] = field(default_factory=dict)


def traced(spark: SparkSession, config: Config, transaction_id: str) -> Lineage:
    """Everything but the serving store, which `served` asks."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        of_gold = pool.submit(_gold_rows, spark, config, transaction_id)
        of_history = pool.submit(_states, spark, config, transaction_id)
        sightings = lineage(spark, config, transaction_id)
        rows, states = of_gold.result(), of_history.result()
    gold = [[*map(_contribution, row["contributions"])] for row in rows]
    rules = config.rules
    precedence, transitions = load_precedence(rules.precedence), load_transitions(rules.transitions)
    known = gold[0] if gold else []
    return Lineage(
        sightings,
        states,
        gold,
        rows[0]["hot_until"] if rows else None,
        wins_of(transaction_id, known, precedence, transitions),
        set_aside(spark, config, sightings),
    )


def lineage(spark: SparkSession, config: Config, transaction_id: str) -> list[Sighting]:
    """All rows about a transaction: Bronze, Silver, and Gold.

    Records of Bronze are found by their key, or by the coordinates that Silver gives: the content
    of a record that was corrected may name another transaction, or none.
    """
    found = _asked(spark, config, traces_of(transaction_id))
    named = {s.coordinates for s in found if s.table.startswith("silver.")}
    known = {s.coordinates for s in found if s.table.startswith("bronze.")}
    elsewhere = {place for place in named - known if place.startswith(("kafka:", "file:"))}
    if elsewhere:
        found = _asked(spark, config, traces_at(sorted(elsewhere))) + found
    return found


def served(item: Mapping[str, Any] | None) -> list[Sighting]:
    """What DynamoDB serves for it, both groups combined; nothing where it has no item."""
    if item is None:
        return []
    combined: Mapping[str, Any] = item["combined"]
    what = (combined.get(name) for name in ("transaction_status", "settlement_status", "finality"))
    held = [name for name in ("live_version", "gold_version") if item.get(name) is not None]
    versions = ", ".join(f"{name} {item[name]}" for name in held)
    return [Sighting(_DYNAMODB, None, versions, " ".join(str(part) for part in what if part))]


def _asked(spark: SparkSession, config: Config, traces: Mapping[str, Trace]) -> list[Sighting]:
    def asked(place: tuple[int, tuple[str, Trace]]) -> list[list[Any]]:
        rank, (name, trace) = place
        table = TABLES[name]
        if not exists(spark, path_of(config, table)):
            return []
        return rows_of(_rows(_read(spark, config, table), rank, name, trace))

    # to plan a query over all of them at once keeps one core busy, and the others wait
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        rows = [row for found in pool.map(asked, enumerate(traces.items())) for row in found]
    rows.sort(key=lambda row: (row[0], str(row[2]), str(row[3])))
    return [Sighting(*row[1:]) for row in rows]


def _rows(rows: DataFrame, rank: int, name: str, trace: Trace) -> DataFrame:
    return rows.where(trace.about).select(
        F.lit(rank).alias("rank"),
        F.lit(name).alias("table"),
        *[getattr(trace, column).cast(kind).alias(column) for column, kind in _COLUMNS.items()],
    )


def set_aside(
    spark: SparkSession, config: Config, sightings: Sequence[Sighting]
) -> dict[str, str | None]:
    """Rows of files that Silver has not, where a later revision or a gate is why."""
    taken = {s.coordinates for s in tables_of(sightings, "silver.")}
    rows = [s for s in tables_of(sightings, "bronze.drops_") if s.coordinates not in taken]
    if not rows:
        return {}
    paths = {path_in(row.coordinates) for row in rows}
    held = _held_back(spark, config)
    # what a held revision would supersede stands; of equal keys a dictionary keeps the last
    newest = dict(sorted(_loaded(spark, config, paths) - held))
    aside: dict[str, str | None] = {}
    for row in rows:
        path, revision = path_in(row.coordinates), row.revision or 0
        if (path, revision) in held:
            aside[row.coordinates] = f"a gate holds {batch_of(path)}"
        elif revision < newest.get(path, revision):
            aside[row.coordinates] = None
    return aside


def path_in(coordinates: str) -> str:
    """The path of a file, below landing/, of the coordinates of a row in it."""
    return coordinates.removeprefix("file:").rpartition("@")[0]


def _loaded(spark: SparkSession, config: Config, paths: Iterable[str]) -> set[Content]:
    if not exists(spark, path_of(config, BRONZE_DROP_FILES)):
        return set()
    is_loaded = F.col("path").isin([*paths]) & (F.col("verdict") == str(Verdict.LOADED))
    loaded = _read(spark, config, BRONZE_DROP_FILES).where(is_loaded)
    return {(row[0], row[1]) for row in rows_of(loaded.select("path", "file_revision"))}


def _held_back(spark: SparkSession, config: Config) -> frozenset[Content]:
    if not exists(spark, path_of(config, SILVER_QUALITY_BATCHES)):
        return frozenset()
    return Ledger.of(_read(spark, config, SILVER_QUALITY_BATCHES)).held_back


def _gold_rows(spark: SparkSession, config: Config, transaction_id: str) -> list[dict[str, Any]]:
    if not exists(spark, path_of(config, GOLD_TRANSACTIONS)):
        return []
    rows = _read(spark, config, GOLD_TRANSACTIONS).where(F.col("transaction_id") == transaction_id)
    until = hot_until(config.dynamodb.hot).alias("hot_until")
    return records_of(rows.select(until, "contributions"))


def _states(spark: SparkSession, config: Config, transaction_id: str) -> list[GoldState]:
    if not exists(spark, path_of(config, GOLD_TRANSACTION_HISTORY)):
        return []
    rows = records_of(
        _read(spark, config, GOLD_TRANSACTION_HISTORY)
        .where(F.col("transaction_id") == transaction_id)
        .select("gold_version", "known_from", "changed_groups", "contributions")
    )
    states: list[GoldState] = []
    for row in sorted(rows, key=lambda row: row["gold_version"]):
        known = [*map(_contribution, row["contributions"])]
        before = _told_of(states[-1].contributions if states else ())
        brought = [told for told in _told_of(known) if told not in before]
        states.append(
            GoldState(
                row["gold_version"], row["known_from"], row["changed_groups"], brought, known
            )
        )  # fmt: skip
    return states


def _told_of(contributions: Iterable[Contribution]) -> list[str]:
    return [
        f"{c.source} {c.identity}, revision {c.revision}{' (withdrawn)' if c.withdrawn else ''}"
        for c in contributions
    ]


def _contribution(told: Mapping[str, Any]) -> Contribution:
    # history's have no payer
    return Contribution(**dict.fromkeys(Contribution.model_fields) | {**told})


def _read(spark: SparkSession, config: Config, table: Table) -> DataFrame:
    return spark.read.format("delta").load(path_of(config, table))


def tables_of(sightings: Sequence[Sighting], prefix: str) -> list[Sighting]:
    """Those of one layer, or one table."""
    return [s for s in sightings if s.table.startswith(prefix)]
