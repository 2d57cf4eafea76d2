"""Fraud scores: the seed's Fraud Model Output, from the topic or from a daily drop."""

from __future__ import annotations

from functools import cache

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.identity import named_uuid
from lakehouse.records.codes import ScoreSource
from silver.contract import columns
from silver.contract.assemble import Contract, assembled


def score_identity(
    transaction_id: Column,
    model_version: Column,
    inference_time: Column,
    source: Column,
) -> Column:
    """Who a score is, wherever it came from; null unless all four are known."""
    instant = F.date_format(inference_time, "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'")
    parts = (transaction_id, model_version, instant, source)
    complete = F.lit(True)
    for part in parts:
        complete = complete & part.isNotNull()
    return F.when(complete, named_uuid(F.lit("score"), *parts))


def parsed_scores(rows: DataFrame, *, latest: Column, score_source: ScoreSource) -> DataFrame:
    """One row per row of `rows`: one model output.

    `fraud_reason_code` is not among the columns: the decision rules add it. The UTC day of
    `inference_time` is the `event_date`.
    """
    return assembled(rows, _contract(score_source), latest)


@cache
def _contract(score_source: ScoreSource) -> Contract:
    source = F.lit(str(score_source))
    return Contract.of(
        [
            columns.text("model_version", required=True),
            columns.uuid("transaction_id"),
            columns.probability("fraud_score"),
            columns.json_object("explanations", required=False),
            columns.instant("inference_time"),
        ],
        score_source=source,
        identity=score_identity(
            F.col("transaction_id"), F.col("model_version"), F.col("inference_time"), source
        ),
        event_date=F.to_date("inference_time"),
    )
