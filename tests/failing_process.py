"""A process whose jobs fail on a payment that they read; what it writes, a log would keep."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lakehouse.config import Config
from lakehouse.context import Lakehouse
from lakehouse.job import execute
from lakehouse.monitoring import configure_logging, told
from lakehouse.tables import BRONZE_TRANSACTIONS
from tests.conftest import LOCAL

CANARY = "u-4711-canary"
IN_DEBUG = "-- from here on with --debug"


def _number() -> Column:
    return F.col("value").cast("string").cast("bigint")


def _spoiled(rows: DataFrame) -> DataFrame:
    return rows.withColumn("offset", _number())


def delivering(lake: Lakehouse) -> None:
    """One payment, and no fault."""
    at = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    row = ("t", "id", 0, 1, at, 0, None, CANARY.encode(), None, 0, at.date())
    rows = lake.spark.createDataFrame([row], BRONZE_TRANSACTIONS.schema)
    lake.append(rows, to=BRONZE_TRANSACTIONS)


def reading(lake: Lakehouse) -> None:
    """Fails as rows come back to the driver."""
    lake.read(BRONZE_TRANSACTIONS).select(_number()).collect()


def writing(lake: Lakehouse) -> None:
    """Fails as files are written."""
    lake.append(_spoiled(lake.read(BRONZE_TRANSACTIONS)), to=BRONZE_TRANSACTIONS)


def checking(lake: Lakehouse) -> None:
    """Fails where rows are written nowhere, as those of a file that is looked at."""
    rows = lake.read(BRONZE_TRANSACTIONS).select(_number())
    rows.write.format("noop").mode("overwrite").save()


def calling(lake: Lakehouse) -> None:
    """Fails in a worker of Python."""

    @F.udf("int")
    def refused(value: bytes) -> int:
        raise ValueError(value.decode())

    lake.read(BRONZE_TRANSACTIONS).select(refused("value")).collect()


def feeding(lake: Lakehouse) -> None:
    """Fails before a worker of Python has its rows."""
    same = F.udf(lambda value: value, "bigint")
    lake.read(BRONZE_TRANSACTIONS).select(same(_number())).collect()


def feeding_pandas(lake: Lakehouse) -> None:
    """The same, many rows at once."""
    rows = lake.read(BRONZE_TRANSACTIONS).select(_number().alias("n"))
    rows.mapInPandas(lambda parts: parts, "n bigint").collect()


def streaming(lake: Lakehouse) -> StreamingQuery:
    """Fails in a micro-batch."""
    return lake.each_batch(
        lake.stream(BRONZE_TRANSACTIONS),
        lambda rows, _: lake.append(_spoiled(rows), to=BRONZE_TRANSACTIONS),
    )


def engine(lake: Lakehouse) -> StreamingQuery:
    """Fails in the engine of a stream."""
    spoiled = _spoiled(lake.stream(BRONZE_TRANSACTIONS))
    return lake.each_batch(spoiled, lambda rows, _: rows.foreach(print))


FAILING: tuple[Callable[[Lakehouse], object], ...] = (
    reading, writing, checking, calling, feeding, feeding_pandas, streaming, engine,
)  # fmt: skip


def main() -> None:
    """Tell each fault as a command does: on standard output, a line each."""
    configure_logging()
    config = Config.load(LOCAL)
    execute(delivering, config)
    for job in FAILING:
        _told(job, config)
    print(IN_DEBUG, file=sys.stderr, flush=True)
    _told(reading, config, debug=True)


def _told(job: Callable[[Lakehouse], object], config: Config, debug: bool = False) -> None:
    try:
        execute(job, config, trigger="once", debug=debug)
    except Exception as fault:
        print(f"{job.__name__}: {told(fault)}")


if __name__ == "__main__":
    main()
