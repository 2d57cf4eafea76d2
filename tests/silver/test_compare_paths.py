"""Where live and batch differ on a payment, the cause is proven; without one, the job fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.delta import latest_version, path_of
from lakehouse.errors import PathsDifferError
from lakehouse.records.codes import ParityCause as Cause
from lakehouse.tables import SILVER_BATCH_TRANSACTIONS, SILVER_PARITY
from silver.revisions import latest
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
    same = {"live": [payment(name)], "log": [booked(name)]}
    return name, Case(list(causes), **same | heard)


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
            live=[payment("under a backdated policy", country="KP")],
            log=[booked("under a backdated policy", country="KP")],
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


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[Story]:
    """All cases in one lake: one micro-batch, late events, a backdated policy, a drop, a run."""
    with two_paths(tmp_path_factory.mktemp("paths"), spark) as paths:
        paths.deliver("policies", [a_policy("velocity", VELOCITY)])
        paths.build()
        paths.decide(*[record for case in CASES.values() for record in case.live])
        late = [record for case in CASES.values() for record in case.too_late]
        paths.decide(*late, number=1)
        backdated = a_policy("geo", {"rule": "geo_block", "countries": ["KP"]})
        paths.deliver("policies", [a_policy("velocity", VELOCITY), backdated], revision=1)
        paths.deliver("transactions", [row for case in CASES.values() for row in case.log])
        scores = [as_fields(score) for case in CASES.values() for score in case.scores]
        paths.deliver("fraud_scores", scores)
        paths.build()
        paths.compare()
        yield Story(paths, paths.standing())


@pytest.mark.parametrize("name", CASES)
def test_a_difference_has_exactly_its_causes(story: Story, name: str) -> None:
    found = story.first.get(an_id(name))
    # every payment of the lake was decided before the geo policy came
    causes = [cause for cause in CASES[name].causes]
    assert (found["causes"] if found else []) == [str(cause) for cause in causes]
    assert not (found and found["unexplained"])
