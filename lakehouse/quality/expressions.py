"""The SQL of conf/quality: checked against the columns of its kind, then columns of a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, NumericType, StructType

from lakehouse.errors import ConfigError
from lakehouse.quality.failures import FAILURES, told
from lakehouse.quality.measures import (
    ApproxQuantile,
    Compliance,
    Measure,
    OfColumn,
    OfColumns,
    Size,
)
from lakehouse.quality.purity import impurity_of
from lakehouse.quality.rows import RowRule
from lakehouse.quality.rules import KindRules, RuleBook
from lakehouse.records.codes import RowSeverity


def verify(book: RuleBook, spark: SparkSession, schemas: Mapping[str, StructType]) -> None:
    """Check every expression and every column name of a rule book. Runs no query.

    `schemas` are the columns of a parsed row, by kind.

    Raises:
        ConfigError: SQL does not parse, names an unknown column, is no condition of one row alone,
            depends on when it is asked, fails whatever the row is, or a number is asked of a text;
            file and rule are named.
    """
    for kind, rules in book.kinds.items():
        if not rules.file_of:
            continue
        for rule_id, fault in _faults(rules, spark.createDataFrame([], schemas[kind])):
            raise ConfigError(rules.file_of[rule_id], [f"rule {rule_id}: {fault}"])


def row_rules(rules: KindRules, severity: RowSeverity) -> list[RowRule]:
    """The rules of rows of one severity."""
    return [
        RowRule(rule.id, rule.message, ~F.expr(rule.check))
        for rule in rules.rows
        if rule.severity is severity
    ]


def _faults(rules: KindRules, rows: DataFrame) -> Iterator[tuple[str, str]]:
    for rule in rules.rows:
        if fault := _condition_fault(rows, rule.check):
            yield rule.id, f"check: {fault}"
    # a batch is measured when its rows are judged: what they break can be counted
    judged = rows.withColumn("warnings", F.col("violations"))
    for check in rules.checks:
        if fault := _measure_fault(judged, check.measure):
            yield check.id, f"measure: {fault}"


def _measure_fault(rows: DataFrame, measure: Measure) -> str | None:
    match measure:
        case Size():
            return None
        case Compliance():
            return _condition_fault(rows, measure.predicate)
        case OfColumns():
            return _unknown(rows, measure.columns)
        case OfColumn(kind="completeness"):
            return _unknown(rows, [measure.column])
        case ApproxQuantile() | OfColumn():
            return _unknown(rows, [measure.column]) or _not_a_number(rows, measure.column)
    return _unknown(rows, [measure.column])


def _condition_fault(rows: DataFrame, sql: str) -> str | None:
    """Why this is no condition of one row; None if it is one."""
    try:
        # beside all columns: an aggregate alone would be a frame of one row
        judged = rows.select("*", F.expr(sql).alias("_condition"))
    except PySparkException as error:
        return str(error).strip().splitlines()[0]
    kind = judged.schema["_condition"].dataType
    if not isinstance(kind, BooleanType):
        return f"expected a condition, got {kind.simpleString()}: {sql}"
    return impurity_of(judged, sql) or _constant_fault(judged, sql)


def _constant_fault(judged: DataFrame, sql: str) -> str | None:
    """Why the condition fails on every row: what is constant in it is computed for the plan."""
    frame: Any = judged
    try:
        frame._jdf.queryExecution().optimizedPlan()
    except FAILURES as failure:
        return f"it cannot be computed ({told(failure)}): {sql}"
    return None


def _unknown(rows: DataFrame, columns: Sequence[str]) -> str | None:
    unknown = [column for column in columns if column not in rows.columns]
    if not unknown:
        return None
    return f"no column {', '.join(unknown)}; expected of {', '.join(sorted(rows.columns))}"


def _not_a_number(rows: DataFrame, column: str) -> str | None:
    kind = rows.schema[column].dataType
    if isinstance(kind, NumericType):
        return None
    return f"expected a column of numbers, got {column} {kind.simpleString()}"
