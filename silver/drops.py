"""Delivered rows of one kind: which stand, which a run has to look at, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.quality import is_accepted, quarantined
from silver.batch import delivered, held_in_memory
from silver.revisions import chosen, current_rows

Parse = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Drops:
    """Delivered rows of a kind, beside the paths at which a run found something new.

    `new` are the parsed rows at those paths, of every revision: what came, and what it
    supersedes. `elsewhere` are those at all other paths. `files` is the kind's manifest.
    """

    new: DataFrame
    elsewhere: DataFrame
    files: DataFrame

    @classmethod
    def of(
        cls,
        rows: DataFrame,
        files: DataFrame,
        new_paths: set[str],
        all_paths: set[str],
        parse: Parse,
        held: ExitStack,
    ) -> Self:
        """Parse rows of a bronze.drops_* table; `held` says how long they are kept in memory."""

        def parsed_of(paths: set[str]) -> DataFrame:
            if not new_paths or not paths:
                return parse(delivered(rows)).where(F.lit(False))
            is_there = F.col("path").isin(sorted(paths))
            # kept also for the plan: Spark would copy the whole contract into each filter over it
            return held_in_memory(parse(delivered(rows.where(is_there))), held)

        return cls(parsed_of(new_paths), parsed_of(all_paths - new_paths), files)

    def refused(self, source_table: str) -> DataFrame:
        """Rows of silver.quarantine_batch: the new rows that break a rule, once each."""
        return quarantined(self.new, source_table).dropDuplicates(["coordinates"])

    def standing(self) -> DataFrame:
        """Accepted rows of all paths that no later revision of their file supersedes."""
        return self._standing_of(self.new.unionByName(self.elsewhere))

    def touched(self) -> DataFrame:
        """Identities that accepted new rows carry: all that the new files can have changed."""
        return self.new.where(is_accepted()).select("identity").distinct()

    def chosen(self, order: tuple[str, ...]) -> DataFrame:
        """One standing row per touched identity, the greatest by `order`.

        An identity is absent when no standing row carries it any more.
        """
        others = self.elsewhere.join(self.touched(), "identity", "left_semi")
        rows = self._standing_of(self.new.unionByName(others.select(*self.new.columns)))
        return chosen(rows, ("identity",), order)

    def _standing_of(self, rows: DataFrame) -> DataFrame:
        return current_rows(rows.where(is_accepted()), self.files)
