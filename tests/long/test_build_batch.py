"""The batch tables follow the drops: corrections, late rates, late scores, withdrawals, returns."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.config import Config
from lakehouse.context import Batch, Lakehouse, Trigger
from lakehouse.delta import latest_version, path_of
from lakehouse.lease import held_lease
from lakehouse.tables import (
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FX_RATES,
    SILVER_MONEY_EVENTS,
    SILVER_OFFLINE_SCORES,
    SILVER_POLICIES,
    SILVER_QUARANTINE_BATCH,
    Table,
)
from silver.build_batch import build_batch
from tests.conftest import LOCAL, NOON
from tests.silver.deliveries import (
    a_log_row,
    a_money_event,
    a_policy,
    a_rate,
    an_offline_score,
    deliver,
    transaction_id,
)

WRITTEN = (
    SILVER_FX_RATES,
    SILVER_POLICIES,
    SILVER_OFFLINE_SCORES,
    SILVER_MONEY_EVENTS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_QUARANTINE_BATCH,
)
LOWERED, VANISHING, WITHOUT_RATE, DELIVERED_TWICE, SCORED_LATE = range(1, 6)
OF_BUSY_USER, BEFORE_IT, STEADY, REFUSED_LATER, CORRECTED_TWICE = range(6, 11)
VELOCITY = {"rule": "velocity_limit", "max_count": 1, "window_seconds": 3600}


class KilledError(Exception):
    """Stands for a process that dies."""


@dataclass(frozen=True)
class MortalLakehouse(Lakehouse):
    """A lakehouse whose run dies just before it commits to one of these tables."""

    dies_before: list[Table] = field(default_factory=list)

    def append(
        self, rows: DataFrame, to: Table, batch: Batch | None = None, behind: int | None = None
    ) -> None:
        """Append, unless this is where the run dies."""
        if to in self.dies_before:
            raise KilledError
        super().append(rows, to, batch, behind)


@dataclass(frozen=True)
class Story:
    """A lake in which runs have been, and how each table stood after each run."""

    lake: Lakehouse
    rows: list[dict[str, list[dict[str, Any]]]]
    versions: list[dict[str, int]]

    def revisions_of(self, number: int, run: int = -1) -> list[dict[str, Any]]:
        """The revisions of a log row after that run, in order."""
        rows = self.rows[run][SILVER_BATCH_TRANSACTIONS.name]
        own = [row for row in rows if row["transaction_id"] == transaction_id(number)]
        return sorted(own, key=lambda row: row["revision"])


@contextmanager
def empty_lake(folder: Path, spark: SparkSession) -> Iterator[MortalLakehouse]:
    """A lake of its own in `folder`."""
    with pytest.MonkeyPatch.context() as environment:
        for section, key, value in (
            ("LAKE", "ROOT", folder / "lake"),
            ("LAKE", "LANDING", folder / "landing"),
            ("LEASE", "LOCATION", folder / "leases"),
        ):
            environment.setenv(f"LAKEHOUSE__{section}__{key}", str(value))
        config = Config.load(LOCAL)
    with held_lease(config, "build_batch") as lease:
        yield MortalLakehouse(
            config, spark, "build_batch", Trigger("continuous", 1), lease, lambda: NOON
        )


def standing(lake: Lakehouse) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables that the job writes, in a stable order."""
    return {
        table.name: sorted(
            (row.asDict(recursive=True) for row in lake.read(table).collect()), key=str
        )
        for table in WRITTEN
    }


def versions(lake: Lakehouse) -> dict[str, int]:
    """The newest version of each table that the job writes."""
    return {
        table.name: latest_version(lake.spark, path_of(lake.config, table)) for table in WRITTEN
    }


def killed_before(lake: MortalLakehouse, table: Table) -> None:
    """Run until the commit to that table, and die; what was committed before it stays."""
    committed, scores = versions(lake), SILVER_OFFLINE_SCORES.name
    lake.dies_before.append(table)
    with pytest.raises(KilledError):
        build_batch(lake)
    lake.dies_before.clear()
    lake.faults.clear()
    assert versions(lake)[scores] > committed[scores]
    assert versions(lake)[table.name] == committed[table.name]


