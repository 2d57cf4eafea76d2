"""Of a path, the greatest loaded revision stands; what was never loaded to its end, nowhere."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.tables import DROPS
from silver.drops import Drops, Manifest
from tests.silver.deliveries import DAY


def drops_of(spark: SparkSession, manifest: Manifest, *new_paths: str) -> Drops:
    """Two revisions of `p`, a third that no manifest names, and a file `q`; rows say which."""
    rows = [
        (DAY, path, f"sha {path} {revision}", revision, 1, "json", None, f"{path}{revision}", 0)
        for path, revision in (("p", 0), ("p", 1), ("p", 2), ("q", 0), ("unlisted", 0))
    ]
    return Drops.of(
        spark.createDataFrame(rows, DROPS["policies"].schema),
        manifest,
        frozenset(new_paths),
        accepted,
        keep=lambda frame: frame,
    )


def accepted(rows: DataFrame) -> DataFrame:
    """A contract that every row meets."""
    nothing = F.array().cast("array<struct<rule_id:string,reason:string>>")
    return rows.withColumns({"violations": nothing, "identity": F.col("raw")})


LOADED = Manifest(frozenset({("p", 0), ("p", 1), ("q", 0)}))


def test_only_the_greatest_loaded_revision_of_a_path_stands(spark: SparkSession) -> None:
    drops = drops_of(spark, LOADED, "p")
    assert sorted(row.raw for row in drops.standing().collect()) == ["p1", "q0"]


def test_new_is_what_came_at_a_path_and_what_it_supersedes(spark: SparkSession) -> None:
    drops = drops_of(spark, LOADED, "p")
    assert sorted(row.raw for row in drops.new().collect()) == ["p0", "p1"]
    assert not drops.all_are_new
    assert drops_of(spark, LOADED, "p", "q").all_are_new


def test_a_run_needs_what_came_and_what_it_supersedes_itself() -> None:
    loaded = Manifest(frozenset({("p", 0), ("p", 1), ("p", 2), ("q", 0), ("q", 1)}))
    assert loaded.for_run_on(frozenset({("p", 2)})).loaded == {("p", 1), ("p", 2), ("q", 1)}
    assert loaded.for_run_on(frozenset({("p", 1)})).loaded == {
        ("p", 0), ("p", 1), ("p", 2), ("q", 1),
    }  # fmt: skip
    assert loaded.for_run_on(frozenset({("p", 0), ("q", 1)})).loaded == loaded.loaded
