"""Delivered rows of one kind: which stand, which a run has to look at, and which are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.quality import is_accepted, quarantined
from silver.batch import computed_once, delivered
from silver.revisions import chosen

Parse = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Manifest:
    """Loaded files of one kind: their paths, and which of their revisions are superseded."""

    paths: frozenset[str]
    superseded: frozenset[tuple[str, int]]

    @classmethod
    def of(cls, revisions: Iterable[tuple[str, int]]) -> Self:
        """Read (path, file_revision) of every file; a path's greatest revision stands."""
        known = set(revisions)
        greatest: dict[str, int] = {}
        for path, revision in known:
            greatest[path] = max(revision, greatest.get(path, revision))
        old = {(path, revision) for path, revision in known if revision < greatest[path]}
        return cls(frozenset(greatest), frozenset(old))

    def is_superseded(self) -> Column:
        """Whether a row of a file is of a revision that a later one replaced."""
        revision = F.concat_ws("@", F.col("file_revision").cast("string"), "path")
        return revision.isin([f"{number}@{path}" for path, number in sorted(self.superseded)])


@dataclass(frozen=True)
class Drops:
    """Delivered rows of a kind as its contract reads them, and the paths that a run found new.

    At a new path something came: rows of every revision there are looked at, what came and what
    it supersedes.
    """

    rows: DataFrame
    manifest: Manifest
    new_paths: frozenset[str]

    @classmethod
    def of(
        cls, rows: DataFrame, manifest: Manifest, new_paths: frozenset[str], parse: Parse
    ) -> Self:
        """Read rows of a bronze.drops_* table by the kind's contract."""
        return cls(computed_once(parse(delivered(rows))), manifest, new_paths)

    def new(self) -> DataFrame:
        """Rows at the new paths, accepted or not."""
        if self.manifest.paths == self.new_paths:
            return self.rows
        return self.rows.where(F.col("path").isin(sorted(self.new_paths)))

    def refused(self, source_table: str) -> DataFrame:
        """Rows of silver.quarantine_batch: the new rows that break a rule."""
        return quarantined(self.new(), source_table)

    def standing(self) -> DataFrame:
        """Accepted rows of all paths that no later revision of their file supersedes."""
        return self.rows.where(is_accepted() & ~self.manifest.is_superseded())

    def touched(self) -> DataFrame:
        """Identities that accepted new rows carry: all that the new files can have changed."""
        return self.new().where(is_accepted()).select("identity").distinct()

    def chosen(self, order: tuple[str, ...]) -> DataFrame:
        """One standing row per touched identity, the greatest by `order`.

        An identity is absent when no standing row carries it any more.
        """
        rows = self.standing()
        if self.manifest.paths != self.new_paths:
            rows = rows.join(self.touched(), "identity", "left_semi")
        return chosen(rows, ("identity",), order)
