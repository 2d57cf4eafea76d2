"""Delivered rows of one kind: which stand, which a run has to look at, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import Keep, broadcast_if_few
from lakehouse.quality import is_accepted, quarantined, warned
from lakehouse.quality.batches import Content
from silver.contents import Manifest, days_of_delivery, is_of, paths_of
from silver.revisions import chosen

Read = Callable[[DataFrame, frozenset[Content]], DataFrame]
"""Reads rows of Bronze that are of these contents."""

_PLACE = ("path", "file_revision", "row_number")
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@dataclass(frozen=True)
class Source:
    """Rows of a kind in Bronze, and how they are read.

    `named_by` is the field with the UUID that tells a row's identity, and `published` has the
    identities that Silver has of the kind: where they are given, not all rows have to be read.
    """

    rows: DataFrame
    read: Read
    keep: Keep
    named_by: str | None = None
    published: DataFrame | None = None

    def of(self, contents: frozenset[Content]) -> DataFrame:
        """Rows of these contents."""
        days = days_of_delivery(contents)
        return self.rows.where(F.col("delivery_date").isin(days) & is_of(contents))

    def naming(self, contents: frozenset[Content], some: DataFrame) -> DataFrame:
        """Rows of these contents that can have one of the UUIDs of `some`, read."""
        rows = self.of(contents)
        # a UUID stands in the text as it is, unless JSON wrote its characters otherwise
        uuids = F.regexp_extract_all(F.lower("raw"), F.lit(_UUID), F.lit(0))
        is_escaped = F.col("raw").contains("\\")
        known = broadcast_if_few(some.select(F.col(str(self.named_by)).alias("_uuid")))
        named = rows.where(~is_escaped).withColumn("_uuid", F.explode(F.array_distinct(uuids)))
        found = named.join(known, "_uuid", "left_semi").drop("_uuid").dropDuplicates(list(_PLACE))
        # kept: a filter above it would be planned into each of its many expressions
        return self.keep(self.read(found.unionByName(rows.where(is_escaped)), contents))

    def has_published(self, identities: DataFrame) -> bool:
        """Whether Silver has one of these identities; where nobody knows, it may. Runs a query."""
        if self.published is None or identities.isEmpty():
            return not identities.isEmpty()
        known = broadcast_if_few(identities)
        return not self.published.join(known, "identity", "left_semi").isEmpty()


@dataclass(frozen=True)
class Drops:
    """Delivered rows of a kind as they are read, with `stands` and `is_new`.

    A row stands if its content does. It is new if something came at its path in this run: rows of
    every revision there are looked at, what came and what it supersedes. Where the source says
    how rows are named, `rows` are those of the days of the new paths; of other days only the rows
    that matter are read.
    """

    rows: DataFrame
    manifest: Manifest
    new_paths: frozenset[str]
    passing: frozenset[Content]  # what goes through in this run, and no run before has let through
    source: Source

    @property
    def all_are_new(self) -> bool:
        """Whether this run looks at every path."""
        return self.manifest.paths <= self.new_paths

    @classmethod
    def of(
        cls,
        source: Source,
        manifest: Manifest,
        new: frozenset[Content],
        undecided: frozenset[Content],
    ) -> Drops:
        """Read what a run needs, because these contents are new, of those that were loaded.

        `undecided` are the new ones that no verdict has let through.
        """
        contents, new_paths = manifest.loaded, paths_of(new)
        if source.named_by is not None:
            days = set(days_of_delivery(new))
            contents = frozenset(c for c in contents if days.issuperset(days_of_delivery([c])))
        loaded = source.of(contents).transform(_marked, manifest, new_paths)
        cores = loaded.sparkSession.sparkContext.defaultParallelism
        if len(contents) < cores:
            # Bronze has a file in one piece: one core would parse all of it
            loaded = loaded.repartition(cores, "path", "row_number")
        rows = source.keep(source.read(loaded, contents))
        return cls(rows, manifest, new_paths, undecided, source)

    def without(self, held: frozenset[Content], settled: frozenset[Content] = frozenset()) -> Drops:
        """The same as if the `held` contents had never been loaded: what they supersede stands.

        A run that died may have published some of them. Their rows stand nowhere, and are looked
        at like what came: whatever Silver has of them is done away with. Of those among them that
        are `settled` it has nothing, and no row is looked at.
        """
        if not held:
            return self
        manifest = Manifest(self.manifest.loaded - settled, held - settled)
        new_paths = self.new_paths - paths_of(settled)
        rows = self.rows.where(is_of(manifest.loaded)).transform(_marked, manifest, new_paths)
        return replace(
            self, rows=rows, manifest=manifest, new_paths=new_paths, passing=self.passing - held
        )

    def new(self) -> DataFrame:
        """Rows at the new paths, accepted or not."""
        return self.rows.where("is_new")

    def refused(self, source_table: str) -> DataFrame:
        """Rows of silver.quarantine_batch: those that go through now, and break a rule."""
        return quarantined(self.rows.where(is_of(self.passing)), source_table)

    def warned(self, source_table: str) -> DataFrame:
        """Rows of silver.warnings_batch: those published now that break a rule which warns."""
        return warned(self.rows.where(is_of(self.passing) & F.col("stands")), source_table)

    def standing(self) -> DataFrame:
        """Accepted rows of all paths that no later revision of their file supersedes."""
        return self.rows.where(_can_stand())

    def touched(self) -> DataFrame:
        """Identities that new rows carry, refused ones too: all that this run can change.

        A row that is refused now may have been published by a run that died under other rules.
        """
        return self._named().select("identity").distinct()

    def chosen(self, order: tuple[str, ...], key: str = "identity") -> DataFrame:
        """One standing row per touched identity, the greatest by `order`, delivery_date first.

        An identity is absent when no standing row carries it any more. `key` is another column
        that tells one identity from another.
        """
        rows = self.standing()
        if not self.all_are_new:
            rivals = self._rivals()
            if rivals:
                read = self.source.naming(rivals, self._named()).where(is_accepted())
                rows = rows.unionByName(read.transform(_marked, self.manifest, self.new_paths))
            rows = rows.join(self.touched(), "identity", "left_semi")
        return chosen(rows, (key,), order)

    def _named(self) -> DataFrame:
        return self.new().where(F.col("identity").isNotNull())

    def _rivals(self) -> frozenset[Content]:
        """Contents of other days whose rows may stand instead of the new ones.

        The later delivery stands: those of earlier days matter only where none at hand does.
        """
        if self.source.named_by is None:
            return frozenset()
        days = days_of_delivery((path, 0) for path in self.new_paths)
        others = {c: days_of_delivery([c])[0] for c in self.manifest.standing}
        others = {content: day for content, day in others.items() if day not in days}
        first = min(days)
        if not any(day < first for day in others.values()) or self._falls_back():
            return frozenset(others)
        return frozenset(content for content, day in others.items() if day > first)

    def _falls_back(self) -> bool:
        """Whether Silver has what a new row was about, and no row at hand stands for it."""
        lost = self._named().where(~_can_stand()).select("identity").distinct()
        if lost.isEmpty():
            return False
        standing = self.standing().select("identity")
        found = standing.join(broadcast_if_few(lost), "identity", "left_semi")
        return self.source.has_published(lost.join(found, "identity", "left_anti"))


def _can_stand() -> Column:
    return is_accepted() & F.col("stands")


def _marked(rows: DataFrame, manifest: Manifest, new_paths: frozenset[str]) -> DataFrame:
    return rows.withColumns(
        {
            "stands": is_of(manifest.standing),
            "is_new": F.col("path").isin(sorted(new_paths)),
        }
    )
