"""Delivered rows of one kind: which stand, which a run has to look at, and which are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import Keep
from lakehouse.quality import is_accepted, quarantined, warned
from silver.batch import delivered
from silver.revisions import chosen

Parse = Callable[[DataFrame], DataFrame]
Content = tuple[str, int]
"""A path and a revision of its file."""


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


@dataclass(frozen=True)
class Drops:
    """Delivered rows of a kind as its contract reads them, with `stands` and `is_new`.

    A row stands if its content does. It is new if something came at its path in this run: rows of
    every revision there are looked at, what came and what it supersedes.
    """

    rows: DataFrame
    manifest: Manifest
    new_paths: frozenset[str]

    @property
    def all_are_new(self) -> bool:
        """Whether this run looks at every path."""
        return self.manifest.paths == self.new_paths

    @classmethod
    def of(
        cls,
        rows: DataFrame,
        manifest: Manifest,
        new_paths: frozenset[str],
        parse: Parse,
        keep: Keep,
    ) -> Drops:
        """Read rows of a bronze.drops_* table by the kind's contract."""
        loaded = rows.where(_is_of(manifest.loaded)).transform(_marked, manifest, new_paths)
        return cls(keep(parse(delivered(loaded))), manifest, new_paths)

    def without(self, held: frozenset[Content]) -> Drops:
        """The same as if these contents had never been loaded: what they supersede stands."""
        if not held:
            return self
        manifest = Manifest(self.manifest.loaded - held)
        new_paths = self.new_paths - {path for path, _ in held}
        rows = self.rows.where(_is_of(manifest.loaded)).transform(_marked, manifest, new_paths)
        return Drops(rows, manifest, new_paths)

    def new(self) -> DataFrame:
        """Rows at the new paths, accepted or not."""
        return self.rows.where("is_new")

    def refused(self, source_table: str) -> DataFrame:
        """Rows of silver.quarantine_batch: the new rows that break a rule."""
        return quarantined(self.new(), source_table)

    def warned(self, source_table: str) -> DataFrame:
        """Rows of silver.warnings_batch: the new rows that break rules which only warn."""
        return warned(self.new(), source_table)

    def standing(self) -> DataFrame:
        """Accepted rows of all paths that no later revision of their file supersedes."""
        return self.rows.where(is_accepted() & F.col("stands"))

    def touched(self) -> DataFrame:
        """Identities that accepted new rows carry: all that the new files can have changed."""
        return self.new().where(is_accepted()).select("identity").distinct()

    def chosen(self, order: tuple[str, ...]) -> DataFrame:
        """One standing row per touched identity, the greatest by `order`.

        An identity is absent when no standing row carries it any more.
        """
        rows = self.standing()
        if not self.all_are_new:
            rows = rows.join(self.touched(), "identity", "left_semi")
        return chosen(rows, ("identity",), order)


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
