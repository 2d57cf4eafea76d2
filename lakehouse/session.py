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


# what building a plan in Python asks for; each part of a name is else a search through all jars
_NAMES = (
    "functions", "PythonUtils", "Column", "io.delta.tables.DeltaTable",
    "org.apache.spark.sql.catalyst.expressions",
)  # fmt: skip


def open_session(config: Config, name: str) -> SparkSession:
    """Open the session of one run; `name` is the job's."""
    builder = SparkSession.Builder().appName(name)
    for key, value in (config.spark.settings | _RESULT_SETTINGS).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    context = session.sparkContext
    context.setLogLevel("ERROR")
    for each in _NAMES:
        _hold(context._jvm, each)
    if config.spark.settings.get("spark.master", "").startswith("local"):
        # else workers run the first `python3` on PATH, which need not be this environment's
        context.pythonExec = sys.executable
    return session


def _hold(place: Any, name: str) -> None:
    """Keep what Java has under this name, and each package on the way, where Python looks first."""
    for part in name.split("."):
        # the next part is looked for on this very object
        found = getattr(place, part)
        setattr(place, part, found)
        place = found
