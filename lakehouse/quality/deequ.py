"""Figures of a batch, measured by Deequ: every analyzer of a frame in one run.

No assertion is handed over as a Python function: each would start a callback server, whose port
and thread outlive the job. Deequ says numbers, and `judging` compares them.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import pyspark
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from lakehouse.quality.failures import told
from lakehouse.quality.measures import (
    ApproxDistinctCount,
    ApproxQuantile,
    Compliance,
    Measure,
    Measurement,
    OfColumn,
    OfColumns,
    Size,
)
from lakehouse.records.codes import Engine

if TYPE_CHECKING:
    from pydeequ.analyzers import AnalysisRunBuilder

PROBE = "com.amazon.deequ.analyzers.Size"
# a frame without rows, or a column without values, has no figure: that is no fault
_NOTHING_TO_MEASURE = "EmptyStateException"


def is_present(spark: SparkSession, probe: str = PROBE) -> bool:
    """Whether Deequ is on Spark's class path, and pydeequ in this Python."""
    if importlib.util.find_spec("pydeequ") is None:
        return False
    jvm: Any = spark.sparkContext._jvm
    # the loader that also knows jars given to spark-submit
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    try:
        loader.loadClass(probe)
    except Py4JJavaError:
        return False
    return True


def measured_by_deequ(rows: DataFrame, measures: Collection[Measure]) -> Measurement:
    """Measure all that is asked of a static frame."""
    wanted = list(dict.fromkeys(measures))
    run, analyzers = _run_on(rows), [_analyzer(measure) for measure in wanted]
    for analyzer in analyzers:
        run.addAnalyzer(analyzer)
    context = run.run()
    found = [context.metric(analyzer._analyzer_jvm).get().value() for analyzer in analyzers]
    tried = dict(zip(wanted, found, strict=True))
    faults = {measure: fault for measure in wanted if (fault := _fault(tried[measure]))}
    if faults and len(wanted) > 1:
        # one fails the pass that it shares with others: alone, each says whose fault it is
        alone = {measure: measured_by_deequ(rows, [measure]) for measure in faults}
        faults = {m: found.faults[m] for m, found in alone.items() if m in found.faults}
        values = {m: found.values[m] for m, found in alone.items() if m in found.values}
    else:
        values = {}
    shared = {m: value for m, value in tried.items() if m not in faults and m not in values}
    values |= {m: float(v.get()) if v.isSuccess() else None for m, v in shared.items()}
    return Measurement(Engine.DEEQU, values, faults)


def _run_on(rows: DataFrame) -> AnalysisRunBuilder:
    # pydeequ looks for it when it is imported, and takes a second (pandas): only a build wants it
    os.environ.setdefault("SPARK_VERSION", pyspark.__version__)
    from pydeequ.analyzers import AnalysisRunner

    return AnalysisRunner(rows.sparkSession).onData(rows)


def _analyzer(measure: Measure) -> Any:
    from pydeequ import analyzers

    match measure:
        case Size():
            return analyzers.Size()
        case OfColumn(kind="completeness"):
            return analyzers.Completeness(measure.column)
        # Deequ's own Minimum and Maximum cast a word to a number, which ANSI mode refuses; the
        # sketch of quantiles keeps both ends exactly
        case OfColumn(kind="minimum"):
            return analyzers.ApproxQuantile(measure.column, 0.0)
        case OfColumn(kind="maximum"):
            return analyzers.ApproxQuantile(measure.column, 1.0)
        case OfColumn():
            return analyzers.Mean(measure.column)
        case OfColumns(kind="uniqueness"):
            return analyzers.Uniqueness(list(measure.columns))
        case OfColumns():
            return analyzers.CountDistinct(list(measure.columns))
        case Compliance():
            # null is not good: alone, Deequ would find nothing to measure where it is always null
            return analyzers.Compliance(measure.name, f"coalesce({measure.predicate}, false)")
        case ApproxQuantile():
            return analyzers.ApproxQuantile(
                measure.column, measure.quantile, measure.relative_error
            )
        case ApproxDistinctCount():
            return analyzers.ApproxCountDistinct(measure.column)


def _fault(tried: Any) -> str | None:
    """Why a measure failed, by its first cause; None if it did not, or had nothing to measure."""
    if tried.isSuccess():
        return None
    fault = tried.failed().get()
    if fault.getClass().getSimpleName() == _NOTHING_TO_MEASURE:
        return None
    while fault.getCause() is not None:
        fault = fault.getCause()
    return told(str(fault.toString()))
