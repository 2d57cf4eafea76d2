"""Queries that fail on the rows themselves: a cast, an overflow, a division by zero (ANSI mode)."""

from __future__ import annotations

import re

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

FAILURES = (PySparkException, Py4JJavaError)
"""What a query raises when an expression cannot be computed of a row."""

_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]")


def told(failure: Exception | str) -> str:
    """Which error condition it was, and nothing else: Spark's own text quotes the value."""
    found = _CONDITION.search(str(failure))
    if found:
        return found.group(1)
    return "the query failed" if isinstance(failure, str) else type(failure).__name__
