"""What a fault inside the JVM says."""

from __future__ import annotations

from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from lakehouse.monitoring import first_line


def cause_of(error: PySparkException | Py4JJavaError) -> str:
    """Its innermost cause, in one line."""
    cause: Any = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    while cause is not None and cause.getCause() is not None:
        cause = cause.getCause()
    return first_line(str(error) if cause is None else str(cause.toString()))
