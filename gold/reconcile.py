"""Bronze, Silver and Gold -> gold.reconciliation: whether the counts of every step close."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.accounting import (
    IDENTIFIED_BY,
    accepted_rows,
    closing,
    delivered_messages,
    delivered_rows,
    gold_revisions,
    manifest_counts,
    of_step,
    silver_revisions,
)
from gold.following import newest_gold_version
from lakehouse.context import Lakehouse
from lakehouse.delta import exists, path_of
from lakehouse.job import run
from lakehouse.monitoring import log
from lakehouse.quality import resolved
from lakehouse.quality.batches import with_held_back
from lakehouse.records.codes import ScoreSource
from lakehouse.records.gold import Reconciliation
from lakehouse.tables import (
    BRONZE_DROP_FILES,
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    DROPS,
    GOLD_RECONCILIATION,
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_CORRECTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_FX_RATES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    SILVER_OFFLINE_SCORES,
    SILVER_POLICIES,
    SILVER_QUALITY_BATCHES,
    SILVER_QUARANTINE_BATCH,
    SILVER_QUARANTINE_LIVE,
    Table,
)

SILVER_TO_GOLD = "silver -> gold.transactions"


@dataclass(frozen=True)
class Step:
    """One arrow of the flow from Bronze to Silver."""

    source: Table
    target: Table
    quarantine: Table
    keys: tuple[str, ...]
    kind: str | None = None  # of a delivered file; None: a topic

    @property
    def name(self) -> str:
        """How the step is called in gold.reconciliation."""
        return f"{self.source.name} -> {self.target.name}"


def _of_drops(kind: str, target: Table) -> Step:
    return Step(DROPS[kind], target, SILVER_QUARANTINE_BATCH, IDENTIFIED_BY[kind], kind)


STEPS = (
    Step(BRONZE_TRANSACTIONS, SILVER_LIVE_TRANSACTIONS, SILVER_QUARANTINE_LIVE,
         IDENTIFIED_BY["live_transactions"]),
    Step(BRONZE_FRAUD_SCORES, SILVER_FRAUD_SCORES, SILVER_QUARANTINE_LIVE,
         IDENTIFIED_BY["fraud_scores"]),
    _of_drops("transactions", SILVER_BATCH_TRANSACTIONS),
    _of_drops("money_events", SILVER_MONEY_EVENTS),
    _of_drops("fraud_scores", SILVER_OFFLINE_SCORES),
    _of_drops("policies", SILVER_POLICIES),
    _of_drops("fx_rates", SILVER_FX_RATES),
)  # fmt: skip
CONTRIBUTING = (
    SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES, SILVER_BATCH_TRANSACTIONS,
    SILVER_MONEY_EVENTS, SILVER_OFFLINE_SCORES,
)  # fmt: skip


def reconcile(lake: Lakehouse) -> list[Reconciliation]:
    """Count every step, write what was not written yet of this Gold version, and return it all."""
    counts = flow_counts(lake)
    rows = [Reconciliation(**row.asDict()) for row in counts.collect()]
    recorded = _recorded(lake, rows[0].gold_version)
    new = [row for row in rows if row not in recorded]
    if new:
        frame = lake.spark.createDataFrame(
            [row.model_dump() for row in new], GOLD_RECONCILIATION.schema
        )
        lake.append(frame, GOLD_RECONCILIATION)
    unexplained = {row.step: row.unexplained for row in rows if row.unexplained}
    log("reconciled", job=lake.job, version=rows[0].gold_version, counts=unexplained)
    return rows


def flow_counts(lake: Lakehouse) -> DataFrame:
    """The counts of every step as the tables stand now: columns of gold.reconciliation."""
    version = newest_gold_version(lake)
    files = with_held_back(_rows(lake, BRONZE_DROP_FILES), _rows(lake, SILVER_QUALITY_BATCHES))
    delivered = [of_step(step.name, _delivered(lake, step, files)) for step in STEPS]
    accepted = [of_step(step.name, _accepted(lake, step)) for step in STEPS]
    contributions = [_rows(lake, table) for table in CONTRIBUTING]
    delivered.append(of_step(SILVER_TO_GOLD, silver_revisions(contributions)))
    accepted.append(of_step(SILVER_TO_GOLD, gold_revisions(lake.read(GOLD_TRANSACTIONS, version))))
    names = F.array(*[F.lit(name) for name in (*(step.name for step in STEPS), SILVER_TO_GOLD)])
    steps = lake.spark.range(1).select(F.explode(names).alias("step"))
    return (
        closing(steps, _all(delivered), _all(accepted), _quarantined(lake), _in_files(files))
        .withColumn("gold_version", F.lit(version).cast("long"))
        .select(*GOLD_RECONCILIATION.columns)
        .orderBy("step")
    )


def _delivered(lake: Lakehouse, step: Step, files: DataFrame) -> DataFrame:
    bronze = _rows(lake, step.source)
    if step.kind is None:
        return delivered_messages(bronze, _rows(lake, SILVER_CORRECTIONS), step.keys)
    return delivered_rows(bronze, files.where(F.col("kind") == step.kind), step.keys)


def _accepted(lake: Lakehouse, step: Step) -> DataFrame:
    silver = _rows(lake, step.target)
    if step.target is SILVER_FRAUD_SCORES:
        silver = silver.where(F.col("score_source") == ScoreSource.TOPIC.value)
    return accepted_rows(silver, step.keys)


def _quarantined(lake: Lakehouse) -> DataFrame:
    step_of_source = F.create_map(
        *[F.lit(text) for step in STEPS for text in (step.source.name, step.name)]
    )
    accepted = [_rows(lake, table) for table in (SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES)]
    corrected = resolved(_rows(lake, SILVER_CORRECTIONS), *accepted)
    live = _rows(lake, SILVER_QUARANTINE_LIVE).join(corrected, "coordinates", "left_anti")
    return _all([live, _rows(lake, SILVER_QUARANTINE_BATCH)]).select(
        F.element_at(step_of_source, F.col("source_table")).alias("step"), "coordinates"
    )


def _in_files(files: DataFrame) -> DataFrame:
    step_of_kind = F.create_map(
        *[F.lit(text) for step in STEPS if step.kind for text in (step.kind, step.name)]
    )
    return manifest_counts(files).select(
        F.element_at(step_of_kind, F.col("kind")).alias("step"), "delivered", "held"
    )


def _recorded(lake: Lakehouse, version: int) -> list[Reconciliation]:
    known = lake.read(GOLD_RECONCILIATION).where(F.col("gold_version") == version)
    return [Reconciliation(**row.asDict()) for row in known.collect()]


def _rows(lake: Lakehouse, table: Table) -> DataFrame:
    # to count is no reason to create another job's table
    if exists(lake.spark, path_of(lake.config, table)):
        return lake.read(table)
    nothing = [F.lit(None).cast(field.dataType).alias(field.name) for field in table.schema]
    return lake.spark.range(0).select(*nothing)


def _all(frames: list[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, frames)


if __name__ == "__main__":
    run(reconcile)
