"""Gold at each of its versions, by history and by time travel, as texts that can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.history import GOLD_WITHOUT_PAYER, history_as_of, without_payer
from lakehouse.context import Lakehouse
from lakehouse.tables import GOLD_TRANSACTION_HISTORY, GOLD_TRANSACTIONS


def remembered(lake: Lakehouse, versions: Sequence[int]) -> list[str]:
    """Every row of every version, from history alone."""
    history = lake.read(GOLD_TRANSACTION_HISTORY)
    return _texts([_tagged(history_as_of(history, version), version) for version in versions])


def travelled(lake: Lakehouse, versions: Sequence[int]) -> list[str]:
    """Every row of every version, by `VERSION AS OF`, without the payer."""
    rows = [without_payer(lake.read(GOLD_TRANSACTIONS, version)) for version in versions]
    return _texts([_tagged(*each) for each in zip(rows, versions, strict=True)])


def _tagged(rows: DataFrame, version: int) -> DataFrame:
    row = F.struct(F.lit(version).alias("version"), *GOLD_WITHOUT_PAYER)
    return rows.select(F.to_json(row, {"ignoreNullFields": "false"}).alias("row"))


def _texts(frames: list[DataFrame]) -> list[str]:
    return sorted(row[0] for row in reduce(DataFrame.union, frames).collect())
