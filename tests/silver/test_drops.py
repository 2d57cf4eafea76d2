"""Of a path, the greatest loaded revision stands; what was never loaded to its end, nowhere."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.quality.batches import Content
from lakehouse.tables import DROPS
from silver.contents import Manifest
from silver.drops import Drops, Source
from tests.silver.deliveries import DAY

P, Q = (f"policies/date={DAY}/{name}" for name in "pq")
P0, P1, P2, Q0 = (P, 0), (P, 1), (P, 2), (Q, 0)
LOADED = Manifest(frozenset({P0, P1, Q0}))


def drops_of(spark: SparkSession, manifest: Manifest, *new: Content) -> Drops:
    """Two revisions of `p`, a third that no manifest names, and a file `q`; rows say which."""
    contents = (P0, P1, P2, Q0, (f"policies/date={DAY}/unlisted", 0))
    rows = [
        (DAY, path, f"sha {path} {revision}", revision, 1, "json", None, f"{path[-1]}{revision}", 0)
        for path, revision in contents
    ]
    source = Source(
        spark.createDataFrame(rows, DROPS["policies"].schema),
        lambda rows, _: rows.transform(accepted),
        keep=lambda frame: frame,
    )
    return Drops.of(source, manifest, frozenset(new), frozenset(new))


def accepted(rows: DataFrame) -> DataFrame:
    """A contract that every row meets."""
    nothing = F.array().cast("array<struct<rule_id:string,reason:string>>")
    return rows.withColumns({"violations": nothing, "identity": F.col("raw")})


def texts(rows: DataFrame) -> list[str]:
    return sorted(row.raw for row in rows.collect())


def test_only_the_greatest_loaded_revision_of_a_path_stands(spark: SparkSession) -> None:
    assert texts(drops_of(spark, LOADED, P1).standing()) == ["p1", "q0"]


def test_new_is_what_came_at_a_path_and_what_it_supersedes(spark: SparkSession) -> None:
    drops = drops_of(spark, LOADED, P1)
    assert texts(drops.new()) == ["p0", "p1"]
    assert not drops.all_are_new
    assert drops_of(spark, LOADED, P1, Q0).all_are_new


def test_what_is_held_stands_nowhere_and_is_looked_at_unless_it_left_nothing(
    spark: SparkSession,
) -> None:
    drops = drops_of(spark, LOADED, P1)
    held = drops.without(frozenset({P1}))
    assert texts(held.standing()) == ["p0", "q0"]
    assert texts(held.new()) == ["p0", "p1"]
    assert held.passing == frozenset()
    settled = drops.without(frozenset({P1}), settled=frozenset({P1}))
    assert texts(settled.standing()) == ["p0", "q0"]
    assert texts(settled.new()) == []


def test_a_run_needs_what_came_and_what_it_supersedes_itself() -> None:
    loaded = Manifest(frozenset({(P, 0), (P, 1), (P, 2), (Q, 0), (Q, 1)}))
    assert loaded.for_run_on(frozenset({(P, 2)})).loaded == {(P, 1), (P, 2), (Q, 1)}
    assert loaded.for_run_on(frozenset({(P, 1)})).loaded == {
        (P, 0), (P, 1), (P, 2), (Q, 1),
    }  # fmt: skip
    assert loaded.for_run_on(frozenset({(P, 0), (Q, 1)})).loaded == loaded.loaded
