"""All tables of the flow as one run reads them, and the items that they make together."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.accounting import accepted_rows, manifest_items, of_step, record_items
from gold.control import control_items, delivered_controls, found_totals
from gold.delivered import READINGS, Reading, delivered_messages, delivered_rows
from gold.money import TOTALS, Contributing, contribution_items, key_of, total_items
from gold.unread import as_read_by
from lakehouse.context import Lakehouse
from lakehouse.delta import latest_version, path_of
from lakehouse.identity import kafka_coordinates
from lakehouse.quality import resolved
from lakehouse.quality.batches import with_held_back
from lakehouse.records.codes import ScoreSource, Source
from lakehouse.tables import (
    BRONZE_DROP_FILES,
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    DROPS,
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


@dataclass(frozen=True)
class Step:
    """One arrow of the flow from Bronze to Silver."""

    source: Table
    target: Table
    quarantine: Table
    reading: Reading
    kind: str | None = None  # of a delivered file; None: a topic

    @property
    def name(self) -> str:
        """How the step is called in gold.reconciliation."""
        return f"{self.source.name} -> {self.target.name}"


def _of_drops(kind: str, target: Table) -> Step:
    return Step(DROPS[kind], target, SILVER_QUARANTINE_BATCH, READINGS[kind], kind)


STEPS = (
    Step(BRONZE_TRANSACTIONS, SILVER_LIVE_TRANSACTIONS, SILVER_QUARANTINE_LIVE,
         READINGS["live_transactions"]),
    Step(BRONZE_FRAUD_SCORES, SILVER_FRAUD_SCORES, SILVER_QUARANTINE_LIVE,
         READINGS["live_scores"]),
    _of_drops("transactions", SILVER_BATCH_TRANSACTIONS),
    _of_drops("money_events", SILVER_MONEY_EVENTS),
    _of_drops("fraud_scores", SILVER_OFFLINE_SCORES),
    _of_drops("policies", SILVER_POLICIES),
    _of_drops("fx_rates", SILVER_FX_RATES),
)  # fmt: skip
CONTRIBUTING = (
    Contributing(SILVER_LIVE_TRANSACTIONS, (Source.LIVE_EVENT,), of_money=True),
    Contributing(SILVER_BATCH_TRANSACTIONS, (Source.BATCH_LOG,), of_money=True),
    Contributing(SILVER_MONEY_EVENTS, (Source.MONEY_EVENT,), of_money=True, has_types=True),
    Contributing(SILVER_FRAUD_SCORES, (Source.API_SCORE, Source.TOPIC_SCORE), "inference_time"),
    Contributing(SILVER_OFFLINE_SCORES, (Source.OFFLINE_SCORE,), "inference_time"),
)


@dataclass(frozen=True)
class Account:
    """All tables as one run reads them: each at one version, whatever is written meanwhile."""

    lake: Lakehouse
    versions: dict[str, int] = field(default_factory=dict)

    @classmethod
    def opened(cls, lake: Lakehouse) -> Account:
        """Pin the tables, the last of the flow first: what one has, those before it have too."""
        lake.read(GOLD_TRANSACTIONS)  # creates it where no job has written yet
        silver = [step.target for step in STEPS]
        silver += [SILVER_QUARANTINE_LIVE, SILVER_QUARANTINE_BATCH, SILVER_CORRECTIONS]
        bronze = [SILVER_QUALITY_BATCHES, BRONZE_DROP_FILES, *(step.source for step in STEPS)]
        paths = {table.name: path_of(lake.config, table)
                 for table in (GOLD_TRANSACTIONS, *silver, *bronze)}  # fmt: skip
        found = {name: latest_version(lake.spark, path) for name, path in paths.items()}
        return cls(lake, {name: version for name, version in found.items() if version >= 0})

    def steps(self) -> list[str]:
        """Every step that has a line, though nothing went through it."""
        return [*(step.name for step in STEPS), *(kind.step for kind in CONTRIBUTING), TOTALS]

    def items(self) -> DataFrame:
        """Items of all steps."""
        manifest = self.rows(BRONZE_DROP_FILES)
        judged = with_held_back(manifest, self.rows(SILVER_QUALITY_BATCHES))
        gold = self.rows(GOLD_TRANSACTIONS)
        contributing = [(kind, self.rows(kind.table)) for kind in CONTRIBUTING]
        found = [
            record_items(
                _all([of_step(step.name, self.delivered(step, judged)) for step in STEPS]),
                _all([of_step(step.name, self._accepted(step)) for step in STEPS]),
                self._quarantined(),
            ),
            self._in_files(judged),
            contribution_items(contributing, gold),
            total_items(gold),
        ]
        controls = delivered_controls(self.lake)
        if controls:
            totals = [
                found_totals(self.rows(DROPS[kind]), _of_kind(manifest, kind), kind)
                for kind in sorted({control.kind for control in controls})
            ]
            found.append(control_items(self.lake.spark, controls, _all(totals), manifest))
        return _all(found)

    def delivered(self, step: Step, files: DataFrame) -> DataFrame:
        """What a step was delivered, of these files of the manifest."""
        bronze = self.rows(step.source)
        if step.kind is None:
            return delivered_messages(bronze, self.rows(SILVER_CORRECTIONS), step.reading)
        return delivered_rows(bronze, _of_kind(files, step.kind), step.reading)

    def read(self, step: str) -> DataFrame | None:
        """Keys of what the job behind a step has read of this account; None: all, or unknown."""
        for kind in CONTRIBUTING:
            if kind.step == step:
                rows = self._as_read_by("consolidate", kind.table)
                return (
                    None
                    if rows is None
                    else rows.select(key_of("identity", "revision").alias("key"))
                )
        of_records = next((each for each in STEPS if each.name == step), None)
        if of_records is None:
            return None
        if of_records.kind is None:
            rows = self._as_read_by("enrich_live", of_records.source)
            return None if rows is None else rows.select(kafka_coordinates().alias("key"))
        files = self._as_read_by("build_batch", BRONZE_DROP_FILES)
        if files is None:
            return None
        return self.delivered(of_records, files).select(F.col("coordinates").alias("key"))

    def _as_read_by(self, job: str, table: Table) -> DataFrame | None:
        pinned = self.versions.get(table.name)
        return None if pinned is None else as_read_by(self.lake, job, table, pinned)

    def _accepted(self, step: Step) -> DataFrame:
        silver = self.rows(step.target)
        if step.target is SILVER_FRAUD_SCORES:
            silver = silver.where(F.col("score_source") == ScoreSource.TOPIC.value)
        return accepted_rows(silver, step.reading)

    def _quarantined(self) -> DataFrame:
        step_of_source = F.create_map(
            *[F.lit(text) for step in STEPS for text in (step.source.name, step.name)]
        )
        accepted = [self.rows(table) for table in (SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES)]
        corrected = resolved(self.rows(SILVER_CORRECTIONS), *accepted)
        live = self.rows(SILVER_QUARANTINE_LIVE).join(corrected, "coordinates", "left_anti")
        return _all([live, self.rows(SILVER_QUARANTINE_BATCH)]).select(
            F.element_at(step_of_source, F.col("source_table")).alias("step"), "coordinates"
        )

    def _in_files(self, files: DataFrame) -> DataFrame:
        steps = {step.kind: step.name for step in STEPS if step.kind is not None}
        landed = [
            self.rows(DROPS[kind]).select(
                F.lit(kind).alias("kind"), "path", "file_sha256", "file_revision", "row_number"
            )
            for kind in steps
        ]
        return manifest_items(files, _all(landed), steps)

    def rows(self, table: Table) -> DataFrame:
        """A table as this run reads it; to count is no reason to create another job's table."""
        if table.name in self.versions:
            return self.lake.read(table, self.versions[table.name])
        nothing = [F.lit(None).cast(field.dataType).alias(field.name) for field in table.schema]
        return self.lake.spark.range(0).select(*nothing)


def _of_kind(files: DataFrame, kind: str) -> DataFrame:
    return files.where(F.col("kind") == kind)


def _all(frames: list[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, frames)
