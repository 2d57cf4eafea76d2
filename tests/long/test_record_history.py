"""History answers as-of questions exactly as time travel does, and each version is chained once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from gold.chain import links_of, verify
from gold.following import Span, follow
from gold.history import field_groups, history_rows
from gold.prove_history import prove_history
from gold.record_history import (
    _append_history,
    complete_through,
    gold_as_of,
    record_history,
)
from lakehouse.config import Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.delta import latest_version, path_of
from lakehouse.errors import (
    BeyondKnownHistoryError,
    FollowerAheadError,
    HistoryBrokenError,
    OvertakenError,
)
from lakehouse.fold.precedence import load_precedence
from lakehouse.tables import (
    GOLD_HISTORY_CHAIN,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
    Table,
)
from tests.gold.as_of import remembered, travelled
from tests.gold.rows import MORNING, a_contribution, a_gold_row, append, frame, merge_gold
from tests.gold.stalled import begun, stalled

Opener = Callable[[str], Lakehouse]

SETTLED = {"settlement_status": "SETTLED", "settled_amount": "1200"}


def test_history_as_of_equals_time_travel_for_every_version(lake_for: Opener) -> None:
    gold, history = lake_for("consolidate"), lake_for("record_history")
    append(gold, GOLD_TRANSACTIONS, a_gold_row("a"), a_gold_row("b", currency="JPY"))
    append(gold, GOLD_TRANSACTIONS, a_gold_row("d"))  # a second small file in that partition
    record_history(history)
    merge_gold(gold, a_gold_row("a", **SETTLED), a_gold_row("c"))
    # to another day and another region
    merge_gold(gold, a_gold_row("b", currency="JPY", event_date=date(2026, 3, 7), region="ASIA"))
    record_history(history)
    gold.writable(GOLD_TRANSACTIONS).optimize().executeCompaction()
    merge_gold(gold, a_gold_row("c", contributions=[a_contribution(), a_contribution("late")]))
    record_history(history)
    record_history(history)  # nothing is new

    newest = latest_version(gold.spark, path_of(gold.config, GOLD_TRANSACTIONS))
    assert complete_through(history) == newest == 6
    known = remembered(history, range(newest + 1))
    assert len(known) == 0 + 2 + 3 + 4 + 4 + 4 + 4
    assert known == travelled(history, range(newest + 1))

    links = links_of(history.read(GOLD_HISTORY_CHAIN))
    assert verify(links) == []
    said = [(one.operation, one.rows_changed, one.amounts, one.gold_rows) for one in links]
    assert said == [
        ("CREATE TABLE", 0, "{}", 0),
        ("WRITE", 2, '{"EUR": "1200.00", "JPY": "1200.00"}', 2),
        ("WRITE", 1, '{"EUR": "1200.00"}', 3),
        ("MERGE", 2, '{"EUR": "2400.00"}', 4),
        ("MERGE", 1, '{"JPY": "1200.00"}', 4),
        ("OPTIMIZE", 0, "{}", 4),
        ("MERGE", 1, '{"EUR": "1200.00"}', 4),
    ]
    assert links[-1].gold_amounts == '{"EUR": "3600.00", "JPY": "1200.00"}'
    assert len({link.commit_hash for link in links}) == 7
    assert prove_history(history).breaks == []

    rows = history.read(GOLD_TRANSACTION_HISTORY)
    assert "payer-1" not in "".join(rows.toJSON().collect())
    known_from = {row.gold_version: row.known_from for row in rows.collect()}
    committed = {link.gold_version: link.committed_at for link in links}
    assert all(at.astimezone() == committed[v] for v, at in known_from.items())
    with pytest.raises(BeyondKnownHistoryError, match="complete through version 6"):
        gold_as_of(history, 7)


def test_a_history_row_names_the_field_groups_that_changed(
    spark: SparkSession, config: Config
) -> None:
    first = a_gold_row("a", amount=None, currency=None)
    settled = a_gold_row("a", **SETTLED)
    other_payer = settled | {"user_id": "payer-2"}
    flagged = other_payer | {"exceptions": ["REFUND_EXCESS"]}
    moved = flagged | {"event_date": date(2026, 3, 7), "country": "FR"}
    feed = [
        (1, "insert", first),
        (2, "update_preimage", first), (2, "update_postimage", settled),
        (3, "update_preimage", settled), (3, "update_postimage", other_payer),
        (4, "update_preimage", other_payer), (4, "update_postimage", flagged),
        (5, "delete", flagged), (5, "insert", moved),
    ]  # fmt: skip
    rows = frame(spark, GOLD_TRANSACTIONS, [row for _, _, row in feed])
    place = F.monotonically_increasing_id()
    changes = rows.coalesce(1).withColumns(
        {
            "_commit_version": _of_place(place, [version for version, _, _ in feed]),
            "_change_type": _of_place(place, [kind for _, kind, _ in feed]),
            "_commit_timestamp": F.lit(MORNING),
        }
    )
    groups = field_groups(load_precedence(config.rules.precedence))
    found = changes.transform(history_rows(groups)).orderBy("gold_version").collect()
    assert [row.changed_groups for row in found] == [
        ["money", "payment_facts", "score", "transaction_status"],  # those that have a value
        ["money", "payment_facts"],
        ["payment_facts"],
        [],  # what is derived from several groups belongs to none
        ["payment_facts"],  # a move that was written as a delete and an insert
    ]


def test_a_crash_between_history_and_chain_doubles_nothing_and_another_gold_is_refused(
    lake_for: Opener, tmp_path: Path
) -> None:
    gold, history = lake_for("consolidate"), lake_for("record_history")
    append(gold, GOLD_TRANSACTIONS, a_gold_row("a"))
    span = Span(after=-1, upto=1)
    _append_history(history, span, behind=-1)  # ... and the process died
    assert complete_through(history) == -1
    merge_gold(gold, a_gold_row("a", **SETTLED))

    record_history(history)

    rows = history.read(GOLD_TRANSACTION_HISTORY).orderBy("gold_version").collect()
    assert [row.gold_version for row in rows] == [1, 2]
    links = links_of(history.read(GOLD_HISTORY_CHAIN))
    assert [link.rows_changed for link in links] == [0, 1, 1]
    assert verify(links) == []

    # the same history and chain beside a Gold that was built anew, with as many versions
    elsewhere = _lake_in(tmp_path / "rebuilt", history)
    for table in (GOLD_TRANSACTION_HISTORY, GOLD_HISTORY_CHAIN):
        copytree(path_of(history.config, table), path_of(elsewhere.config, table))
    append(elsewhere, GOLD_TRANSACTIONS, a_gold_row("a"))
    append(elsewhere, GOLD_TRANSACTIONS, a_gold_row("b"))
    with pytest.raises(FollowerAheadError, match="the table was replaced"):
        record_history(elsewhere)


@pytest.mark.parametrize(
    "table", [GOLD_TRANSACTION_HISTORY, GOLD_HISTORY_CHAIN], ids=lambda table: table.name
)
def test_of_two_runs_that_read_up_to_different_versions_one_appends(
    lake_for: Opener, table: Table
) -> None:
    gold, history = lake_for("consolidate"), lake_for("record_history")
    append(gold, GOLD_TRANSACTIONS, a_gold_row("a"))
    with begun(record_history, history, at=table) as finish_the_first:
        append(gold, GOLD_TRANSACTIONS, a_gold_row("b"))
        with pytest.raises(OvertakenError, match=table.name):
            record_history(stalled(history, finish_the_first, at=table))
    assert complete_through(history) == 1

    record_history(history)
    rows = history.read(GOLD_TRANSACTION_HISTORY).orderBy("gold_version").collect()
    assert [row.gold_version for row in rows] == [1, 2]
    assert prove_history(history).breaks == []


@pytest.mark.parametrize(
    "planted, told",
    [
        ({"gold_version": 99}, "version 2 changed 1 rows, and history has 0"),
        ({"amount": 1}, "version 2 has other rows of history than Gold's change feed"),
    ],
    ids=["of a version to come", "in the place of the real ones"],
)
def test_rows_of_history_that_somebody_planted_are_not_signed(
    lake_for: Opener, planted: dict[str, int], told: str
) -> None:
    gold, history = lake_for("consolidate"), lake_for("record_history")
    append(gold, GOLD_TRANSACTIONS, a_gold_row("a"))
    record_history(history)
    append(gold, GOLD_TRANSACTIONS, a_gold_row("b"))
    forged = history.read(GOLD_TRANSACTION_HISTORY).withColumn(
        "gold_version", F.lit(2).cast("long")
    )
    for name, value in planted.items():
        forged = forged.withColumn(name, F.lit(value).cast(forged.schema[name].dataType))
    history.append(forged, GOLD_TRANSACTION_HISTORY)
    with pytest.raises(HistoryBrokenError, match=told):
        record_history(history)
    assert complete_through(history) == 1


@pytest.mark.parametrize(("mode", "steps"), [("once", 1), ("continuous", 3)])
def test_a_follower_steps_once_or_until_it_is_interrupted(
    lake_for: Opener, mode: str, steps: int
) -> None:
    taken: list[str] = []

    def step(lake: Lakehouse) -> None:
        taken.append(lake.job)
        if len(taken) == 3:
            raise KeyboardInterrupt

    follow(replace(lake_for("record_history"), trigger=Trigger(mode, 1)), step)
    assert len(taken) == steps


def _lake_in(root: Path, lake: Lakehouse) -> Lakehouse:
    place = lake.config.lake.model_copy(update={"root": str(root)})
    return replace(lake, config=lake.config.model_copy(update={"lake": place}))


def _of_place(place: Column, values: list[Any]) -> Column:
    return F.element_at(F.array(*[F.lit(value) for value in values]), (place + 1).cast("int"))
