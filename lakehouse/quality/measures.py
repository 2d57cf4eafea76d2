"""Figures of a batch: what can be measured, and those that Spark SQL measures by itself.

Exact figures are the same whoever measures them. Approximate ones are sketches, each engine's own:
Deequ measures them, and nobody in its place, since a history of two sketches would compare unlike
things.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Annotated, Literal, Protocol

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.config import Settings
from lakehouse.quality.failures import FAILURES, told
from lakehouse.records.codes import Engine

ColumnName = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
ColumnNames = Annotated[tuple[ColumnName, ...], Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Size(Settings):
    """How many rows."""

    kind: Literal["size"]

    @property
    def name(self) -> str:
        """How it is called in a table."""
        return self.kind


class OfColumn(Settings):
    """A figure of one column.

    `completeness` is the share of rows in which it is not null; the others look at those alone.
    """

    kind: Literal["completeness", "minimum", "maximum", "mean"]
    column: ColumnName

    @property
    def name(self) -> str:
        """How it is called in a table."""
        return f"{self.kind}({self.column})"


class OfColumns(Settings):
    """A figure of the combinations of values in columns; rows with nothing but null have none.

    `uniqueness` is the share of rows whose combination occurs once; `distinct_count` is exact.
    """

    kind: Literal["uniqueness", "distinct_count"]
    columns: ColumnNames

    @property
    def name(self) -> str:
        """How it is called in a table."""
        return f"{self.kind}({', '.join(self.columns)})"


class Compliance(Settings):
    """The share of rows of which the SQL predicate is true; where it is null, it is not."""

    kind: Literal["compliance"]
    predicate: Annotated[str, Field(min_length=1)]

    @property
    def name(self) -> str:
        """How it is called in a table."""
        return f"{self.kind}({self.predicate})"


class ApproxQuantile(Settings):
    """A quantile of a column, whose rank is wrong by `relative_error` of the rows at most."""

    kind: Literal["approx_quantile"]
    column: ColumnName
    quantile: Share
    relative_error: Annotated[float, Field(gt=0, le=0.5)] = 0.01

    @property
    def name(self) -> str:
        """How it is called in a table."""
        return f"{self.kind}({self.column}, {self.quantile})"


class ApproxDistinctCount(Settings):
    """About how many values a column has (HyperLogLog++)."""

    kind: Literal["approx_distinct_count"]
    column: ColumnName

    @property
    def name(self) -> str:
        """How it is called in a table."""
        return f"{self.kind}({self.column})"


Measure = Size | OfColumn | OfColumns | Compliance | ApproxQuantile | ApproxDistinctCount
AnyMeasure = Annotated[Measure, Field(discriminator="kind")]
Values = Mapping[Measure, float | None]


@dataclass(frozen=True)
class Measurement:
    """Who measured a frame, and what: null where there were no rows to measure.

    A measure that is neither among the values nor among the faults is one that the engine cannot
    say. A fault says why a measure cannot be computed of these rows, without any value of them.
    """

    engine: Engine
    values: Values
    faults: Mapping[Measure, str] = field(default_factory=dict)


class Measuring(Protocol):
    """Measures a frame in as few passes as it can."""

    def __call__(self, rows: DataFrame, measures: Collection[Measure]) -> Measurement:
        """Measure all that it can of what is asked."""


def measured_by_sql(rows: DataFrame, measures: Collection[Measure]) -> Measurement:
    """Measure what is exact: in one pass, and one more for each set of columns."""
    wanted = list(dict.fromkeys(measures))
    try:
        return Measurement(Engine.SQL, _values(rows, wanted))
    except FAILURES as failure:
        if len(wanted) == 1:
            return Measurement(Engine.SQL, {}, {wanted[0]: told(failure)})
    # one fails the pass that it shares with others: alone, each says whose fault it is
    alone = [measured_by_sql(rows, [measure]) for measure in wanted]
    return Measurement(
        Engine.SQL,
        {measure: value for found in alone for measure, value in found.values.items()},
        {measure: fault for found in alone for measure, fault in found.faults.items()},
    )


def _values(rows: DataFrame, wanted: Sequence[Measure]) -> Values:
    values: dict[Measure, float | None] = {}
    in_one_pass = [(m, found) for m in wanted if (found := _aggregate(m)) is not None]
    if in_one_pass:
        row = rows.agg(*[F.array(found.cast("double")) for _, found in in_one_pass]).first()
        assert row is not None
        values |= {m: found[0] for (m, _), found in zip(in_one_pass, row, strict=True)}
    grouped = [m for m in wanted if isinstance(m, OfColumns)]
    for columns in dict.fromkeys(m.columns for m in grouped):
        known = _of_combinations(rows, columns)
        values |= {m: known[m.kind] for m in grouped if m.columns == columns}
    return values


def _aggregate(measure: Measure) -> Column | None:
    """A measure as one aggregate; None for one that has to be grouped, and for a sketch."""
    match measure:
        case Size():
            return F.count(F.lit(1))
        case Compliance():
            # try_divide: of no rows there is no share
            return F.try_divide(F.count_if(F.expr(measure.predicate)), F.count(F.lit(1)))
        case OfColumn(kind="completeness"):
            return F.try_divide(F.count(measure.column), F.count(F.lit(1)))
        case OfColumn(kind="minimum"):
            return F.min(measure.column)
        case OfColumn(kind="maximum"):
            return F.max(measure.column)
        case OfColumn(kind="mean"):
            return F.avg(F.col(measure.column).cast("double"))
    return None


def _of_combinations(rows: DataFrame, columns: tuple[str, ...]) -> dict[str, float | None]:
    is_something = reduce(or_, [F.col(column).isNotNull() for column in columns])
    counts = rows.where(is_something).groupBy(*columns).agg(F.count(F.lit(1)).alias("_rows"))
    found = counts.agg(
        F.try_divide(F.count_if(F.col("_rows") == 1), F.sum("_rows")).alias("uniqueness"),
        F.count(F.lit(1)).cast("double").alias("distinct_count"),
    ).first()
    assert found is not None
    return found.asDict()
