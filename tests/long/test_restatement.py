"""What comes late restates what it concerns; a backdated policy on command only, not by the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
import typer
from pyspark.sql import SparkSession

from lakehouse.context import Lakehouse
from lakehouse.delta import latest_version, path_of
from lakehouse.tables import SILVER_BATCH_TRANSACTIONS, SILVER_OFFLINE_SCORES
from silver.build_batch import build_batch
from silver.days import days_named
from tests.long.test_build_batch import empty_lake
from tests.silver.deliveries import (
    a_log_row,
    a_policy,
    a_rate,
    an_offline_score,
    deliver,
    transaction_id,
)

UNTOUCHED, WITHOUT_RATE, SCORED_LATE, CORRECTED, MOVED, NEXT_DAY = range(1, 7)
SPENT_BEFORE, SPENT, ABROAD, RATE_CORRECTED, MOVED_BY_A_YEAR = range(7, 12)
OF_A_SPENDER = {"user_id": "spender", "currency": "EUR"}
LATER = date(2026, 3, 4)


@dataclass(frozen=True)
class Story:
    """How the log stood after the first run, the second, and two restatements of 2 March."""

    rows: list[dict[str, list[dict[str, Any]]]]
    versions: list[int]
    scores: list[tuple[str, str]]  # transaction and model of each offline score, at the end

    def revisions_of(self, number: int, run: int) -> list[dict[str, Any]]:
        """The revisions of a log row after that run, in order."""
        return self.rows[run].get(transaction_id(number), [])

    def geo_versions_of(self, number: int, run: int) -> list[list[int]]:
        """By which versions of the geo policy each revision was decided."""
        return [
            [found["version"] for found in row["policies"] if found["policy_id"] == "geo"]
            for row in self.revisions_of(number, run)
        ]


def first_drops(lake: Lakehouse) -> None:
    """A log of two days under a policy that blocks nothing in it."""
    spending = {"rule": "velocity_limit", "currency": "EUR", "max_amount": 1500,
                "window_seconds": 3600}  # fmt: skip
    deliver(
        lake,
        "policies",
        [a_policy("geo", {"rule": "geo_block", "countries": ["KP"]}), a_policy("spent", spending)],
    )
    deliver(lake, "fx_rates", [a_rate("USD", "1.10"), a_rate("GBP", "0.80")])
    deliver(
        lake,
        "transactions",
        [
            a_log_row(UNTOUCHED),
            a_log_row(WITHOUT_RATE, currency="JPY"),
            a_log_row(SCORED_LATE),
            a_log_row(CORRECTED),
            a_log_row(MOVED),
            a_log_row(NEXT_DAY, timestamp="2026-03-03T00:00:00Z"),
            a_log_row(SPENT_BEFORE, **OF_A_SPENDER, country="FR", timestamp="2026-03-02T09:30:00Z"),
            a_log_row(SPENT, **OF_A_SPENDER, country="FR"),
            a_log_row(ABROAD, country="FR"),
            a_log_row(RATE_CORRECTED, currency="GBP"),
            a_log_row(MOVED_BY_A_YEAR),
        ],
    )


def second_drops(lake: Lakehouse) -> None:
    """A policy backdated over all of it; a rate, a score and corrections at the same time."""
    blocked = a_policy("geo", {"rule": "geo_block", "countries": ["DE"]}, since="2026-02-01")
    deliver(lake, "policies", [blocked], day=LATER)
    deliver(lake, "fx_rates", [a_rate("JPY", "160"), a_rate("GBP", "0.50")], day=LATER)
    older = {"model_version": "offline-9", "inference_time": "2026-03-03T01:59:59Z"}
    deliver(
        lake,
        "fraud_scores",
        [an_offline_score(SCORED_LATE, "0.95"), an_offline_score(SCORED_LATE, "0.10", **older)],
        day=LATER,
    )
    deliver(
        lake,
        "transactions",
        [
            a_log_row(CORRECTED, amount="500"),
            a_log_row(MOVED, timestamp="2026-03-02T11:00:00Z"),
            a_log_row(MOVED_BY_A_YEAR, timestamp="2025-03-02T10:00:00Z"),
            a_log_row(
                SPENT_BEFORE, **OF_A_SPENDER, country="FR", timestamp="2026-03-02T09:30:00Z",
                amount="100",
            ),
        ],
        day=LATER,
    )  # fmt: skip


def standing(lake: Lakehouse) -> dict[str, list[dict[str, Any]]]:
    """All revisions of all log rows, by transaction."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in lake.read(SILVER_BATCH_TRANSACTIONS).orderBy("revision").collect():
        found.setdefault(row["transaction_id"], []).append(row.asDict(recursive=True))
    return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[Story]:
    """Two runs, and the same restatement twice."""
    with empty_lake(tmp_path_factory.mktemp("restated"), spark) as lake:
        story = Story([], [], [])
        for deliveries, days in ((first_drops, None), (second_drops, None), (None, "2026-03-02"),
                                 (None, "2026-03-02")):  # fmt: skip
            if deliveries:
                deliveries(lake)
            build_batch(lake, restate=days)
            story.rows.append(standing(lake))
            path = path_of(lake.config, SILVER_BATCH_TRANSACTIONS)
            story.versions.append(latest_version(spark, path))
        scores = lake.read(SILVER_OFFLINE_SCORES).collect()
        story.scores.extend((row["transaction_id"], row["model_version"]) for row in scores)
        yield story


