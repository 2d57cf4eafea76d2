"""From a pydantic record to the columns of a table."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import ConfigDict
from pyspark.sql.types import ArrayType, DataType, MapType, StructField, StructType
from sparkdantic import SparkField, SparkModel

# sparkdantic reads the type of an Optional only where it stands outside: hence each pair
MinorUnits = Annotated[Decimal, SparkField(spark_type="decimal(15,2)")]
MinorUnitsOrNull = Annotated[Decimal | None, SparkField(spark_type="decimal(15,2)")]
BaseUnitsOrNull = Annotated[Decimal | None, SparkField(spark_type="decimal(18,0)")]
Total = Annotated[Decimal, SparkField(spark_type="decimal(25,2)")]
TotalOrNull = Annotated[Decimal | None, SparkField(spark_type="decimal(25,2)")]
Rate = Annotated[Decimal, SparkField(spark_type="decimal(18,8)")]
RateOrNull = Annotated[Decimal | None, SparkField(spark_type="decimal(18,8)")]
Probability = Annotated[Decimal, SparkField(spark_type="decimal(7,6)")]
ProbabilityOrNull = Annotated[Decimal | None, SparkField(spark_type="decimal(7,6)")]
Long = Annotated[int, SparkField(spark_type="long")]
LongOrNull = Annotated[int | None, SparkField(spark_type="long")]
DayOrNull = date | None
InstantOrNull = datetime | None


class Record(SparkModel):
    """One row: the model is its contract, `spark_schema` its columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def spark_schema(record: type[Record]) -> StructType:
    """Columns of `record`; NOT NULL holds at the top level only.

    Delta refuses NOT NULL inside arrays and maps, where it could not check it.
    """
    return StructType(
        [
            StructField(field.name, _nullable_inside(field.dataType), field.nullable)
            for field in record.model_spark_schema()
        ]
    )


def _nullable_inside(kind: DataType) -> DataType:
    if isinstance(kind, StructType):
        return StructType(
            [StructField(field.name, _nullable_inside(field.dataType), True) for field in kind]
        )
    if isinstance(kind, ArrayType):
        return ArrayType(_nullable_inside(kind.elementType), True)
    if isinstance(kind, MapType):
        return MapType(kind.keyType, _nullable_inside(kind.valueType), True)
    return kind