def first_drops(lake: Lakehouse) -> None:
    """What was delivered on 3 March."""
    deliver(
        lake,
        "policies",
        [
            a_policy("velocity", VELOCITY),
            a_policy("geo", {"rule": "geo_block", "countries": ["KP"]}),
            a_policy("geo", '{"rule": "geo_block", "countr', since="2026-03-01"),
        ],
    )
    deliver(lake, "fx_rates", [a_rate("USD", "1.10")])
    deliver(
        lake,
        "transactions",
        [
            a_log_row(LOWERED),
            a_log_row(VANISHING),
            a_log_row(WITHOUT_RATE, currency="JPY"),
            a_log_row(DELIVERED_TWICE, amount="1", sequence=2),
            a_log_row(DELIVERED_TWICE, amount="2", sequence=1),
            a_log_row(SCORED_LATE),
            a_log_row(OF_BUSY_USER, user_id="busy"),
            a_log_row(STEADY, country="KP", timestamp="2026-03-02T23:59:59Z"),
            a_log_row(REFUSED_LATER),
            a_log_row(CORRECTED_TWICE),
            a_log_row(20, amount="12.5"),
            a_log_row(21, currency="XXX", country="Germany"),
            "{not json",
        ],
    )
    deliver(
        lake,
        "money_events",
        [a_money_event(LOWERED), a_money_event(VANISHING), a_money_event(STEADY, amount="-1")],
    )
    deliver(
        lake, "fraud_scores", [an_offline_score(STEADY, "0.95"), an_offline_score(LOWERED, "7")]
    )


def second_drops(lake: Lakehouse) -> None:
    """A corrected log, a late rate, a late score, and an earlier payment of a busy user."""
    deliver(
        lake,
        "transactions",
        [
            a_log_row(LOWERED, amount="500"),
            a_log_row(WITHOUT_RATE, currency="JPY"),
            a_log_row(DELIVERED_TWICE, amount="1", sequence=2),
            a_log_row(SCORED_LATE),
            a_log_row(OF_BUSY_USER, user_id="busy"),
            a_log_row(STEADY, country="KP", timestamp="2026-03-02T23:59:59Z"),
            a_log_row(REFUSED_LATER, amount="much"),
            a_log_row(CORRECTED_TWICE, timestamp="2026-03-01T10:00:00Z"),
        ],
        revision=1,
    )
    deliver(
        lake,
        "transactions",
        [a_log_row(BEFORE_IT, user_id="busy", timestamp="2026-03-02T09:30:00Z")],
        day=date(2026, 3, 4),
    )
    deliver(lake, "fx_rates", [a_rate("JPY", "160")], day=date(2026, 3, 4))
    deliver(lake, "fraud_scores", [an_offline_score(SCORED_LATE, "0.95")], day=date(2026, 3, 4))
    deliver(lake, "money_events", [a_money_event(LOWERED)], revision=1)


def third_drops(lake: Lakehouse) -> None:
    """A row comes back in a file of its own, another is in two files, and a policy is backdated."""
    late = [a_log_row(VANISHING), a_log_row(DELIVERED_TWICE, amount="3")]
    deliver(lake, "transactions", late, day=date(2026, 3, 5))
    deliver(
        lake,
        "policies",
        [a_policy("geo", {"rule": "geo_block", "countries": ["DE"]}, since="2026-02-01")],
        day=date(2026, 3, 5),
    )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[Story]:
    """Three deliveries with a run behind each, and a fourth run behind nothing.

    Of the second delivery's run, the first attempt dies between two commits.
    """
    with empty_lake(tmp_path_factory.mktemp("story"), spark) as lake:
        story = Story(lake, [], [])
        for delivery in (first_drops, second_drops, third_drops, lambda _: None):
            delivery(lake)
            if delivery is second_drops:
                killed_before(lake, SILVER_BATCH_TRANSACTIONS)
            build_batch(lake)
            story.rows.append(standing(lake))
            story.versions.append(versions(lake))
        yield story


def test_a_row_is_there_once_with_its_base_amount_and_its_decision(story: Story) -> None:
    (row,) = story.revisions_of(STEADY)
    assert (row["revision"], row["withdrawn"]) == (0, False)
    assert (row["amount_base"], row["fx_rate"], row["fx_status"]) == (
        Decimal(909),
        Decimal("1.1"),
        "OK",
    )
    assert (row["policy_flags"], row["recommended_action"]) == (["GEO_BLOCK"], "BLOCK")
    assert (row["score_source"], row["fraud_reason_code"]) == ("OFFLINE", "AMOUNT_ANOMALY")
    assert row["updated_at"].isoformat() == "2026-03-03T02:00:00"
    assert (row["region"], row["event_date"]) == ("EAST_ASIA", date(2026, 3, 2))


def test_a_lowered_amount_is_the_next_revision(story: Story) -> None:
    amounts = [(row["revision"], int(row["amount"])) for row in story.revisions_of(LOWERED)]
    assert amounts == [(0, 1000), (1, 500)]


