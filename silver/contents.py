"""Contents of delivered files: which were loaded, and which of them stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.quality.batches import Content, batch_of, day_of
from lakehouse.records.codes import Verdict


@dataclass(frozen=True)
class Manifest:
    """Loaded contents of one kind. What Bronze holds beside them is none of a run's business.

    Those that are `held` stand nowhere: what they would supersede stands.
    """

    loaded: frozenset[Content]
    held: frozenset[Content] = frozenset()

    @property
    def paths(self) -> frozenset[str]:
        """Where something was loaded."""
        return paths_of(self.loaded)

    @property
    def standing(self) -> frozenset[Content]:
        """The greatest loaded revision of each path; it supersedes the others."""
        # of equal keys a dictionary keeps the last
        return frozenset(dict(sorted(self.loaded - self.held)).items())

    def for_run_on(self, new: frozenset[Content]) -> Manifest:
        """Without contents that were superseded before the `new` ones came, by one below them.

        A run on that one has done away with their rows.
        """
        needed = set(self.standing)
        for path, first in sorted(new, reverse=True):
            revisions = [revision for known, revision in self.loaded if known == path]
            before = max((r for r in revisions if r < first), default=first)
            needed |= {(path, revision) for revision in revisions if revision >= before}
        return Manifest(frozenset(needed), self.held)


def rows_of_loaded(files: DataFrame) -> dict[Content, int]:
    """Contents that rows of bronze.drop_files say are loaded, and how many rows each has."""
    loaded = files.where(F.col("verdict") == Verdict.LOADED.value)
    rows = loaded.select("path", "file_revision", "row_count").collect()
    return {(row["path"], row["file_revision"]): row["row_count"] for row in rows}


def is_of(contents: Iterable[Content]) -> Column:
    """Whether a row of Bronze is of one of these contents."""
    content = F.concat_ws("@", F.col("file_revision").cast("string"), "path")
    return content.isin([f"{revision}@{path}" for path, revision in sorted(contents)])


def paths_of(contents: Iterable[Content]) -> frozenset[str]:
    """Their paths."""
    return frozenset(path for path, _ in contents)


def kind_of(content: Content) -> str:
    """The kind of drop that a content is of."""
    return content[0].partition("/")[0]


def batch_with(content: Content) -> str:
    """The batch that a content is part of."""
    return batch_of(content[0])


def days_of_delivery(contents: Iterable[Content]) -> list[date]:
    """The days on which they were delivered, in order."""
    return sorted({day_of(batch_with(content)) for content in contents})
