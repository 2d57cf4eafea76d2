"""Verdicts on delivered batches, as they are told and written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import functions as F

from lakehouse.context import Lakehouse
from lakehouse.metrics.hearing import HELD
from lakehouse.monitoring import log, warn
from lakehouse.quality.batches import GivenVerdict, day_of
from lakehouse.quality.judging import Outcome
from lakehouse.records.codes import BatchVerdict, CheckVerdict
from lakehouse.tables import DROPS, SILVER_QUALITY_BATCHES, SILVER_QUALITY_METRICS


@dataclass(frozen=True)
class Judgement:
    """A verdict on a batch, and the checks it follows from: none for one that was released."""

    verdict: GivenVerdict
    outcomes: Sequence[Outcome]


def tell(job: str, judgement: Judgement) -> None:
    """Log what somebody should know of a batch."""
    said = judgement.verdict
    if said.verdict is BatchVerdict.HELD:
        warn("batch held", job=job, table=said.batch, reason=said.reason)
    for outcome in judgement.outcomes:
        if outcome.verdict is CheckVerdict.SKIPPED:
            what = f"{outcome.check_id} ({outcome.measure}): {outcome.reason}"
            warn("check skipped", job=job, table=said.batch, reason=what)
        elif outcome.verdict is CheckVerdict.FAILED and not outcome.holds_batch:
            warn("batch unusual", job=job, table=said.batch, reason=outcome.reason)
    if said.verdict is BatchVerdict.PUBLISHED and said.failed:
        log("batch released", job=job, table=said.batch, reason=said.reason)


def tell_standing(job: str, judgements: Sequence[Judgement]) -> None:
    """Log how many batches of each kind are held behind a build; 0 says that the last one is not.

    A build judges again all that waits, so its judgements are all there are.
    """
    held = Counter(
        each.verdict.batch.partition("/")[0]
        for each in judgements
        if each.verdict.verdict is BatchVerdict.HELD
    )
    log("judged", job=job, counts={f"{HELD}{kind}": held[kind] for kind in DROPS})


def append_metrics(lake: Lakehouse, judgements: Sequence[Judgement]) -> None:
    """Append the figures of judgements to `silver.quality_metrics`, each once."""
    key = ("batch", "content", "check_id", "measure", "over", "verdict")
    batches = [judgement.verdict.batch for judgement in judgements]
    known = lake.read(SILVER_QUALITY_METRICS).where(F.col("batch").isin(batches))
    # a run that died behind them had written them
    recorded = {tuple(row) for row in known.select(*key).collect()}
    rows = [row for each in judgements for row in _metrics(each)]
    new = [row for row in rows if tuple(row[name] for name in key) not in recorded]
    if new:
        lake.append(
            lake.spark.createDataFrame(new, SILVER_QUALITY_METRICS.schema), SILVER_QUALITY_METRICS
        )


def _metrics(judgement: Judgement) -> list[dict[str, object]]:
    given = judgement.verdict
    kind = given.batch.partition("/")[0]
    return [
        {
            "batch": given.batch,
            "kind": kind,
            "delivery_date": day_of(given.batch),
            "content": given.content,
            "source_table": DROPS[kind].name,
            "check_id": outcome.check_id,
            "measure": outcome.measure,
            "over": outcome.over,
            "severity": str(outcome.severity),
            "value": outcome.value,
            "expected": outcome.expected,
            "verdict": str(outcome.verdict),
            "reason": outcome.reason,
            "engine": str(outcome.engine),
            "recorded_at": given.recorded_at,
        }
        for outcome in judgement.outcomes
    ]


def append_verdicts(lake: Lakehouse, verdicts: Sequence[GivenVerdict]) -> None:
    """Append verdicts to `silver.quality_batches`, in one commit."""
    rows = [
        {
            "batch": given.batch,
            "kind": given.batch.partition("/")[0],
            "delivery_date": day_of(given.batch),
            "content": given.content,
            "files": sorted(given.files),
            "verdict": str(given.verdict),
            "failed": list(given.failed),
            "reason": given.reason,
            "recorded_at": given.recorded_at,
        }
        for given in verdicts
    ]
    lake.append(
        lake.spark.createDataFrame(rows, SILVER_QUALITY_BATCHES.schema), SILVER_QUALITY_BATCHES
    )
