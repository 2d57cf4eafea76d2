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


def open_session(config: Config, name: str) -> SparkSession:
    """Open the session of one run; `name` is the job's."""
    builder = SparkSession.Builder().appName(name)
    for key, value in (config.spark.settings | _RESULT_SETTINGS).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    context = session.sparkContext
    context.setLogLevel("ERROR")
    jvm: Any = context._jvm
    # else each use of a function would search all jars for what its class could be named
    jvm.functions = jvm.functions
    if config.spark.settings.get("spark.master", "").startswith("local"):
        # else workers run the first `python3` on PATH, which need not be this environment's
        context.pythonExec = sys.executable
    return session
