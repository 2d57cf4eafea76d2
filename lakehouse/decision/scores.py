"""The best-known score of a transaction."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.records.codes import ScoreSource

WEAKEST_FIRST = (ScoreSource.API, ScoreSource.TOPIC, ScoreSource.OFFLINE)
_OF_SCORE = ("score_source", "model_version", "inference_time", "fraud_score", "explanations")


def with_best_score(payments: DataFrame, scores: DataFrame) -> DataFrame:
    """Add what is known of the best score: the first five fields of records.silver.Evaluation, and
    fraud_score.

    The best of a transaction's `scores` (rows of records.silver.FraudScore that stand: the caller
    leaves withdrawn and outdated revisions out) has the strongest source, then the latest
    inference_time, the greatest model_version, the greatest identity. Without one, the source is
    NONE and the rest is null: no score is not a score of zero.
    """
    ranks = F.create_map(
        *[
            F.lit(value)
            for rank, source in enumerate(WEAKEST_FIRST)
            for value in (str(source), rank)
        ]
    )
    strongest_first = Window.partitionBy("transaction_id").orderBy(
        *[
            F.col(column).desc_nulls_last()
            for column in ("_rank", "inference_time", "model_version", "identity")
        ]
    )
    # an aggregate of structs would sort all scores twice, before and behind its shuffle
    best = (
        scores.where(F.col("fraud_score").isNotNull())
        .withColumn("_rank", F.element_at(ranks, F.col("score_source")))
        .withColumn("_place", F.row_number().over(strongest_first))
        .where("_place = 1")
        .select(
            F.col("transaction_id").alias("_scored"),
            F.col("identity").alias("score_id"),
            *_OF_SCORE,
        )
    )
    is_scored = F.col("transaction_id") == F.col("_scored")
    return (
        payments.join(best, is_scored, "left")
        .withColumn("score_source", F.coalesce("score_source", F.lit(str(ScoreSource.NONE))))
        .drop("_scored")
    )
