"""How rows leave a frame: by position, so that two columns may share a name, and in UTC."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.types import ArrayType, DataType, MapType, StructType, TimestampType


def rows_of(frame: DataFrame) -> list[list[Any]]:
    """Collect plain values; instants are aware and UTC, structs are dicts."""
    kinds = [field.dataType for field in frame.schema.fields]
    return [[_plain(*pair) for pair in zip(row, kinds, strict=True)] for row in frame.collect()]


def records_of(frame: DataFrame) -> list[dict[str, Any]]:
    """The same as one dict per row; of columns that share a name, the later ones are numbered."""
    names: list[str] = []
    for column in frame.columns:
        repeats = sum(name == column for name in frame.columns[: len(names)])
        names.append(f"{column}_{repeats + 1}" if repeats else column)
    return [dict(zip(names, row, strict=True)) for row in rows_of(frame)]


def _plain(value: Any, kind: DataType) -> Any:
    if value is None:
        return None
    if isinstance(kind, TimestampType):
        # PySpark gives the machine's local time, whatever the session's time zone
        return value.astimezone(UTC)
    if isinstance(kind, ArrayType):
        return [_plain(one, kind.elementType) for one in value]
    if isinstance(kind, MapType):
        return {str(_plain(k, kind.keyType)): _plain(v, kind.valueType) for k, v in value.items()}
    if isinstance(kind, StructType):
        fields = zip(kind.fields, value, strict=True)
        return {field.name: _plain(one, field.dataType) for field, one in fields}
    return value
