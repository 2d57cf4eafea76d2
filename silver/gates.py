"""Gates between what was delivered and what is published: whole batches, judged before they go on.

A batch is judged by its rows that stand, as they are parsed: whatever Silver computes of them comes
afterwards. One that fails waits: its files count as never loaded, so that the last good ones stand,
and each run judges it again, with what came since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Self

import typer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse.context import Lakehouse
from lakehouse.errors import BatchNotHeldError
from lakehouse.quality import is_accepted, with_row_rules
from lakehouse.quality.batches import (
    Content,
    GivenVerdict,
    Ledger,
    batch_of,
    content_hash,
    day_of,
)
from lakehouse.quality.deequ import is_present, measured_by_deequ
from lakehouse.quality.expressions import row_rules, verify
from lakehouse.quality.judging import Figures, Outcome, judged, past_of
from lakehouse.quality.measures import Measurement, Measuring, measured_by_sql
from lakehouse.quality.rules import KindRules, RuleBook, load_rule_book
from lakehouse.records.codes import BatchVerdict, RowSeverity
from lakehouse.tables import DROPS, SILVER_QUALITY_BATCHES, SILVER_QUALITY_METRICS
from silver.batch import SPENT, delivered, lightened
from silver.drops import Drops, Parse
from silver.verdicts import Judgement, append_metrics, append_verdicts, tell

# more than `last_days` of them: some days bring nothing
_DAYS_LOOKED_BACK = 400


@dataclass(frozen=True)
class Gates:
    """What conf/quality asks of deliveries. `contracts` read rows and apply the rules of rows."""

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
        ruled = {kind: contracts[kind] for kind in DROPS if book.of(kind).file_of}
        verify(book, lake.spark, {kind: _columns(lake, kind, ruled[kind]) for kind in ruled})
        judging = {kind: _with_rules(parse, book.of(kind)) for kind, parse in ruled.items()}
        # what has no rules is judged by none, and still has `warnings`
        unruled = {kind: _with_rules(contracts[kind], KindRules()) for kind in DROPS}
        measured = measured_by_deequ if is_present(lake.spark) else measured_by_sql
        return cls(lake, book, unruled | judging, measured)

    def round(self) -> Round:
        """Begin to judge what one micro-batch brought."""
        return Round(self, self._ledger())

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

    def _ledger(self) -> Ledger:
        return Ledger.of(self.lake.read(SILVER_QUALITY_BATCHES))


@dataclass(frozen=True)
class Round:
    """One micro-batch at the gates: nothing is written before `record`."""

    gates: Gates
    ledger: Ledger
    judgements: list[Judgement] = field(default_factory=list)

    @property
    def contracts(self) -> Mapping[str, Parse]:
        """How each kind is read, rules of rows included."""
        return self.gates.contracts

    def held(self, kind: str, drops: Drops, new: frozenset[Content]) -> frozenset[Content]:
        """Judge the batches of which `new` are files; which of these files a gate holds back."""
        rules = self.gates.book.of(kind)
        batches = sorted({batch_of(path) for path, _ in new}, key=day_of)
        past = self._past(kind, day_of(batches[-1])) if rules.anomalies else {}
        held: set[Content] = set()
        # a run that lost its position meets again what went through
        undecided = new - self.ledger.let_through
        for batch in batches:
            files = frozenset(content for content in undecided if batch_of(content[0]) == batch)
            judgement = self._judgement(batch, files, drops, rules, past)
            if judgement is None:
                continue
            self.judgements.append(judgement)
            if judgement.verdict.verdict is BatchVerdict.HELD:
                held |= files
            elif judgement.outcomes:
                past[batch] = _values(judgement.outcomes)
        return frozenset(held)

    def record(self) -> None:
        """Write down what is new: figures, then verdicts. A batch that waits as before is not."""
        lake = self.gates.lake
        for judgement in self.judgements:
            tell(lake.job, judgement)
        news = [judgement for judgement in self.judgements if not self._is_known(judgement)]
        if news:
            append_metrics(lake, news)
            append_verdicts(lake, [judgement.verdict for judgement in news])

    def _is_known(self, judgement: Judgement) -> bool:
        said, hold = judgement.verdict, self.ledger.hold_of(judgement.verdict.batch)
        return (
            said.verdict is BatchVerdict.HELD
            and hold is not None
            and (said.content, said.files, said.failed) == (hold.content, hold.files, hold.failed)
        )

    def _judgement(
        self,
        batch: str,
        files: frozenset[Content],
        drops: Drops,
        rules: KindRules,
        past: Mapping[str, Figures],
    ) -> Judgement | None:
        """Judge one batch; None if it went through before.

        A batch of which nothing is asked goes through, and is written down: a gate that comes later
        judges what comes later.
        """
        standing = frozenset(c for c in drops.manifest.standing if batch_of(c[0]) == batch)
        content, now = content_hash(standing), self.gates.lake.clock()
        # what is published stays so: rules that came later judge what comes later
        if self.ledger.is_published(batch, content):
            return None
        if release := self.ledger.release_of(batch, content):
            published = GivenVerdict(
                batch, content, files, BatchVerdict.PUBLISHED, release.failed, release.reason, now
            )
            return Judgement(published, ())
        rows = drops.rows.where(F.col("stands") & F.col("path").isin([p for p, _ in standing]))
        outcomes = self._outcomes(rows, batch, rules, past)
        failed = tuple(outcome.check_id for outcome in outcomes if outcome.holds_batch)
        verdict = BatchVerdict.HELD if failed else BatchVerdict.PUBLISHED
        why = "; ".join(str(outcome.reason) for outcome in outcomes if outcome.holds_batch)
        given = GivenVerdict(batch, content, files, verdict, failed, why or None, now)
        return Judgement(given, outcomes)

    def _outcomes(
        self, rows: DataFrame, batch: str, rules: KindRules, past: Mapping[str, Figures]
    ) -> list[Outcome]:
        found: dict[str, Measurement] = {}
        for over, measured_rows in (("delivered", rows), ("accepted", rows.where(is_accepted()))):
            asked = [check.measure for check in rules.checks if check.over == over]
            if asked:
                found[over] = self.gates.measured(measured_rows, asked)
        earlier = [past[b] for b in sorted(past, key=day_of) if day_of(b) < day_of(batch)]
        return [judged(check, found[check.over], past_of(check, earlier)) for check in rules.checks]

    def _past(self, kind: str, newest: date) -> dict[str, Figures]:
        """What was measured of batches that are published, by batch: of each its last content."""
        rows = (
            self.gates.lake.read(SILVER_QUALITY_METRICS)
            .where(F.col("kind") == kind)
            .where(F.col("delivery_date").between(newest - timedelta(_DAYS_LOOKED_BACK), newest))
            .orderBy("recorded_at")
            .select("batch", "content", "check_id", "measure", "value")
            .collect()
        )
        of_content: dict[tuple[str, str], dict[tuple[str, str], float | None]] = {}
        for row in rows:
            figures = of_content.setdefault((row["batch"], row["content"]), {})
            figures[row["check_id"], row["measure"]] = row["value"]
        published = sorted(
            (v for v in self.ledger.verdicts if v.verdict is BatchVerdict.PUBLISHED),
            key=lambda verdict: verdict.recorded_at,
        )
        return {
            verdict.batch: of_content[verdict.batch, verdict.content]
            for verdict in published
            if (verdict.batch, verdict.content) in of_content
        }


def _columns(lake: Lakehouse, kind: str, parse: Parse) -> StructType:
    nothing = lake.spark.createDataFrame([], DROPS[kind].schema)
    return parse(delivered(nothing)).drop(*SPENT).schema


def _with_rules(parse: Parse, rules: KindRules) -> Parse:
    refusing = row_rules(rules, RowSeverity.QUARANTINE)
    warning = row_rules(rules, RowSeverity.WARN)
    return lambda rows: lightened(with_row_rules(parse(rows), refusing, warning))


def _values(outcomes: Iterable[Outcome]) -> Figures:
    return {(outcome.check_id, outcome.measure): outcome.value for outcome in outcomes}
