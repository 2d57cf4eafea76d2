"""What the manifest says of each delivered file now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.cli.rows import rows_of
from lakehouse.config import Config
from lakehouse.delta import exists, path_of
from lakehouse.errors import TableNotFoundError
from lakehouse.records.codes import Verdict
from lakehouse.tables import BRONZE_DROP_FILES


@dataclass(frozen=True)
class DeliveredFile:
    """One path below landing/, and what became of what lies there."""

    kind: str
    delivery_date: date | None  # none where it lies in no folder of a day
    path: str
    revision: int | None  # of its content; none where nobody looked at it
    rows: int
    verdict: Verdict
    fault: str | None
    reason: str | None
    release_reason: str | None
    judged_at: datetime  # UTC


def delivered_files(
    spark: SparkSession,
    config: Config,
    verdict: Verdict | None = None,
    day: date | None = None,
    kind: str | None = None,
) -> list[DeliveredFile]:
    """Files of this verdict, day of delivery and kind; newest day first.

    Raises:
        TableNotFoundError: nothing was ever loaded.
    """
    where = path_of(config, BRONZE_DROP_FILES)
    if not exists(spark, where):
        raise TableNotFoundError(BRONZE_DROP_FILES.name, BRONZE_DROP_FILES.written_by)
    judgements = spark.read.format("delta").load(where)
    newest = judgements.groupBy("path").agg(
        F.max_by(F.struct(*judgements.columns), "judged_at").alias("newest")
    )
    files = newest.select("newest.*")
    for column, wanted in (("verdict", verdict), ("delivery_date", day), ("kind", kind)):
        if wanted is not None:
            files = files.where(F.col(column) == F.lit(wanted))
    shown = files.orderBy(F.desc("delivery_date"), "path").select(
        "kind", "delivery_date", "path", F.col("file_revision").alias("revision"),
        F.col("row_count").alias("rows"), "verdict", "fault", "reason", "release_reason",
        "judged_at",
    )  # fmt: skip
    return [DeliveredFile(*row) for row in rows_of(shown)]
