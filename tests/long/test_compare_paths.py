"""Where live and batch differ on a payment, the cause is proven; without one, the job fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.delta import latest_version, path_of
from lakehouse.errors import PathsDifferError
from lakehouse.records.codes import ParityCause as Cause
from lakehouse.tables import SILVER_BATCH_TRANSACTIONS, SILVER_PARITY
from tests.silver.deliveries import a_policy
from tests.silver.live_records import Record, a_payment, a_score, an_id
from tests.silver.two_paths import TwoPaths, as_booked, as_fields, two_paths

VELOCITY = {"rule": "velocity_limit", "max_count": 1, "window_seconds": 3600}
OFFLINE = {"fraud_score": 0.95, "inference_time": "2026-03-10T02:00:00Z"}


@dataclass(frozen=True)
class Case:
    """What each path hears of one payment, and the causes by which they differ."""

    causes: list[Cause]
    live: list[Record] = field(default_factory=list)
    too_late: list[Record] = field(default_factory=list)  # events behind the decisions
    log: list[dict[str, Any]] = field(default_factory=list)
    scores: list[Record] = field(default_factory=list)  # of the offline model


def payment(name: str, **fields: Any) -> Record:
    """A payment of a user of its own."""
    return a_payment(name, **{"user_id": f"user of {name}"} | fields)


def booked(name: str, **fields: Any) -> dict[str, Any]:
    """That payment in the log."""
    return as_booked(payment(name, **fields))


def case(name: str, *causes: Cause, **heard: Any) -> tuple[str, Case]:
    """A payment that is the same on both paths, but for what is named."""
    same: dict[str, Any] = {"live": [payment(name)], "log": [booked(name)]}
    return name, Case(list(causes), **same | heard)


CHANGE = "2026-03-09T08:30:00Z"
AFTER_CHANGE = {"timestamp": "2026-03-09T08:31:00Z", "country": "KP"}
EARLIER = {"timestamp": "2026-03-09T07:59:00Z"}
CASES = dict(
    [
        case("equal"),
        case(
            "equally scored",
            live=[payment("equally scored"), a_score("equally scored")],
            scores=[a_score("equally scored")],
        ),
        case("scored late", Cause.LATE_SCORE, scores=[a_score("scored late", **OFFLINE)]),
        case(
            "scored twice",
            Cause.OTHER_SCORE,
            live=[payment("scored twice"), a_score("scored twice")],
            scores=[a_score("scored twice", **OFFLINE)],
        ),
        case(
            "not scored offline",
            Cause.LIVE_SCORE_ONLY,
            live=[payment("not scored offline"), a_score("not scored offline")],
        ),
        case(
            "under a backdated policy",
            Cause.POLICY_CHANGED,
            live=[payment("under a backdated policy", **AFTER_CHANGE)],
            log=[booked("under a backdated policy", **AFTER_CHANGE)],
        ),
        case(
            "behind a late one",
            Cause.VELOCITY_COMPLETED,
            too_late=[payment("late", user_id="user of behind a late one", **EARLIER)],
            log=[
                booked("behind a late one"),
                booked("late", user_id="user of behind a late one", **EARLIER),
            ],
        ),
        case("late", live=[], log=[]),
        case(
            "behind a booking",
            Cause.VELOCITY_OF_OTHERS,
            log=[
                booked("behind a booking"),
                booked("in the log only", user_id="user of behind a booking", **EARLIER),
            ],
        ),
        case("in the log only", Cause.MISSING_LIVE, live=[], log=[]),
        case("in the topic only", Cause.MISSING_BATCH, log=[]),
        case("amount", Cause.AMOUNT_CORRECTED, log=[booked("amount", amount=900)]),
        case("country", Cause.FACTS_CORRECTED, log=[booked("country", country="FR")]),
        case(
            "all at once",
            Cause.LATE_SCORE,
            Cause.AMOUNT_CORRECTED,
            log=[booked("all at once", amount=900)],
            scores=[a_score("all at once", **OFFLINE)],
        ),
    ]
)


@dataclass(frozen=True)
class Story:
    """A lake after its first comparison, and what stood in silver.parity then."""

    paths: TwoPaths
    first: dict[str, Row]

    def plant(self, name: str, revision: int, **wrong: Any) -> None:
        """Append the payment's first log row under another revision, with wrong values."""
        lake = self.paths.batch
        rows = lake.read(SILVER_BATCH_TRANSACTIONS).where(
            (F.col("transaction_id") == an_id(name)) & (F.col("revision") == 0)
        )
        kinds = SILVER_BATCH_TRANSACTIONS.schema
        values = {
            column: F.array() if value == [] else F.lit(value) for column, value in wrong.items()
        }
        planted = {column: value.cast(kinds[column].dataType) for column, value in values.items()}
        lake.append(
            rows.withColumns({"revision": F.lit(revision), **planted}), SILVER_BATCH_TRANSACTIONS
        )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[Story]:
    """All cases in one lake: one micro-batch, late events, a backdated policy, a drop, a run."""
    with two_paths(tmp_path_factory.mktemp("paths"), spark) as paths:
        paths.publish("velocity", VELOCITY)
        paths.decide(*[record for case in CASES.values() for record in case.live])
        late = [record for case in CASES.values() for record in case.too_late]
        paths.decide(*late, number=1)
        backdated = a_policy("geo", {"rule": "geo_block", "countries": ["KP"]}, since=CHANGE)
        paths.deliver("policies", [a_policy("velocity", VELOCITY), backdated])
        paths.deliver("transactions", [row for case in CASES.values() for row in case.log])
        scores = [as_fields(score) for case in CASES.values() for score in case.scores]
        paths.deliver("fraud_scores", scores)
        paths.build()
        paths.compare()
        yield Story(paths, paths.standing())


