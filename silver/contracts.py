"""How each kind of drop is parsed, by the contract of its kind and this run's settings."""

from __future__ import annotations

from functools import partial

from pyspark.sql import functions as F

from lakehouse.context import Lakehouse
from lakehouse.decision import load_regions, region_of
from lakehouse.records.codes import ScoreSource
from silver import batch
from silver.contract import (
    parsed_fx_rates,
    parsed_money_events,
    parsed_payments,
    parsed_policies,
    parsed_scores,
)
from silver.reading import Parse


def contracts_of(lake: Lakehouse) -> dict[str, Parse]:
    """How rows of each kind are parsed."""
    newest = batch.latest_plausible(lake.config.ingest.max_clock_ahead_hours)
    regions = load_regions(lake.config.rules.regions)
    region = partial(region_of, regions=regions)
    return {
        "fx_rates": partial(parsed_fx_rates, latest=newest),
        # a refused policy is found in quarantine by its policy_id
        "policies": lambda rows: parsed_policies(rows).withColumn("identity", F.col("policy_id")),
        "fraud_scores": partial(parsed_scores, latest=newest, score_source=ScoreSource.OFFLINE),
        "money_events": partial(parsed_money_events, latest=newest),
        "transactions": partial(
            parsed_payments, latest=newest, regions=region, with_event_id=False
        ),
    }
