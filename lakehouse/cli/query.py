"""`lakehouse query`: SQL over every table and view, with `VERSION AS OF`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from lakehouse import delta
from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath
from lakehouse.cli.terminal import show_grid, show_json
from lakehouse.config import Config
from lakehouse.errors import QueryError, TableNotFoundError
from lakehouse.session import open_session
from lakehouse.tables import TABLES, VIEWS, Table, table_named

_READING = ("select", "with", "describe", "show", "explain", "values", "table")


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over bronze.*, silver.*, gold.*.")],
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(help="Rows to show.")] = 100,
) -> None:
    """Ask the tables by SQL: `SELECT * FROM gold.transactions VERSION AS OF 2`."""
    settings = Config.load(config)
    spark = open_session(settings, "query")
    answer = answered(spark, settings, sql).limit(limit)
    rows = [row.asDict(recursive=True) for row in answer.collect()]
    if as_json:
        show_json(rows)
    else:
        show_grid(f"{len(rows)} rows", answer.columns, [list(row.values()) for row in rows])


def answered(spark: SparkSession, config: Config, sql: str) -> DataFrame:
    """Plan one reading statement over the declared tables and views.

    Raises:
        QueryError: it writes, does not parse, or names a column that does not exist.
        TableNotFoundError: a declared table has not been written yet.
        UnknownTableError: a layer has no table of that name.
    """
    first = sql.strip().partition(" ")[0].lower()
    if first not in _READING:
        raise QueryError(f"`lakehouse query` only reads; {first.upper()} is not a question.")
    name_tables(spark, config, re.findall(r"\b(?:bronze|silver|gold)\.\w+", sql.lower()))
    try:
        return spark.sql(sql)
    except (ParseException, AnalysisException, PySparkException) as error:
        raise QueryError(_first_sentence(str(error))) from None


def name_tables(spark: SparkSession, config: Config, names: list[str]) -> None:
    """Give the named tables and views their SQL names in this session."""
    views = [VIEWS[name] for name in dict.fromkeys(names) if name in VIEWS]
    tables: Mapping[str, Table] = {
        table.name: table
        for table in (
            *(table_named(name) for name in names if name not in VIEWS),
            *(table for view in views for table in view.reads),
        )
    }
    for table in tables.values():
        if not delta.exists(spark, delta.path_of(config, table)):
            raise TableNotFoundError(table.name, table.written_by)
    delta.register(spark, config, list(tables))
    for view in views:
        spark.sql(f"CREATE DATABASE IF NOT EXISTS {view.name.partition('.')[0]}")
        spark.sql(f"CREATE OR REPLACE VIEW {view.name} AS {view.sql}")


def existing_tables(spark: SparkSession, config: Config) -> list[Table]:
    """Declared tables that a job has created."""
    return [table for table in TABLES.values() if delta.exists(spark, delta.path_of(config, table))]


def _first_sentence(message: str) -> str:
    lines: list[Any] = [line.strip() for line in message.splitlines() if line.strip()]
    return str(lines[0]) if lines else "the statement cannot be run"
