"""What the analyst's page asks of the lake: one version of Gold, by the SQL of the views.

Nobody's payment leaves by it: answers are counts and sums, and the Gold that is asked has no payer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import delta
from lakehouse.cli.freshness import table_statuses
from lakehouse.cli.quarantined import BrokenRule, broken_rules
from lakehouse.cli.questions import answered, named_faults
from lakehouse.cli.rows import rows_of
from lakehouse.cli.streams import StreamStatus, stream_statuses
from lakehouse.config import Config
from lakehouse.frames import keeping
from lakehouse.history import GOLD_WITHOUT_PAYER, history_as_of
from lakehouse.job import execute, job_named
from lakehouse.tables import (
    GOLD_RECONCILIATION,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
    SILVER_PARITY,
    Table,
)
from lakehouse.views import load_views, question

GOLD_VIEWS = (
    "gold.fraud_by_day", "gold.rates_by_day", "gold.score_distribution",
    "gold.reason_effectiveness", "gold.policy_effectiveness", "gold.fraud_by_region",
    "gold.money_by_currency", "gold.settlement_ageing",
)  # fmt: skip
"""Views over gold.transactions whose every row is shown."""

COUNT_VIEWS = ("gold.reconciled", "gold.reconciled_money")
"""Views over gold.reconciliation whose every row is shown."""

_UNREAD = ("contributions", "winners")
_STAND_INS = {GOLD_TRANSACTIONS.name: "gold_then", GOLD_RECONCILIATION.name: "counts_then"}


@dataclass(frozen=True)
class Standing:
    """The version of Gold that is shown. It stood from `known_from` until `known_until` (UTC).

    Null: nobody knows when it was committed; it stands still. `answered_by` gave its rows.
    """

    version: int
    known_from: datetime | None
    known_until: datetime | None
    newest_event: datetime | None
    answered_by: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """Rows by column; `missing` says why there can be none, and what would change that."""

    columns: tuple[str, ...]
    rows: list[list[Any]]
    missing: str | None = None

    def column(self, name: str) -> list[Any]:
        """The values of one column."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


@dataclass(frozen=True)
class Numbers:
    """All that the page shows; `today` is the UTC day by which ages are counted."""

    asked_at: datetime
    as_of: str | None
    today: date
    standing: Standing | None  # None: no Gold
    answers: Mapping[str, Answer]


def numbers_of(spark: SparkSession, config: Config, as_of: str | None, now: datetime) -> Numbers:
    """Ask everything; `as_of` is a version of Gold, an instant or a day (UTC), or None: now.

    Raises:
        BadParameter: `as_of` is none of them.
        TableNotFoundError: there is no Gold, and some time was asked for.
        BeforeFirstVersionError, VersionNotFoundError: Gold was not there then, or never was so.
        FutureTimeError: the time that was asked for has not come.
        BeyondKnownHistoryError: only history could answer, and has not come to that version.
    """
    if as_of is None and not _is_there(spark, config, GOLD_TRANSACTIONS):
        nothing = Answer((), [], _unwritten(GOLD_TRANSACTIONS))
        then: Mapping[str, Answer] = dict.fromkeys((*GOLD_VIEWS, "gold.exceptions"), nothing)
        nowhere = dict.fromkeys(COUNT_VIEWS, Answer((), [], _unwritten(GOLD_RECONCILIATION)))
        return Numbers(now, None, now.date(), None, {**then, **nowhere, **_now(spark, config, now)})
    found = _standing(spark, config, as_of, now)
    with _gold_then(spark, config, found) as newest_event:
        today = now.date() if as_of is None else _day_of(found.standing, as_of, now)
        then = _then(spark, config, today)
    standing = Standing(
        found.standing.version,
        found.standing.known_from,
        found.standing.known_until,
        newest_event,
        str(found.answered_by),
        tuple(found.notes),
    )
    return Numbers(now, as_of, today, standing, {**then, **_now(spark, config, now)})


def _standing(spark: SparkSession, config: Config, as_of: str | None, now: datetime) -> Any:
    """What the audit says of that Gold: the version in force, who answers, and what to know."""
    newest = delta.latest_version(spark, delta.path_of(config, GOLD_TRANSACTIONS))
    asked = str(newest) if as_of is None else as_of
    return execute(
        job_named("audit"), config, trigger="once", clock=lambda: now, as_of=asked, limit=0,
        quiet=True,
    )  # fmt: skip


def _day_of(standing: Any, as_of: str, now: datetime) -> date:
    if as_of.strip().isdecimal():
        return (standing.known_from or now).astimezone(UTC).date()
    # an instant, as the audit has read it
    return datetime.fromisoformat(standing.asked).astimezone(UTC).date()


