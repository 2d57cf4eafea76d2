"""What a path must have known is told by recorded times, to the instant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.decision import COUNTED, Regions, is_derived, known_by_then
from silver.proofs import proving_books

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
PAID_AT = datetime(2026, 3, 9, 11, tzinfo=UTC)
YEAR = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = 7

Version = tuple[str, int, datetime, datetime | None]


def after(seconds: float) -> datetime:
    """An instant around the decision at noon."""
    return NOON + timedelta(seconds=seconds)


def books(
    spark: SparkSession, *listed: tuple[datetime | None, datetime | None, list[Version]]
) -> DataFrame:
    """Books of policies, numbered from 0: since, until, versions."""
    kind = (
        "book bigint, since timestamp, until timestamp, listed array<struct<policy_id: string, "
        "version: int, effective_date: timestamp, effective_to: timestamp>>"
    )
    return spark.createDataFrame([(n, *book) for n, book in enumerate(listed)], kind)


def a_side(
    spark: SparkSession, recorded: Sequence[tuple[str, int]], until: datetime | None
) -> DataFrame:
    """A payment of 11:00 that was decided at noon, and committed at `until`."""
    kind = (
        "transaction_id string, timestamp timestamp, known_from timestamp, known_until timestamp, "
        "policies array<struct<policy_id: string, version: int>>"
    )
    return spark.createDataFrame([("t", PAID_AT, NOON, until, list(recorded))], kind)


FIRST: Version = ("p", 1, YEAR, None)
FIRST_ENDED: Version = ("p", 1, YEAR, PAID_AT)
SECOND: Version = ("p", 2, PAID_AT, None)


@pytest.mark.parametrize(
    "recorded, changed_at, proven",
    [
        pytest.param([("p", 1)], after(60), [0], id="published later: the first"),
        pytest.param([("p", 2)], after(60), [], id="published later: not the second"),
        pytest.param([("p", 2)], after(-60), [1], id="published before: the second"),
        pytest.param([("p", 1)], after(-60), [], id="published before: not the first"),
        pytest.param([("p", 1)], after(5), [0], id="meanwhile: not seen yet"),
        pytest.param([("p", 2)], after(5), [1], id="meanwhile: seen already"),
        pytest.param([], after(-60), [], id="none is not what was in force"),
        pytest.param([("p", 1), ("p", 2)], after(5), [], id="two versions of one policy"),
    ],
)  # fmt: skip
def test_a_decision_used_what_was_published_when_it_was_made(
    spark: SparkSession, recorded: list[tuple[str, int]], changed_at: datetime, proven: list[int]
) -> None:
    published = books(
        spark, (None, changed_at, [FIRST]), (changed_at, None, [FIRST_ENDED, SECOND])
    )  # fmt: skip
    found = proving_books(a_side(spark, recorded, until=after(10)), published).first()
    assert found is not None and found["books"] == proven


def test_a_book_with_two_versions_of_a_policy_proves_nothing(spark: SparkSession) -> None:
    unsound = books(spark, (None, None, [FIRST, SECOND]))
    found = proving_books(a_side(spark, [("p", 1), ("p", 2)], until=after(10)), unsound).first()
    assert found is not None and (found["books"], found["matching"]) == ([], [])


def test_a_book_of_another_time_matches_and_does_not_prove(spark: SparkSession) -> None:
    published = books(
        spark, (None, after(-60), [FIRST]), (after(-60), None, [FIRST_ENDED, SECOND])
    )  # fmt: skip
    found = proving_books(a_side(spark, [("p", 1)], until=after(10)), published).first()
    assert found is not None and (found["books"], found["matching"]) == ([], [0])


SCORES = (
    "transaction_id string, identity string, event_date date, committed_at timestamp, "
    "committed_by timestamp"
)
TODAY = NOON.date()


def at(seconds: float) -> tuple[datetime | None, datetime]:
    """Committed at this time, as the log of the scores says."""
    return after(seconds), after(seconds)


def by(seconds: float) -> tuple[datetime | None, datetime]:
    """Committed before the log of the scores begins."""
    return None, after(seconds)


@pytest.mark.parametrize(
    "day, committed_at, until, is_used, is_known, may_have_been",
    [
        pytest.param(TODAY, at(1), after(10), False, True, True, id="committed before the payment"),
        pytest.param(TODAY, at(11), after(10), False, False, False, id="committed behind it"),
        pytest.param(TODAY, by(10), after(10), False, True, True, id="cut off: committed before"),
        pytest.param(TODAY, by(11), after(10), False, False, True, id="cut off: before, or not"),
        pytest.param(TODAY, by(11), after(10), True, True, True, id="cut off, and used"),
        pytest.param(TODAY, at(11), after(10), True, False, False, id="used, committed behind it"),
        pytest.param(date(2026, 3, 1), at(1), after(10), False, False, False, id="not looked for"),
        pytest.param(date(2026, 3, 1), at(1), after(10), True, True, True, id="far, and used"),
        pytest.param(date(2026, 3, 2), at(1), after(10), False, True, True, id="the last day"),
        pytest.param(TODAY, at(0), None, False, True, True, id="no time: before the decision"),
        pytest.param(TODAY, at(1), None, False, False, True, id="no time: behind the decision"),
        pytest.param(TODAY, by(0), None, False, True, True, id="no times: before the decision"),
        pytest.param(TODAY, by(1), None, False, False, True, id="no times: before it, or not"),
        pytest.param(TODAY, by(1), None, True, True, True, id="no times: the one used"),
        pytest.param(TODAY, at(1), None, True, True, True, id="no time: the one used"),
    ],
)  # fmt: skip
def test_a_score_was_known_if_it_was_committed_before(
    spark: SparkSession,
    day: date,
    committed_at: tuple[datetime | None, datetime],
    until: datetime | None,
    is_used: bool,
    is_known: bool,
    may_have_been: bool,
) -> None:
    side = spark.createDataFrame(
        [("t", "u", "s" if is_used else "other", TODAY, NOON, until)],
        "transaction_id string, user_id string, score_id string, event_date date, "
        "known_from timestamp, known_until timestamp",
    )
    scores = spark.createDataFrame([("t", "s", day, *committed_at)], SCORES)
    payments = spark.createDataFrame([], counted_kind())
    found = [
        known_by_then(side, payments, scores, WINDOW, in_doubt=in_doubt).scores.count()
        for in_doubt in (False, True)
    ]
    assert found == [is_known, may_have_been]


def test_payments_of_the_user_count_up_to_the_decision_and_for_it_alone(
    spark: SparkSession,
) -> None:
    def a_row(user: str, name: str, decided_at: datetime) -> tuple[Any, ...]:
        return user, name, PAID_AT, "AUTHORIZED", "EUR", None, decided_at

    payments = spark.createDataFrame(
        [
            a_row("u", "before", after(-1)),
            a_row("u", "with it", NOON),
            a_row("u", "later", after(60)),
            a_row("v", "of another", after(-1)),
        ],
        counted_kind(),
    )
    sides = spark.createDataFrame(
        [("t", "u", None, TODAY, NOON, after(1)), ("s", "u", None, TODAY, after(60), after(61))],
        "transaction_id string, user_id string, score_id string, event_date date, "
        "known_from timestamp, known_until timestamp",
    )
    known = known_by_then(sides, payments, spark.createDataFrame([], SCORES), WINDOW)
    assert known.payments.columns == list(COUNTED)
    user_of = {row["transaction_id"]: row["user_id"] for row in known.sides.collect()}
    seen = {
        name: {
            row["transaction_id"]
            for row in known.payments.where(F.col("user_id") == user_of[name]).collect()
        }
        for name in ("t", "s")
    }
    assert seen == {"t": {"before", "with it"}, "s": {"before", "with it", "later"}}


def test_a_region_follows_from_its_country_by_one_of_the_files(spark: SparkSession) -> None:
    files = [
        Regions(default="OTHER", regions={"EUROPE": ("DE",)}),
        Regions(default="OTHER", regions={"DACH": ("DE",)}),
    ]
    rows = [("DE", "EUROPE"), ("DE", "DACH"), ("DE", "OTHER"), ("FR", "OTHER"), (None, None)]
    sides = spark.createDataFrame(rows, "country string, region string")
    assert [row[0] for row in sides.select(is_derived(files)).collect()] == [
        True, True, False, True, True,
    ]  # fmt: skip


def counted_kind() -> str:
    """The columns that `known_by_then` needs of payments."""
    return (
        "user_id string, transaction_id string, timestamp timestamp, transaction_status string, "
        "currency string, amount decimal(15,2), decided_at timestamp"
    )
