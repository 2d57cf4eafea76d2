"""The best-known score of a transaction."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.records.codes import ScoreSource

WEAKEST_FIRST = (ScoreSource.API, ScoreSource.TOPIC, ScoreSource.OFFLINE)


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
    best = F.max(
        F.struct(
            F.element_at(ranks, F.col("score_source")).alias("rank"),
            "inference_time", "model_version", "identity",
            "score_source", "fraud_score", "explanations",
        )
    )  # fmt: skip
    of_transaction = (
        scores.where(F.col("fraud_score").isNotNull())
        .groupBy(F.col("transaction_id").alias("_scored"))
        .agg(best.alias("_best"))
    )
    is_scored = F.col("transaction_id") == F.col("_scored")
    return (
        payments.join(of_transaction, is_scored, "left")
        .withColumns(
            {
                "score_id": F.col("_best.identity"),
                "score_source": F.coalesce("_best.score_source", F.lit(str(ScoreSource.NONE))),
                "model_version": F.col("_best.model_version"),
                "inference_time": F.col("_best.inference_time"),
                "fraud_score": F.col("_best.fraud_score"),
                "explanations": F.col("_best.explanations"),
            }
        )
        .drop("_scored", "_best")
    )