@contextmanager
def _gold_then(spark: SparkSession, config: Config, found: Any) -> Iterator[datetime | None]:
    """Name that Gold's rows and counts in the session; gives the newest event among its rows."""
    version = found.standing.version
    with keeping() as keep, named_faults():
        gold = keep(rows_then(spark, config, version, found.answered_by))
        gold.createOrReplaceTempView(_STAND_INS[GOLD_TRANSACTIONS.name])
        if _is_there(spark, config, GOLD_RECONCILIATION):
            counts = _read(spark, config, GOLD_RECONCILIATION)
            counts.where(F.col("gold_version") <= version).createOrReplaceTempView(
                _STAND_INS[GOLD_RECONCILIATION.name]
            )
        try:
            yield rows_of(gold.agg(F.max("updated_at")))[0][0]
        finally:
            for name in _STAND_INS.values():
                spark.catalog.dropTempView(name)


def rows_then(spark: SparkSession, config: Config, version: int, answered_by: str) -> DataFrame:
    """Gold at a version, one row per transaction: no view that is asked reads contributions."""
    if answered_by == GOLD_TRANSACTION_HISTORY.name:
        history = _read(spark, config, GOLD_TRANSACTION_HISTORY)
        columns = [name for name in GOLD_WITHOUT_PAYER if name not in _UNREAD]
        rows = history_as_of(history, version, columns)
    else:
        path = delta.path_of(config, GOLD_TRANSACTIONS)
        rows = spark.read.format("delta").option("versionAsOf", version).load(path)
    return rows.drop(*_UNREAD).withColumn("user_id", F.lit(None).cast("string"))


def _then(spark: SparkSession, config: Config, today: date) -> dict[str, Answer]:
    views = load_views(config.rules.views)

    def asked(view: str) -> DataFrame:
        return spark.sql(question(view, views, _STAND_INS, today))

    answers = {view: _answer(asked(view)) for view in GOLD_VIEWS}
    broken = asked("gold.exceptions").groupBy("rule_id").agg(F.count("*").alias("transactions"))
    answers["gold.exceptions"] = _answer(broken)
    is_counted = _is_there(spark, config, GOLD_RECONCILIATION)
    uncounted = Answer((), [], _unwritten(GOLD_RECONCILIATION))
    counts = {view: _answer(asked(view)) if is_counted else uncounted for view in COUNT_VIEWS}
    return answers | counts


def _now(spark: SparkSession, config: Config, now: datetime) -> dict[str, Answer]:
    quarantined = [list(astuple(rule)) for rule in broken_rules(spark, config)]
    if _is_there(spark, config, SILVER_PARITY):
        causes = _answer(answered(spark, config, "SELECT * FROM silver.parity_by_cause"))
    else:
        causes = Answer((), [], _unwritten(SILVER_PARITY))
    return {
        "silver.quarantine": Answer(_names(BrokenRule), quarantined),
        "silver.parity_by_cause": causes,
        "freshness": _fresh(spark, config, now),
        "lag": Answer(
            _names(StreamStatus), [list(astuple(s)) for s in stream_statuses(spark, config)]
        ),
    }


def _fresh(spark: SparkSession, config: Config, now: datetime) -> Answer:
    def age(newest: datetime | None) -> float | None:
        return None if newest is None else (now - newest).total_seconds() / 3600

    rows = [
        [
            each.table.partition(".")[0],
            each.table,
            each.rows,
            each.newest,
            age(each.newest),
            each.version,
        ]
        for each in table_statuses(spark, config)
    ]
    missing = None if rows else "no job has written a table yet; `lakehouse demo` runs them all"
    return Answer(("layer", "table", "rows", "newest", "age_hours", "version"), rows, missing)


def _answer(frame: DataFrame) -> Answer:
    def by_columns(row: list[Any]) -> list[Any]:
        # nothing stands last
        return [(value is None, "" if value is None else value) for value in row[:2]]

    return Answer(tuple(frame.columns), sorted(rows_of(frame), key=by_columns))


def _read(spark: SparkSession, config: Config, table: Table) -> DataFrame:
    return spark.read.format("delta").load(delta.path_of(config, table))


def _is_there(spark: SparkSession, config: Config, table: Table) -> bool:
    return delta.exists(spark, delta.path_of(config, table))


def _unwritten(table: Table) -> str:
    return f"{table.name} does not exist yet; `lakehouse run {table.written_by}` writes it"


def _names(record: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record))  # type: ignore[arg-type]
