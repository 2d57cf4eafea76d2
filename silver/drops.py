"""Delivered rows of one kind: which stand, which a run has to look at, and which are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import Keep, broadcast_if_few
from lakehouse.quality import is_accepted, quarantined, warned
from lakehouse.quality.batches import batch_of, day_of
from silver.batch import delivered
from silver.revisions import chosen

Parse = Callable[[DataFrame], DataFrame]
Content = tuple[str, int]
"""A path and a revision of its file."""

_PLACE = ("path", "file_revision", "row_number")
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@dataclass(frozen=True)
class Manifest:
    """Loaded contents of one kind. What Bronze holds beside them was never loaded to its end."""

    loaded: frozenset[Content]

    @property
    def paths(self) -> frozenset[str]:
        """Where something was loaded."""
        return frozenset(path for path, _ in self.loaded)

    @property
    def standing(self) -> frozenset[Content]:
        """The greatest loaded revision of each path; it supersedes the others."""
        # of equal keys a dictionary keeps the last
        return frozenset(dict(sorted(self.loaded)).items())

    def for_run_on(self, new: frozenset[Content]) -> Manifest:
        """Without contents that were superseded before the `new` ones came, by one below them.

        A run on that one has done away with their rows.
        """
        needed = set(self.standing)
        for path, first in sorted(new, reverse=True):
            revisions = [revision for known, revision in self.loaded if known == path]
            before = max((r for r in revisions if r < first), default=first)
            needed |= {(path, revision) for revision in revisions if revision >= before}
        return Manifest(frozenset(needed))


@dataclass(frozen=True)
class Reading:
    """How rows of a kind in Bronze are read: by its contract, and as earlier runs judged them.

    `parse` gets rows with `is_undecided`. A rule judges what comes after it: of a content that is
    decided, the rows stay refused that were (`refusals`, rows of silver.quarantine_batch), and no
    others are. `named_by` is the field of the UUID that tells a row's identity, if one does.
    """

    rows: DataFrame
    parse: Parse
    keep: Keep
    undecided: frozenset[Content]
    refusals: DataFrame
    named_by: str | None = None

    def read(self, rows: DataFrame, contents: frozenset[Content]) -> DataFrame:
        """Some rows of these contents, parsed and kept."""
        parsed = self.parse(
            delivered(rows.withColumn("is_undecided", _is_of(contents & self.undecided)))
        )
        if not contents <= self.undecided:
            parsed = self._as_recorded(parsed, sorted({_day_of(content) for content in contents}))
        # kept: a filter above it would be planned into each of its many expressions
        return self.keep(parsed)

    def naming(self, contents: frozenset[Content], some: DataFrame) -> DataFrame:
        """Rows of these contents that can have one of the UUIDs of `some`, parsed."""
        days = sorted({_day_of(content) for content in contents})
        rows = self.rows.where(F.col("delivery_date").isin(days) & _is_of(contents))
        # a UUID stands in the text as it is, unless JSON wrote its characters otherwise
        uuids = F.regexp_extract_all(F.lower("raw"), F.lit(_UUID), F.lit(0))
        is_escaped = F.col("raw").contains("\\")
        known = broadcast_if_few(some.select(F.col(str(self.named_by)).alias("_uuid")))
        named = rows.where(~is_escaped).withColumn("_uuid", F.explode(F.array_distinct(uuids)))
        found = named.join(known, "_uuid", "left_semi").drop("_uuid").dropDuplicates(list(_PLACE))
        return self.read(found.unionByName(rows.where(is_escaped)), contents)

    def _as_recorded(self, parsed: DataFrame, days: list[date]) -> DataFrame:
        violations = F.arrays_zip("rule_ids", "reasons").cast(parsed.schema["violations"].dataType)
        recorded = self.refusals.where(F.col("quarantine_date").isin(days)).select(
            "coordinates", violations.alias("_recorded")
        )
        was_refused = is_accepted() & ~F.col("is_undecided") & F.col("_recorded").isNotNull()
        found = F.when(was_refused, F.col("_recorded")).otherwise(F.col("violations"))
        return (
            parsed.join(broadcast_if_few(recorded), "coordinates", "left")
            .withColumn("violations", found)
            .drop("_recorded")
        )


@dataclass(frozen=True)
class Drops:
    """Delivered rows of a kind as its contract reads them, with `stands` and `is_new`.

    A row stands if its content does. It is new if something came at its path in this run: rows of
    every revision there are looked at, what came and what it supersedes. Where the reading is by
    name, `rows` are those of the days of the new paths; of other days only the rows that matter
    are read. Contents that are `held` stand nowhere, but what they may have left in a table is
    looked at: a run can have published them, and died before it said so.
    """

    rows: DataFrame
    manifest: Manifest
    new_paths: frozenset[str]
    reading: Reading
    held: frozenset[Content] = frozenset()

    @property
    def all_are_new(self) -> bool:
        """Whether this run looks at every path."""
        return self.manifest.paths <= self.new_paths

    @classmethod
    def of(cls, reading: Reading, manifest: Manifest, new_paths: frozenset[str]) -> Drops:
        """Read rows of a bronze.drops_* table: all of them, or by name."""
        rows, contents = reading.rows, manifest.loaded
        if reading.named_by is not None:
            days = {_day_of((path, 0)) for path in new_paths}
            contents = frozenset(content for content in contents if _day_of(content) in days)
            rows = rows.where(F.col("delivery_date").isin(sorted(days)))
        loaded = rows.where(_is_of(contents)).transform(_marked, manifest, new_paths)
        cores = rows.sparkSession.sparkContext.defaultParallelism
        if len(contents) < cores:
            # Bronze has a file in one piece: one core would parse all of it
            loaded = loaded.repartition(cores, "path", "row_number")
        return cls(reading.read(loaded, contents), manifest, new_paths, reading)

    def without(self, held: frozenset[Content]) -> Drops:
        """The same where these contents do not stand: what they supersede does."""
        if not held:
            return self
        manifest = Manifest(self.manifest.loaded - held)
        rows = self.rows.transform(_marked, manifest, self.new_paths)
        return replace(self, rows=rows, manifest=manifest, held=held)

    def new(self) -> DataFrame:
        """Rows at the new paths, accepted or not."""
        return self.rows.where("is_new")

    def refused(self, source_table: str) -> DataFrame:
        """Rows of silver.quarantine_batch: the rows that break a rule, of what this run judged."""
        return quarantined(self._judged(), source_table)

    def warned(self, source_table: str) -> DataFrame:
        """Rows of silver.warnings_batch: those that break a rule which only warns, likewise."""
        return warned(self._judged(), source_table)

    def standing(self) -> DataFrame:
        """Accepted rows of all paths that no later revision of their file supersedes."""
        return self.rows.where(is_accepted() & F.col("stands"))

    def touched(self) -> DataFrame:
        """Identities that accepted new rows carry: all that the new files can have changed."""
        return self.new().where(is_accepted()).select("identity").distinct()

    def chosen(self, order: tuple[str, ...], key: str = "identity") -> DataFrame:
        """One standing row per touched identity, the greatest by `order`, delivery_date first.

        An identity is absent when no standing row carries it any more. `key` is another column
        that tells one identity from another.
        """
        rows = self.standing()
        if not self.all_are_new:
            rivals = self._rivals()
            if self.reading.named_by is not None and rivals:
                touched = self.new().where(is_accepted())
                read = self.reading.naming(rivals, touched).where(is_accepted())
                rows = rows.unionByName(read.transform(_marked, self.manifest, self.new_paths))
            rows = rows.join(self.touched(), "identity", "left_semi")
        return chosen(rows, (key,), order)

    def _judged(self) -> DataFrame:
        return self.new().where(_is_of(self.reading.undecided - self.held))

    def _rivals(self) -> frozenset[Content]:
        """Contents of other days whose rows may stand instead of the new ones.

        The later delivery stands: those of earlier days matter only to identities that a new
        content has no longer, or that a held one has.
        """
        days = {_day_of((path, 0)) for path in self.new_paths}
        others = [content for content in self.manifest.standing if _day_of(content) not in days]
        superseded = (self.manifest.loaded | self.held) - self.manifest.standing
        if self.new_paths.isdisjoint(path for path, _ in superseded):
            others = [content for content in others if _day_of(content) > min(days)]
        return frozenset(others)


def _marked(rows: DataFrame, manifest: Manifest, new_paths: frozenset[str]) -> DataFrame:
    return rows.withColumns(
        {
            "stands": _is_of(manifest.standing),
            "is_new": F.col("path").isin(sorted(new_paths)),
        }
    )


def _is_of(contents: Iterable[Content]) -> Column:
    """Whether a row is of one of these contents."""
    content = F.concat_ws("@", F.col("file_revision").cast("string"), "path")
    return content.isin([f"{revision}@{path}" for path, revision in sorted(contents)])


def _day_of(content: Content) -> date:
    return day_of(batch_of(content[0]))
