"""The Spark session: what every runtime needs, then what `spark.settings` of the config adds."""

from __future__ import annotations

import sys
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.config import Config

# These decide results, not speed: no config file can change them.
_RESULT_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.catalogImplementation": "in-memory",
    # the older classes for instants and days count by the calendar and the zone of the JVM
    "spark.sql.datetime.java8API.enabled": "true",
    # a reader that meets a vanished file must fail, never return a short count
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
}


TOLD_IN_ONE_LINE = (
    "org.apache.spark.executor.Executor",
    "org.apache.spark.scheduler.TaskSetManager",
    "org.apache.spark.sql.execution.streaming.MicroBatchExecution",
    "org.apache.spark.sql.delta.files.DeltaFileFormatWriter",
    "org.apache.spark.sql.execution.python",
    "org.apache.spark.api.python",
    "org.apache.spark.util.Utils",
)
"""Loggers of Spark that write the stack trace of a fault which also reaches the command.

What it says may quote a value of a payment: they are off wherever a session is opened, and
`--debug` switches them on.
"""

# what building a plan in Python asks for; each part of a name is else a search through all jars
_NAMES = (
    "functions", "PythonUtils", "Column", "io.delta.tables.DeltaTable",
    "org.apache.spark.sql.catalyst.expressions",
)  # fmt: skip


def open_session(config: Config, name: str, debug: bool = False) -> SparkSession:
    """Open the session of one run; `name` is the job's. `debug` lets Spark log stack traces."""
    builder = SparkSession.Builder().appName(name)
    for key, value in (config.spark.settings | _RESULT_SETTINGS).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    context = session.sparkContext
    context.setLogLevel("ERROR")
    _log_stack_traces(context._jvm, debug)
    for each in _NAMES:
        _hold(context._jvm, each)
    if config.spark.settings.get("spark.master", "").startswith("local"):
        # else workers run the first `python3` on PATH, which need not be this environment's
        context.pythonExec = sys.executable
    return session


def _log_stack_traces(jvm: Any, wanted: bool) -> None:
    log4j = jvm.org.apache.logging.log4j
    for logger in TOLD_IN_ONE_LINE:
        level = log4j.Level.ERROR if wanted else log4j.Level.OFF
        log4j.core.config.Configurator.setLevel(logger, level)


def _hold(place: Any, name: str) -> None:
    """Keep what Java has under this name, and each package on the way, where Python looks first."""
    for part in name.split("."):
        # the next part is looked for on this very object
        found = getattr(place, part)
        setattr(place, part, found)
        place = found
