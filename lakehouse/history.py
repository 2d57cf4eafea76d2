"""Gold as it stood at a version, from the rows of its history; pure."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.tables import GOLD_TRANSACTIONS

GOLD_WITHOUT_PAYER = [name for name in GOLD_TRANSACTIONS.columns if name != "user_id"]
"""Columns of Gold that history keeps; inside `contributions` the payer is missing as well."""


def history_as_of(
    history: DataFrame, version: int, columns: Sequence[str] = GOLD_WITHOUT_PAYER
) -> DataFrame:
    """Gold as of one of its versions, one row per transaction: some of GOLD_WITHOUT_PAYER.

    Columns that are not asked for are not read.
    """
    latest = F.max_by(F.struct(*columns), "gold_version").alias("latest")
    known = history.where(F.col("gold_version") <= version)
    return known.groupBy("transaction_id").agg(latest).select("latest.*")
