"""How rows of one kind of drop are read: by its contract, then by rules or by what was decided.

A rule of conf/quality judges what no verdict has let through yet. What went through was judged
then, and its record stands: a row that was refused stays so, one that was accepted stays accepted,
whatever rules came or went since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import broadcast_if_few, nothing_if_empty
from lakehouse.quality import RowRule, is_accepted, with_row_rules
from lakehouse.quality.batches import Content
from lakehouse.quality.rows import VIOLATIONS
from silver.batch import delivered, lightened
from silver.contents import days_of_delivery, is_of

Parse = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class RowRules:
    """The rules of rows of one kind."""

    refusing: Sequence[RowRule] = ()
    warning: Sequence[RowRule] = ()

    @property
    def all(self) -> Sequence[RowRule]:
        """Those that refuse, then those that warn."""
        return (*self.refusing, *self.warning)

    def sparing(self, spared: Mapping[str, frozenset[Content]]) -> RowRules:
        """The same, but a rule has no opinion of contents that it is `spared`, by its id."""

        def of(rules: Sequence[RowRule]) -> list[RowRule]:
            return [_sparing(rule, spared.get(rule.id, frozenset())) for rule in rules]

        return RowRules(of(self.refusing), of(self.warning))


@dataclass(frozen=True)
class Reading:
    """Reads delivered rows of one kind.

    `refused` and `warned` are what silver.quarantine_batch and silver.warnings_batch say of rows
    of the kind so far.
    """

    parse: Parse
    rules: RowRules
    undecided: frozenset[Content]  # what no verdict has let through
    refused: DataFrame
    warned: DataFrame
    spared: Mapping[str, frozenset[Content]] = field(default_factory=dict)

    def __call__(self, rows: DataFrame, contents: frozenset[Content]) -> DataFrame:
        """Read rows of these contents: the columns of the kind, `violations` and `warnings`."""
        parsed, decided = self.parse(delivered(rows)), contents - self.undecided
        rules = self._rules
        if not decided:
            return lightened(with_row_rules(parsed, rules.refusing, rules.warning))
        is_asked = is_of(self.undecided)
        judged = with_row_rules(parsed, rules.refusing, rules.warning, is_asked)
        days = days_of_delivery(decided)
        refused = self.refused.where(F.col("quarantine_date").isin(days))
        warned = self.warned.where(F.col("delivery_date").isin(days))
        return lightened(
            judged.transform(
                _as_recorded, refused, "violations", ~is_asked & is_accepted()
            ).transform(_as_recorded, warned, "warnings", ~is_asked & is_accepted())
        )

    @cached_property
    def _rules(self) -> RowRules:
        return self.rules.sparing(self.spared)


def _as_recorded(rows: DataFrame, told: DataFrame, column: str, is_meant: Column) -> DataFrame:
    """Rows of which `is_meant` is true with what was `told` of them before in a column."""
    rules = F.arrays_zip("rule_ids", "reasons").cast(VIOLATIONS)
    before = nothing_if_empty(told).select("coordinates", rules.alias("_told"))
    recorded = F.when(is_meant & F.col("_told").isNotNull(), F.col("_told"))
    return (
        rows.join(broadcast_if_few(before), "coordinates", "left")
        .withColumn(column, F.coalesce(recorded, column))
        .drop("_told")
    )


def _sparing(rule: RowRule, contents: frozenset[Content]) -> RowRule:
    if not contents:
        return rule
    # not only false behind it: what fails must not be computed
    return RowRule(rule.id, rule.message, F.when(~is_of(contents), rule.broken))