@pytest.mark.parametrize("name", CASES)
def test_a_difference_has_exactly_its_causes(story: Story, name: str) -> None:
    found = story.first.get(an_id(name))
    assert (found["causes"] if found else []) == [str(cause) for cause in CASES[name].causes]
    assert not (found and found["unexplained"])


def test_what_differs_is_named_on_the_pair_that_was_compared(story: Story) -> None:
    found = story.first[an_id("under a backdated policy")]
    assert (found["event_id"], found["batch_revision"]) == (
        an_id("event under a backdated policy"),
        0,
    )
    assert found["differences"] == ["policies", "policy_flags", "policy_flag", "recommended_action"]


@pytest.mark.parametrize("days", [None, "2026-03-09"])
def test_a_comparison_without_news_adds_nothing(story: Story, days: str | None) -> None:
    before = version_of(story)
    story.paths.compare(days)
    assert version_of(story) == before


@pytest.mark.parametrize(
    "name, wrong, unexplained",
    [
        ("equal", {"recommended_action": "BLOCK"}, ["recommended_action"]),
        ("equally scored", {"fraud_score": Decimal("0.5")}, ["fraud_score"]),
        ("scored twice", {"fraud_reason_code": "NONE"}, ["fraud_reason_code"]),
        ("amount", {"policy_flag": "GEO_BLOCK"}, ["policy_flag"]),
        ("behind a late one", {"velocity": []}, ["velocity"]),
    ],
)
def test_a_difference_that_does_not_follow_from_its_evidence_fails_until_it_is_gone(
    story: Story, name: str, wrong: dict[str, Any], unexplained: list[str]
) -> None:
    story.plant(name, revision=1, **wrong)
    with pytest.raises(PathsDifferError, match=rf"on 1 payments .*{an_id(name)}.*explain"):
        story.paths.compare()
    assert set(unexplained) <= set(story.paths.standing()[an_id(name)]["unexplained"])
    with pytest.raises(PathsDifferError):
        story.paths.compare()
    story.plant(name, revision=2)
    story.paths.compare()
    standing, first = story.paths.standing().get(an_id(name)), story.first.get(an_id(name))
    assert (standing and standing["causes"]) == (first and first["causes"])


def version_of(story: Story) -> int:
    lake = story.paths.parity
    return latest_version(lake.spark, path_of(lake.config, SILVER_PARITY))
