"""One micro-batch at the gates: which contents it is about, and what becomes of their batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.context import Lakehouse
from lakehouse.quality import is_accepted
from lakehouse.quality.batches import Content, GivenVerdict, Ledger, content_hash, day_of
from lakehouse.quality.judging import Outcome, judged, past_of
from lakehouse.quality.measures import Measurement, Measuring
from lakehouse.quality.rules import KindRules, RuleBook
from lakehouse.records.codes import BatchVerdict
from lakehouse.tables import BRONZE_DROP_FILES, SILVER_QUALITY_METRICS
from silver.contents import Manifest, batch_with, kind_of, rows_of_loaded
from silver.drops import Drops
from silver.failing import Failing
from silver.history import Values, published_before, values_of
from silver.reading import RowRules
from silver.verdicts import Judgement, append_metrics, append_verdicts, tell, tell_standing

_LIFTED = "no check holds it any more"


@dataclass(frozen=True)
class Round:
    """Judges what one micro-batch brought (`arrived`), and what a gate has held back so far.

    Files that were loaded since the micro-batch was read are none of its business: they have a
    micro-batch of their own, and until then nobody has judged them.
    """

    lake: Lakehouse
    book: RuleBook
    measured: Measuring
    rules: Mapping[str, RowRules]  # of rows, by kind
    ledger: Ledger
    arrived: Mapping[Content, int]  # with how many rows
    judgements: list[Judgement] = field(default_factory=list)

    @cached_property
    def new(self) -> frozenset[Content]:
        """What this round is about."""
        return frozenset(self.arrived) | self.ledger.held_back

    @cached_property
    def undecided(self) -> frozenset[Content]:
        """Of it, what no verdict has let through: a run that lost its position meets again what
        went through.
        """
        return self.new - self.ledger.let_through

    def new_of(self, kind: str) -> frozenset[Content]:
        """What it is about, of one kind."""
        return frozenset(content for content in self.new if kind_of(content) == kind)

    def rows_in(self, contents: frozenset[Content]) -> int:
        """How many rows were loaded of them; of what was held before, the table of files says."""
        known = self.arrived
        if not contents <= known.keys():
            known = rows_of_loaded(self.lake.read(BRONZE_DROP_FILES))
        return sum(known.get(content, 0) for content in contents)

    def manifest_of(self, kind: str) -> Manifest:
        """All contents of a kind that are there for this round."""
        loaded = self.new | self.ledger.let_through
        return Manifest(frozenset(content for content in loaded if kind_of(content) == kind))

    def passed(self, kind: str, drops: Drops, failing: Sequence[Failing] = ()) -> Drops:
        """Judge the batches of a kind; its drops without what a gate holds back.

        Rules of rows that are `failing` hold the batches of which they cannot be computed.
        """
        held: set[Content] = set()
        settled: set[Content] = set()
        for batch, files in self._undecided_batches(kind):
            why = [each for each in failing if each.batch == batch]
            judgement = self._judgement(batch, files, drops, why)
            self.judgements.append(judgement)
            if judgement.verdict.verdict is BatchVerdict.HELD:
                held |= files
                settled |= files if self._is_known(judgement) else frozenset()
            elif judgement.outcomes:
                self._past[batch] = values_of(judgement.outcomes)
        return drops.without(frozenset(held), frozenset(settled))

    def lift_holds(self) -> None:
        """Record, before anything is published, which holds the rules of now have lifted.

        A batch that the last verdict holds has therefore left nothing in Silver.
        """
        lifted = [
            GivenVerdict(
                said.batch, said.content, said.files, BatchVerdict.RELEASED, hold.failed,
                _LIFTED, said.recorded_at,
            )
            for said in (judgement.verdict for judgement in self.judgements)
            if said.verdict is BatchVerdict.PUBLISHED
            and (hold := self.ledger.hold_of(said.batch)) is not None
            and hold.content == said.content
            and self.ledger.release_of(said.batch, said.content) is None
        ]  # fmt: skip
        if lifted:
            append_verdicts(self.lake, lifted)

    def record(self) -> None:
        """Write down what is new: figures, then verdicts. A batch that waits as before is not."""
        for judgement in self.judgements:
            tell(self.lake.job, judgement)
        tell_standing(self.lake.job, self.judgements)
        news = [judgement for judgement in self.judgements if not self._is_known(judgement)]
        if news:
            append_metrics(self.lake, news)
            append_verdicts(self.lake, [judgement.verdict for judgement in news])

    @cached_property
    def _past(self) -> dict[str, Values]:
        """What was measured of published batches, by batch; read once."""
        batches = {batch_with(content) for content in self.undecided}
        metrics = self.lake.read(SILVER_QUALITY_METRICS)
        return published_before(metrics, self.ledger, self.book, batches)

    def _undecided_batches(self, kind: str) -> Iterator[tuple[str, frozenset[Content]]]:
        """Batches of a kind with what is undecided of them, earliest day first."""
        own = [content for content in self.undecided if kind_of(content) == kind]
        for batch in sorted({batch_with(content) for content in own}, key=day_of):
            yield batch, frozenset(content for content in own if batch_with(content) == batch)

    def _is_known(self, judgement: Judgement) -> bool:
        """Whether a batch is held as the last verdict on it says, to the letter."""
        said, hold = judgement.verdict, self.ledger.hold_of(judgement.verdict.batch)
        return (
            said.verdict is BatchVerdict.HELD
            and hold is not None
            and (said.content, said.files, said.failed) == (hold.content, hold.files, hold.failed)
        )

    def _judgement(
        self, batch: str, files: frozenset[Content], drops: Drops, failing: Sequence[Failing]
    ) -> Judgement:
        """Judge one batch of which these files are undecided.

        A batch of which nothing is asked goes through, and is written down: a gate that comes later
        judges what comes later.
        """
        standing = frozenset(c for c in drops.manifest.standing if batch_with(c) == batch)
        content, now = content_hash(standing), self.lake.clock()
        # what came is superseded by what is published: rules that came later do not judge that
        if self.ledger.is_published(batch, content):
            passed = BatchVerdict.PUBLISHED
            return Judgement(GivenVerdict(batch, content, files, passed, (), None, now), ())
        if release := self.ledger.release_of(batch, content):
            published = GivenVerdict(
                batch, content, files, BatchVerdict.PUBLISHED, release.failed, release.reason, now
            )
            return Judgement(published, ())
        if failing:
            failed = tuple(each.rule_id for each in failing)
            why = "; ".join(
                f"rule {each.rule_id} cannot be computed of a row: {each.fault}" for each in failing
            )
            held = GivenVerdict(batch, content, files, BatchVerdict.HELD, failed, why, now)
            return Judgement(held, ())
        rows = drops.rows.where(F.col("stands") & F.col("path").isin([p for p, _ in standing]))
        outcomes = self._outcomes(rows, batch, self.book.of(batch.partition("/")[0]))
        failed = tuple(outcome.check_id for outcome in outcomes if outcome.holds_batch)
        verdict = BatchVerdict.HELD if failed else BatchVerdict.PUBLISHED
        reason = "; ".join(str(outcome.reason) for outcome in outcomes if outcome.holds_batch)
        given = GivenVerdict(batch, content, files, verdict, failed, reason or None, now)
        return Judgement(given, outcomes)

    def _outcomes(self, rows: DataFrame, batch: str, rules: KindRules) -> list[Outcome]:
        found: dict[str, Measurement] = {}
        for over, measured_rows in (("delivered", rows), ("accepted", rows.where(is_accepted()))):
            asked = [check.measure for check in rules.checks if check.over == over]
            if asked:
                found[over] = self.measured(measured_rows, asked)
        past = self._past if rules.anomalies else {}
        same_kind = [b for b in past if b.partition("/")[0] == batch.partition("/")[0]]
        earlier = [past[b] for b in sorted(same_kind, key=day_of) if day_of(b) < day_of(batch)]
        return [judged(check, found[check.over], past_of(check, earlier)) for check in rules.checks]
