"""Of a path, the greatest loaded revision stands; what was never loaded to its end, nowhere."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.tables import DROPS
from silver.drops import Drops, Manifest
from tests.silver.deliveries import DAY, a_reading

P, Q = (f"policies/date={DAY}/{name}" for name in "pq")


def drops_of(spark: SparkSession, manifest: Manifest, *new_paths: str) -> Drops:
    """Two revisions of P, a third that no manifest names, and a file Q; rows say which."""
    rows = [
        (DAY, path, f"sha {path} {revision}", revision, 1, "json", None, f"{path[-1]}{revision}", 0)
        for path, revision in ((P, 0), (P, 1), (P, 2), (Q, 0), (f"{Q}-unlisted", 0))
    ]
    delivered = spark.createDataFrame(rows, DROPS["policies"].schema)
    return Drops.of(a_reading(delivered, accepted), manifest, frozenset(new_paths))


def accepted(rows: DataFrame) -> DataFrame:
    """A contract that every row meets."""
    nothing = F.array().cast("array<struct<rule_id:string,reason:string>>")
    return rows.withColumns({"violations": nothing, "identity": F.col("raw")})


LOADED = Manifest(frozenset({(P, 0), (P, 1), (Q, 0)}))


def test_only_the_greatest_loaded_revision_of_a_path_stands(spark: SparkSession) -> None:
    drops = drops_of(spark, LOADED, P)
    assert sorted(row.raw for row in drops.standing().collect()) == ["p1", "q0"]


def test_new_is_what_came_at_a_path_and_what_it_supersedes(spark: SparkSession) -> None:
    drops = drops_of(spark, LOADED, P)
    assert sorted(row.raw for row in drops.new().collect()) == ["p0", "p1"]
    assert not drops.all_are_new
    assert drops_of(spark, LOADED, P, Q).all_are_new


def test_a_run_needs_what_came_and_what_it_supersedes_itself() -> None:
    loaded = Manifest(frozenset({(P, 0), (P, 1), (P, 2), (Q, 0), (Q, 1)}))
    assert loaded.for_run_on(frozenset({(P, 2)})).loaded == {(P, 1), (P, 2), (Q, 1)}
    assert loaded.for_run_on(frozenset({(P, 1)})).loaded == {
        (P, 0), (P, 1), (P, 2), (Q, 1),
    }  # fmt: skip
    assert loaded.for_run_on(frozenset({(P, 0), (Q, 1)})).loaded == loaded.loaded