def test_a_vanished_row_is_withdrawn_and_may_come_back(story: Story) -> None:
    found = [
        (row["revision"], row["withdrawn"], int(row["amount"]))
        for row in story.revisions_of(VANISHING)
    ]
    assert found == [(0, False, 1000), (1, True, 1000), (2, False, 1000)]


def test_a_row_that_its_correction_spoiled_is_withdrawn_and_in_quarantine(story: Story) -> None:
    assert [row["withdrawn"] for row in story.revisions_of(REFUSED_LATER)] == [False, True]
    refused = story.rows[1][SILVER_QUARANTINE_BATCH.name]
    assert transaction_id(REFUSED_LATER) in [row["transaction_id"] for row in refused]


def test_a_row_may_move_to_another_day(story: Story) -> None:
    days = [row["event_date"].day for row in story.revisions_of(CORRECTED_TWICE)]
    # the last standing file has it no more
    assert days == [2, 1]


def test_a_late_rate_restates_what_lacked_it(story: Story) -> None:
    found = [(row["fx_status"], row["amount_base"]) for row in story.revisions_of(WITHOUT_RATE)]
    assert found == [("MISSING", None), ("OK", Decimal(625))]


def test_a_late_score_restates_its_transaction(story: Story) -> None:
    found = [
        (row["fraud_reason_code"], row["score_source"]) for row in story.revisions_of(SCORED_LATE)
    ]
    assert found == [("UNSCORED", "NONE"), ("AMOUNT_ANOMALY", "OFFLINE")]


def test_a_payment_that_came_late_counts_for_those_behind_it(story: Story) -> None:
    behind = story.revisions_of(OF_BUSY_USER)
    assert [row["velocity"][0]["count"] for row in behind] == [1, 2]
    assert [row["policy_flag"] for row in behind] == ["NONE", "VELOCITY_LIMIT"]
    assert [row["velocity"][0]["count"] for row in story.revisions_of(BEFORE_IT)] == [1]


def test_the_declared_order_decides_between_files_and_rows(story: Story) -> None:
    amounts = [int(row["amount"]) for row in story.revisions_of(DELIVERED_TWICE)]
    assert amounts == [1, 3]


def test_a_backdated_policy_restates_nothing_by_itself(story: Story) -> None:
    assert all(
        [evidence["version"] for evidence in row["policies"] if evidence["policy_id"] == "geo"]
        == [1]
        for row in story.revisions_of(STEADY)
    )


def test_the_last_good_policy_stays_in_force_until_the_next_good_one(story: Story) -> None:
    found = [
        [
            (row["version"], row["effective_to"] and row["effective_to"].month)
            for row in after[SILVER_POLICIES.name]
            if row["policy_id"] == "geo"
        ]
        for after in story.rows[1:3]
    ]
    assert [sorted(intervals) for intervals in found] == [[(1, None)], [(1, 2), (2, None)]]


def test_money_events_and_scores_have_revisions_too(story: Story) -> None:
    money = [
        (row["event_id"][:8], row["revision"], row["withdrawn"])
        for row in story.rows[-1][SILVER_MONEY_EVENTS.name]
    ]
    assert sorted(money) == [
        ("00000001", 0, False),
        ("00000002", 0, False),
        ("00000002", 1, True),
    ]
    scores = story.rows[-1][SILVER_OFFLINE_SCORES.name]
    assert sorted(row["transaction_id"] for row in scores) == [
        transaction_id(SCORED_LATE),
        transaction_id(STEADY),
    ]


def test_what_cannot_go_on_is_in_quarantine_once_with_all_its_reasons(story: Story) -> None:
    refused = [
        (row["source_table"].removeprefix("bronze.drops_"), *row["rule_ids"])
        for row in story.rows[0][SILVER_QUARANTINE_BATCH.name]
    ]
    assert sorted(refused) == [
        ("fraud_scores", "fraud_score_out_of_range"),
        ("money_events", "amount_negative"),
        ("policies", "policy_data_malformed"),
        ("transactions", "amount_not_whole"),
        ("transactions", "currency_unknown", "country_malformed"),
        ("transactions", "payload_not_object"),
    ]
    malformed = [
        row["identity"]
        for row in story.rows[-1][SILVER_QUARANTINE_BATCH.name]
        if row["source_table"] == "bronze.drops_policies"
    ]
    assert malformed == ["geo"]


def test_a_run_with_nothing_new_commits_nothing(story: Story) -> None:
    assert story.versions[3] == story.versions[2]


def test_a_run_that_lost_its_position_computes_all_again_and_commits_nothing(
    story: Story,
) -> None:
    shutil.rmtree(f"{story.lake.config.lake.checkpoints}/build_batch")
    build_batch(story.lake)
    assert versions(story.lake) == story.versions[3]
