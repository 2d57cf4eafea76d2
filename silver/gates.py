"""Gates between what was delivered and what is published: whole batches, judged before they go on.

A batch is judged by its rows that stand, as they are parsed: whatever Silver computes of them comes
afterwards. One that fails waits: its files count as never loaded, so that the last good ones stand,
and each run judges it again, with what came since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import typer
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from lakehouse.context import Lakehouse
from lakehouse.errors import BatchNotHeldError
from lakehouse.quality.batches import GivenVerdict, Ledger
from lakehouse.quality.deequ import is_present, measured_by_deequ
from lakehouse.quality.expressions import row_rules, verify
from lakehouse.quality.measures import Measuring, measured_by_sql
from lakehouse.quality.rules import RuleBook, load_rule_book
from lakehouse.records.codes import BatchVerdict, RowSeverity
from lakehouse.tables import DROPS, SILVER_QUALITY_BATCHES
from silver.batch import SPENT, delivered
from silver.contents import rows_of_loaded
from silver.reading import Parse, RowRules
from silver.round import Round
from silver.verdicts import append_verdicts


@dataclass(frozen=True)
class Gates:
    """What conf/quality asks of deliveries. `contracts` say how rows of each kind are parsed."""

    lake: Lakehouse
    book: RuleBook
    contracts: Mapping[str, Parse]
    measured: Measuring

    @classmethod
    def opened(cls, lake: Lakehouse, contracts: Mapping[str, Parse]) -> Self:
        """Load and check the rules.

        Raises:
            ConfigError: a file of conf/quality is wrong.
        """
        book = load_rule_book(lake.config.rules.quality, DROPS)
        ruled = [kind for kind in DROPS if book.of(kind).file_of]
        verify(book, lake.spark, {kind: _columns(lake, kind, contracts[kind]) for kind in ruled})
        measured = measured_by_deequ if is_present(lake.spark) else measured_by_sql
        return cls(lake, book, contracts, measured)

    def round(self, files: DataFrame) -> Round:
        """Begin to judge what one micro-batch of the manifest of files brought, and what waits."""
        arrived = rows_of_loaded(files)
        rules = {kind: self._row_rules(kind) for kind in DROPS}
        return Round(self.lake, self.book, self.measured, rules, self._ledger(), arrived)

    def waiting(self) -> frozenset[str]:
        """Batches that are held, or released and not yet published."""
        return self._ledger().waiting

    def release(self, batch: str, reason: str | None) -> None:
        """Let a held batch go on as it is now: the build that follows publishes it.

        Raises:
            BatchNotHeldError: no batch of this name is held.
        """
        if reason is None or not reason.strip():
            raise typer.BadParameter("expected why it may go on", param_hint="--reason")
        ledger = self._ledger()
        hold = ledger.hold_of(batch)
        if hold is None:
            raise BatchNotHeldError(batch, sorted(ledger.waiting))
        if ledger.release_of(batch, hold.content) is None:
            released = GivenVerdict(
                batch, hold.content, hold.files, BatchVerdict.RELEASED, hold.failed,
                reason.strip(), self.lake.clock(),
            )  # fmt: skip
            append_verdicts(self.lake, [released])

    def _row_rules(self, kind: str) -> RowRules:
        rules = self.book.of(kind)
        return RowRules(
            row_rules(rules, RowSeverity.QUARANTINE), row_rules(rules, RowSeverity.WARN)
        )

    def _ledger(self) -> Ledger:
        return Ledger.of(self.lake.read(SILVER_QUALITY_BATCHES))


def _columns(lake: Lakehouse, kind: str, parse: Parse) -> StructType:
    nothing = lake.spark.createDataFrame([], DROPS[kind].schema)
    return parse(delivered(nothing)).drop(*SPENT).schema
