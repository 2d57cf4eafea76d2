"""What was measured of earlier deliveries, for the checks that compare with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.quality.batches import Ledger, day_of
from lakehouse.quality.judging import Figure, Outcome, figure_of
from lakehouse.quality.rules import RuleBook
from lakehouse.records.codes import BatchVerdict

Values = Mapping[Figure, float | None]
"""What was measured of one batch."""

# more than `last_days` of them: some days bring nothing
_DAYS_LOOKED_BACK = 400


def values_of(outcomes: Iterable[Outcome]) -> Values:
    """What was measured for these outcomes."""
    return {outcome.figure: outcome.value for outcome in outcomes}


def published_before(
    metrics: DataFrame, ledger: Ledger, book: RuleBook, batches: Iterable[str]
) -> dict[str, Values]:
    """Figures that anomalies of these batches look back at, by published batch.

    Of each batch those of its last content. `metrics` are rows of silver.quality_metrics. Runs one
    query, of the days looked back at; none where nobody asks.
    """
    kinds = {batch.partition("/")[0] for batch in batches}
    asked = {kind: [figure_of(a) for a in book.of(kind).anomalies] for kind in kinds}
    days = [day_of(batch) for batch in batches if asked[batch.partition("/")[0]]]
    if not days:
        return {}
    measured = _measured(metrics, asked, min(days) - timedelta(_DAYS_LOOKED_BACK), max(days))
    published = sorted(
        (given for given in ledger.verdicts if given.verdict is BatchVerdict.PUBLISHED),
        key=lambda given: given.recorded_at,
    )
    return {
        given.batch: measured[given.batch, given.content]
        for given in published
        if (given.batch, given.content) in measured
    }


def _measured(
    metrics: DataFrame, asked: Mapping[str, Sequence[Figure]], first: date, last: date
) -> dict[tuple[str, str], dict[Figure, float | None]]:
    ids = sorted({check for figures in asked.values() for check, _, _ in figures})
    rows = (
        metrics.where(F.col("kind").isin(sorted(asked)) & F.col("check_id").isin(ids))
        .where(F.col("delivery_date").between(first, last))
        .orderBy("recorded_at")
        .select("batch", "content", "check_id", "measure", "over", "value")
        .collect()
    )
    found: dict[tuple[str, str], dict[Figure, float | None]] = {}
    for batch, content, *figure, value in rows:
        check_id, measure, over = figure
        found.setdefault((batch, content), {})[check_id, measure, over] = value
    return found
