"""Rules of rows that cannot be computed of some row: which, and of which batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.quality import RowRule, is_accepted
from lakehouse.quality.batches import Content
from lakehouse.quality.failures import FAILURES, told
from silver.batch import delivered
from silver.contents import batch_with
from silver.drops import Source
from silver.reading import Reading


@dataclass(frozen=True)
class Failing:
    """A rule that fails on rows of a batch, and by which error condition."""

    rule_id: str
    batch: str
    contents: frozenset[Content]
    fault: str


def failing_rules(source: Source, reading: Reading) -> list[Failing]:
    """Compute each rule alone over each batch that is not decided, and name those that fail.

    It takes a query for each: for when a query of all has failed, and did not say whose fault it
    was.
    """
    found = []
    for batch in sorted({batch_with(content) for content in reading.undecided}):
        contents = frozenset(c for c in reading.undecided if batch_with(c) == batch)
        rows = source.keep(reading.parse(delivered(source.of(contents)))).where(is_accepted())
        faults = _faults(rows, reading.rules.all)
        found += [Failing(rule, batch, contents, fault) for rule, fault in faults]
    return found


def _faults(rows: DataFrame, rules: Sequence[RowRule]) -> list[tuple[str, str]]:
    found = []
    for rule in rules:
        try:
            rows.agg(F.count_if(rule.broken)).collect()
        except FAILURES as failure:
            found.append((rule.id, told(failure)))
    return found
