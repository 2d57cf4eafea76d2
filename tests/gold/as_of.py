"""Gold at each of its versions, by history and by time travel, as texts that can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.history import without_payer
from lakehouse.cli.questions import answered
from lakehouse.context import Lakehouse
from lakehouse.delta import commit_times, path_of
from lakehouse.history import GOLD_WITHOUT_PAYER, history_as_of
from lakehouse.tables import GOLD_TRANSACTION_HISTORY, GOLD_TRANSACTIONS


def remembered(lake: Lakehouse, versions: Sequence[int]) -> list[str]:
    """Every row of every version, from history alone."""
    history = lake.read(GOLD_TRANSACTION_HISTORY)
    return _texts([_tagged(history_as_of(history, version), version) for version in versions])


def travelled(
    lake: Lakehouse, versions: Sequence[int], columns: Sequence[str] = GOLD_WITHOUT_PAYER
) -> list[str]:
    """Every row of every version, by `VERSION AS OF`, without the payer."""
    rows = [without_payer(lake.read(GOLD_TRANSACTIONS, version)) for version in versions]
    return _texts([_tagged(*each, columns) for each in zip(rows, versions, strict=True)])


def by_view(lake: Lakehouse, versions: Sequence[int]) -> tuple[list[str], list[str]]:
    """Every payment of every version, by the view and when it was committed; and its columns."""
    committed = commit_times(lake.spark, path_of(lake.config, GOLD_TRANSACTIONS))
    frames = []
    for version in versions:
        then = f"TIMESTAMP '{committed[version].isoformat()}'"
        rows = answered(lake.spark, lake.config, f"SELECT * FROM gold.known_transactions "
                        f"WHERE known_from <= {then} "
                        f"AND (known_until IS NULL OR known_until > {then})")  # fmt: skip
        columns = [name for name in rows.columns if name in GOLD_WITHOUT_PAYER]
        frames.append(_tagged(rows, version, columns))
    return _texts(frames), columns


def _tagged(
    rows: DataFrame, version: int, columns: Sequence[str] = GOLD_WITHOUT_PAYER
) -> DataFrame:
    row = F.struct(F.lit(version).alias("version"), *columns)
    return rows.select(F.to_json(row, {"ignoreNullFields": "false"}).alias("row"))


def _texts(frames: list[DataFrame]) -> list[str]:
    return sorted(row[0] for row in reduce(DataFrame.union, frames).collect())