def test_a_corrected_rate_restates_what_was_converted_by_it(story: Story) -> None:
    found = [int(row["amount_base"]) for row in story.revisions_of(RATE_CORRECTED, run=1)]
    assert found == [1250, 2000]


def test_all_offline_scores_are_kept_and_the_newest_is_the_best(story: Story) -> None:
    own = transaction_id(SCORED_LATE)
    assert sorted(story.scores) == [(own, "offline-1"), (own, "offline-9")]
    best = story.revisions_of(SCORED_LATE, run=1)[-1]
    assert (best["model_version"], str(best["fraud_score"])) == ("offline-1", "0.950000")


@pytest.mark.parametrize("number", [WITHOUT_RATE, SCORED_LATE, CORRECTED, RATE_CORRECTED])
def test_what_is_restated_for_another_reason_keeps_its_policies(story: Story, number: int) -> None:
    assert story.geo_versions_of(number, run=1) == [[1], [1]]
    assert [row["policy_flag"] for row in story.revisions_of(number, run=1)] == ["NONE", "NONE"]


def test_a_payment_of_another_time_is_decided_by_the_policies_of_that_time(story: Story) -> None:
    assert story.geo_versions_of(MOVED, run=1) == [[1], [2]]


def test_a_corrected_amount_restates_the_sum_that_it_is_in(story: Story) -> None:
    found = [
        (int(row["velocity"][0]["amount"]), row["policy_flag"])
        for row in story.revisions_of(SPENT, run=1)
    ]
    assert found == [(2000, "VELOCITY_LIMIT"), (1100, "NONE")]


def test_a_row_that_was_moved_away_is_no_row_of_the_restated_day(story: Story) -> None:
    before, after = (story.revisions_of(MOVED_BY_A_YEAR, run) for run in (1, 2))
    assert [(row["revision"], row["timestamp"].year) for row in after] == [(0, 2026), (1, 2025)]
    assert before == after


def test_a_restated_day_is_decided_by_the_policies_of_now(story: Story) -> None:
    for number in (UNTOUCHED, WITHOUT_RATE, SCORED_LATE, CORRECTED):
        last = story.revisions_of(number, run=2)[-1]
        assert last["revision"] == len(story.revisions_of(number, run=1))
        assert (last["policy_flag"], last["recommended_action"]) == ("GEO_BLOCK", "BLOCK")
    assert story.geo_versions_of(UNTOUCHED, run=2) == [[1], [2]]
    money = [story.revisions_of(WITHOUT_RATE, run)[-1]["amount_base"] for run in (1, 2)]
    assert money[0] == money[1]


def test_evidence_of_another_policy_version_is_a_revision_even_if_nothing_fires(
    story: Story,
) -> None:
    assert story.geo_versions_of(ABROAD, run=2) == [[1], [2]]
    assert {row["policy_flag"] for row in story.revisions_of(ABROAD, run=2)} == {"NONE"}


def test_other_days_and_what_is_decided_so_already_stay(story: Story) -> None:
    for number in (NEXT_DAY, MOVED):
        assert story.revisions_of(number, run=2) == story.revisions_of(number, run=1)


def test_a_restatement_is_one_commit_and_a_second_one_none(story: Story) -> None:
    first, second = story.versions[2] - story.versions[1], story.versions[3] - story.versions[2]
    assert (first, second) == (1, 0)


@pytest.mark.parametrize(
    "text, days",
    [
        ("2026-03-02", {date(2026, 3, 2)}),
        ("2026-02-28:2026-03-01", {date(2026, 2, 28), date(2026, 3, 1)}),
    ],
)
def test_days_are_named_with_both_ends(text: str, days: set[date]) -> None:
    assert days_named(text, "--days") == days


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-03-02:", "2026-03-02:2026-03-01", "2026-3"]
)
def test_what_names_no_days_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        days_named(text, "--days")
