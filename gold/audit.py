"""Decisions recomputed from their recorded evidence, or any table at any version; on demand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.auditing import as_json_texts, recomputed
from lakehouse.context import Lakehouse
from lakehouse.decision import load_rules
from lakehouse.delta import exists, latest_version, path_of
from lakehouse.errors import (
    DecisionsDifferError,
    TableNotFoundError,
    TransactionNotFoundError,
    VersionNotFoundError,
)
from lakehouse.job import run
from lakehouse.tables import (
    SILVER_LIVE_TRANSACTIONS,
    SILVER_POLICIES,
    Table,
    table_named,
)

SHOWN = 100
"""At most so many rows or differing decisions are shown; the report says how many there are."""


@dataclass(frozen=True)
class DecisionsReport:
    """How many decisions follow from their evidence, and where the others differ."""

    decisions: int
    equal: int
    differences: list[dict[str, Any]]  # the first SHOWN decisions that differ, field by field


@dataclass(frozen=True)
class RowsReport:
    """Rows of a table as of a version."""

    table: str
    version: int
    rows: int
    shown: list[dict[str, Any]]  # the first SHOWN


def audit(
    lake: Lakehouse,
    transaction_id: Annotated[str | None, typer.Option(help="Only this transaction.")] = None,
    table: Annotated[str | None, typer.Option(help="Show rows of this table instead.")] = None,
    version: Annotated[int | None, typer.Option(help="... as of this version.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A report for programs.")] = False,
) -> DecisionsReport | RowsReport:
    """Recompute every live decision from its recorded evidence, or show a table at a version.

    Raises:
        DecisionsDifferError: a decision comes out otherwise; the report was shown before.
        UnknownTableError, TableNotFoundError, VersionNotFoundError: there is nothing to show.
        TransactionNotFoundError: the transaction is not in what was asked for.
    """
    if version is not None and table is None:
        raise typer.BadParameter("a version is of a table: add --table", param_hint="--version")
    if table is not None:
        rows = _rows(lake, table_named(table), version, transaction_id)
        _show(rows, as_json)
        return rows
    decisions = _decisions(lake, transaction_id)
    _show(decisions, as_json)
    if decisions.equal < decisions.decisions:
        raise DecisionsDifferError(decisions.decisions, decisions.decisions - decisions.equal)
    return decisions


def _decisions(lake: Lakehouse, transaction_id: str | None) -> DecisionsReport:
    decisions = _of_transaction(
        _stored(lake, SILVER_LIVE_TRANSACTIONS), SILVER_LIVE_TRANSACTIONS.name, transaction_id
    )
    checked = recomputed(
        decisions, _stored(lake, SILVER_POLICIES), load_rules(lake.config.rules.decision)
    )
    differing = checked.where(F.size("differences") > 0)
    counts = checked.agg(
        F.count(F.lit(1)).alias("checked"), F.count_if(F.size("differences") == 0).alias("equal")
    ).first()
    assert counts is not None  # an aggregate has one row
    _found(counts["checked"], SILVER_LIVE_TRANSACTIONS.name, transaction_id)
    differ = counts["equal"] < counts["checked"]
    shown = _shown(differing.orderBy("event_id")) if differ else []
    return DecisionsReport(counts["checked"], counts["equal"], shown)


def _rows(
    lake: Lakehouse, table: Table, version: int | None, transaction_id: str | None
) -> RowsReport:
    stored = _stored(lake, table)
    newest = latest_version(lake.spark, path_of(lake.config, table))
    at = newest if version is None else version
    if version is not None:
        try:
            stored = lake.read(table, version)
        except AnalysisException:
            raise VersionNotFoundError(table.name, version, newest) from None
    rows = _of_transaction(stored, table.name, transaction_id)
    count = rows.count()
    _found(count, f"{table.name} at version {at}", transaction_id)
    return RowsReport(table.name, at, count, _shown(rows))


def _stored(lake: Lakehouse, table: Table) -> DataFrame:
    # a question creates no table
    if not exists(lake.spark, path_of(lake.config, table)):
        raise TableNotFoundError(table.name, table.written_by)
    return lake.read(table)


def _of_transaction(rows: DataFrame, table: str, transaction_id: str | None) -> DataFrame:
    if transaction_id is None:
        return rows
    if "transaction_id" not in rows.columns:
        raise typer.BadParameter(f"{table} has no transaction_id", param_hint="--transaction-id")
    return rows.where(F.col("transaction_id") == transaction_id.lower())


def _found(count: int, where: str, transaction_id: str | None) -> None:
    if transaction_id is not None and not count:
        raise TransactionNotFoundError(transaction_id, where)


def _shown(rows: DataFrame) -> list[dict[str, Any]]:
    return [json.loads(row["row"]) for row in as_json_texts(rows.limit(SHOWN)).collect()]


def _show(report: DecisionsReport | RowsReport, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(report)))
    else:
        print("\n".join(_lines(report)))


def _lines(report: DecisionsReport | RowsReport) -> Iterator[str]:
    if isinstance(report, RowsReport):
        yield f"{report.table} at version {report.version}: {report.rows} rows"
        for row in report.shown:
            yield ""
            yield from (f"  {name}: {value}" for name, value in row.items())
        if report.rows > len(report.shown):
            yield f"\n(the first {len(report.shown)})"
        return
    yield f"decisions checked: {report.decisions}, equal: {report.equal}"
    for decision in report.differences:
        for found in decision["differences"]:
            yield (
                f"  event {decision['event_id']}: {found['field']} was recorded as "
                f"{found['recorded']}, its evidence gives {found['recomputed']}"
            )


if __name__ == "__main__":
    run(audit)
