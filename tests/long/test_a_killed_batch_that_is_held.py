"""A run dies in the middle of a batch, and the next holds it: as if it had never been loaded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.tables import (
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FX_RATES,
    SILVER_OFFLINE_SCORES,
    SILVER_POLICIES,
    SILVER_QUALITY_METRICS,
    SILVER_WARNINGS_BATCH,
    Table,
)
from silver.build_batch import build_batch
from tests.faults.world import SEEDS
from tests.quality.builders import a_gate, a_row_rule, write_rules
from tests.silver.deliveries import (
    a_log_row,
    a_money_event,
    a_policy,
    a_rate,
    an_offline_score,
    deliver,
)
from tests.silver.gated import (
    FIFTH,
    FOURTH,
    KIND,
    THIRD,
    KilledError,
    MortalLakehouse,
    amounts,
    gated_lake,
    verdicts,
    versions,
    with_rules,
    without_tables,
)

Rows = dict[int, int]
"""Amounts by the number of their event."""
Files = dict[tuple[date, str, int], Rows]
"""What was delivered, by day, name and revision."""
KINDS = ("transactions", "money_events", "fraud_scores", "fx_rates", "policies")


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession
) -> Iterator[MortalLakehouse]:
    """A lake of this file, with rules that let everything pass, and others that hold everything."""
    folder = tmp_path_factory.mktemp("held")
    for kind in KINDS:
        warning = [a_row_rule("always", "false")]
        write_rules(folder / "lenient", kind, rows=warning, gates=[a_gate(at_least=0)])
        write_rules(folder / "strict", kind, rows=warning, gates=[a_gate("none", at_most=-1)])
    with gated_lake(folder, spark, folder / "lenient") as lake:
        yield lake


@pytest.fixture
def lenient(shared: MortalLakehouse, tmp_path: Path) -> MortalLakehouse:
    """A lake without tables in which everything passes."""
    return without_tables(shared, tmp_path)


@pytest.fixture
def strict(lenient: MortalLakehouse) -> MortalLakehouse:
    """The same lake, in which everything is held."""
    return with_rules(lenient, Path(lenient.config.rules.quality).parent / "strict")


def dies(lake: MortalLakehouse, table: Table) -> None:
    """Run a build that dies before it commits to this table."""
    lake.dies_before.append(table)
    with pytest.raises(KilledError):
        build_batch(lake)
    lake.dies_before.clear()


def answer(files: Files) -> Rows:
    """What stands when exactly these files are loaded, in plain Python.

    Of a file its last revision; of an event the row of the last day, and of its last file.
    """
    newest = {(day, name): rows for (day, name, _), rows in sorted(files.items())}
    standing: Rows = {}
    for _, rows in sorted(newest.items(), key=lambda file: file[0]):
        standing |= rows
    return standing


def standing(lake: MortalLakehouse) -> Rows:
    """What stands in Silver."""
    found = {number: revisions[-1] for number, revisions in amounts(lake).items()}
    return {number: amount for number, amount in found.items() if amount is not None}


def load(lake: MortalLakehouse, files: Files) -> None:
    for (day, name, revision), rows in files.items():
        events = [a_money_event(number, amount=str(amount)) for number, amount in rows.items()]
        deliver(lake, KIND, events, day=day, name=name, revision=revision)


def some_rows(random: Random) -> Rows:
    return {number: random.randrange(1, 4) for number in random.sample(range(8), 4)}


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_as_if_it_had_never_been_loaded(
    lenient: MortalLakehouse, strict: MortalLakehouse, seed: int
) -> None:
    random = Random(seed)
    before = {(day, "a.jsonl", 0): some_rows(random) for day in (THIRD, FOURTH, FIFTH)}
    load(lenient, before)
    build_batch(lenient)
    assert standing(lenient) == answer(before)

    corrected, added = random.choice([THIRD, FOURTH, FIFTH]), random.choice([FOURTH, FIFTH])
    came = {
        (corrected, "a.jsonl", 1): some_rows(random) if random.random() < 0.8 else {},
        (added, "b.jsonl", 0): some_rows(random),
    }
    load(lenient, came)
    dies(lenient, random.choice([SILVER_WARNINGS_BATCH, SILVER_QUALITY_METRICS]))
    assert standing(lenient) == answer(before | came)
    # also the run that takes it back may die
    dies(strict, SILVER_QUALITY_METRICS)
    build_batch(strict)
    assert standing(lenient) == answer(before)
    tables = versions(lenient)
    build_batch(strict)
    assert versions(lenient) == tables, "it waits, and has left nothing"

    # nothing holds it any more: once that is recorded, a run that died is completed as it began
    dies(lenient, SILVER_QUALITY_METRICS)
    build_batch(strict)
    assert standing(lenient) == answer(before | came)
    last = {verdicts(lenient, day)[-1] for day in (corrected, added)}
    assert last == {"PUBLISHED"}


def test_every_table_of_every_kind_is_as_it_was(
    lenient: MortalLakehouse, strict: MortalLakehouse
) -> None:
    velocity = {"rule": "velocity_limit", "max_count": 1, "window_seconds": 3600}
    deliver(lenient, "policies", [a_policy("v", velocity)])
    deliver(lenient, "fx_rates", [a_rate("USD", "1.10")])
    log = [a_log_row(1), a_log_row(2, user_id="u", timestamp="2026-03-02T10:30:00Z")]
    deliver(lenient, "transactions", log)
    deliver(lenient, "fraud_scores", [an_offline_score(1, "0.2")])
    build_batch(lenient)
    before = {table.name: current(lenient, table) for table in TABLES}

    # a payment whose user paid again within the hour, a correction, a score, a rate, a policy
    further = [
        a_log_row(3, user_id="u", timestamp="2026-03-02T10:10:00Z"),
        a_log_row(1, amount="5"),
    ]
    deliver(lenient, "transactions", further, day=FOURTH)
    deliver(lenient, "fraud_scores", [an_offline_score(2, "0.9")], day=FOURTH)
    deliver(lenient, "fx_rates", [a_rate("USD", "1.50")], day=FOURTH)
    changed = a_policy("v", velocity | {"max_count": 9}, since="2026-03-05T00:00:00Z")
    deliver(lenient, "policies", [changed], day=FOURTH)
    dies(lenient, SILVER_QUALITY_METRICS)
    after = {table.name: current(lenient, table) for table in TABLES}
    assert all(after[name] != before[name] for name in before), "all was published"
    build_batch(strict)
    assert {table.name: current(lenient, table) for table in TABLES} == before


TABLES = (SILVER_BATCH_TRANSACTIONS, SILVER_OFFLINE_SCORES, SILVER_FX_RATES, SILVER_POLICIES)


def current(lake: MortalLakehouse, table: Table) -> list[dict[str, Any]]:
    """Rows of a table as they stand, without the number of their revision."""
    rows = [row.asDict(recursive=True) for row in lake.read(table).collect()]
    if table is SILVER_POLICIES:
        # a version whose interval is empty is never in force
        return sorted((r for r in rows if r["effective_date"] != r["effective_to"]), key=str)
    newest: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = row.get("identity") or str(row)
        if key not in newest or newest[key]["revision"] < row["revision"]:
            newest[key] = row
    kept = [row for row in newest.values() if not row.get("withdrawn")]
    return sorted(({**row, "revision": None} for row in kept), key=str)
