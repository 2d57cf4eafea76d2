"""Rows of Spark and records of the pure fold as plain values that can be compared."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from pyspark.sql import Row


def plain(value: Any) -> Any:
    """Spark's rows and the pure form's records as equal plain values."""
    if isinstance(value, Row):
        return {name: plain(item) for name, item in value.asDict().items()}
    if isinstance(value, BaseModel):
        return {name: plain(item) for name, item in value}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC)  # a collected timestamp is in this machine's zone
    return value
