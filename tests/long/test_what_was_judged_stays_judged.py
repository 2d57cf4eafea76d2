"""Rules of rows that come and go: what went through keeps what was decided of it then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.tables import SILVER_QUALITY_METRICS, SILVER_QUARANTINE_BATCH
from silver.build_batch import build_batch
from tests.quality.builders import a_gate, a_row_rule, write_rules
from tests.silver.deliveries import deliver
from tests.silver.gated import (
    FIFTH,
    FOURTH,
    KIND,
    THIRD,
    KilledError,
    MortalLakehouse,
    amounts,
    gated_lake,
    good,
    versions,
    with_rules,
    without_tables,
)


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession
) -> Iterator[MortalLakehouse]:
    """A lake of this file, with a rule for its rows in one folder, and none in another."""
    folder = tmp_path_factory.mktemp("judged")
    rule = a_row_rule("too_great", "amount < 5000", severity="quarantine")
    write_rules(folder / "strict", KIND, rows=[rule], gates=[a_gate()])
    write_rules(folder / "lenient", KIND, gates=[a_gate()])
    with gated_lake(folder, spark, folder / "lenient") as lake:
        yield lake


@pytest.fixture
def lenient(shared: MortalLakehouse, tmp_path: Path) -> MortalLakehouse:
    """A lake without tables and without the rule."""
    return without_tables(shared, tmp_path)


@pytest.fixture
def strict(lenient: MortalLakehouse) -> MortalLakehouse:
    """The same lake, with the rule."""
    return with_rules(lenient, Path(lenient.config.rules.quality).parent / "strict")


def refused(lake: MortalLakehouse) -> list[str]:
    """Which rows are in quarantine, by the number of their event."""
    rows = lake.read(SILVER_QUARANTINE_BATCH).collect()
    return sorted(str(row["identity"])[:8].lstrip("0") for row in rows)


def test_a_rule_that_came_later_takes_nothing_back(
    lenient: MortalLakehouse, strict: MortalLakehouse
) -> None:
    deliver(lenient, KIND, good(1, 2, amount="6000"), day=THIRD)
    build_batch(lenient)
    before = versions(lenient)
    strict.checkpoint.delete()
    build_batch(strict)
    assert versions(lenient) == before, "a run that meets them again decides as it was decided"

    deliver(lenient, KIND, good(1, amount="100"), day=FOURTH)
    deliver(lenient, KIND, good(3, amount="6000"), day=THIRD, name="b.jsonl")
    build_batch(strict)
    assert amounts(lenient) == {1: [6000, 100], 2: [6000]}
    # what came later stands no more: it is again as it was published
    deliver(lenient, KIND, good(4), day=FOURTH, revision=1)
    build_batch(strict)
    assert amounts(lenient) == {1: [6000, 100, 6000], 2: [6000], 4: [1000]}
    # a correction is another content: it is judged by the rules of now
    deliver(lenient, KIND, [*good(1), *good(2, amount="6000")], day=THIRD, revision=1)
    build_batch(strict)
    assert amounts(lenient) == {1: [6000, 100, 6000, 1000], 2: [6000, None], 4: [1000]}
    assert refused(lenient) == ["2", "3"]


def test_a_rule_that_went_lets_nothing_in_that_it_refused(
    lenient: MortalLakehouse, strict: MortalLakehouse
) -> None:
    deliver(strict, KIND, [*good(1, amount="6000"), *good(2)], day=THIRD)
    build_batch(strict)
    before = versions(strict)
    lenient.checkpoint.delete()
    build_batch(lenient)
    assert versions(strict) == before

    deliver(strict, KIND, good(1, amount="100"), day=FOURTH)
    build_batch(lenient)
    deliver(strict, KIND, good(3, amount="6000"), day=FOURTH, revision=1)
    build_batch(lenient)
    assert amounts(strict) == {1: [100, None], 2: [1000], 3: [6000]}
    assert refused(strict) == ["1"]


def test_what_a_dead_run_published_under_other_rules_is_taken_back(
    lenient: MortalLakehouse, strict: MortalLakehouse
) -> None:
    deliver(lenient, KIND, good(1), day=THIRD)
    build_batch(lenient)
    deliver(lenient, KIND, [*good(1, 2, amount="6000"), *good(3)], day=FIFTH)
    lenient.dies_before.append(SILVER_QUALITY_METRICS)
    with pytest.raises(KilledError):
        build_batch(lenient)
    lenient.dies_before.clear()
    assert amounts(lenient) == {1: [1000, 6000], 2: [6000], 3: [1000]}
    build_batch(strict)
    assert amounts(lenient) == {1: [1000, 6000, 1000], 2: [6000, None], 3: [1000]}
    assert refused(lenient) == ["1", "2"]
