"""Deequ, SQL and plain Python agree on every figure; what only a sketch can say, SQL does not."""

from __future__ import annotations

from decimal import Decimal
from math import ceil
from random import Random
from statistics import fmean

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.quality.deequ import is_present, measured_by_deequ
from lakehouse.quality.measures import (
    ApproxDistinctCount,
    ApproxQuantile,
    Compliance,
    Measure,
    Measuring,
    OfColumn,
    OfColumns,
    Size,
    measured_by_sql,
)

Payment = tuple[int, Decimal, str | None, Decimal, str]
SCHEMA = "id bigint, amount decimal(15,2), user_id string, score decimal(7,6), status string"
QUANTILE = ApproxQuantile(kind="approx_quantile", column="score", quantile=0.9)
ABOUT = ApproxDistinctCount(kind="approx_distinct_count", column="user_id")


def seeded_payments(seed: int = 20260302, count: int = 2_000) -> list[Payment]:
    """Payments with repeated ids, users that are missing, and skewed scores."""
    random = Random(seed)
    return [
        (
            random.randrange(count),
            Decimal(random.randrange(10**7)),
            f"user-{random.randrange(1_000)}" if random.random() < 0.9 else None,
            Decimal(round(random.random() ** 3 * 10**6)) / 10**6,
            random.choice(["AUTHORIZED", "DECLINED", "PENDING"]),
        )
        for _ in range(count)
    ]


def exact_figures(payments: list[Payment]) -> dict[Measure, float]:
    """What plain Python says."""
    ids = [payment[0] for payment in payments]
    users = [payment[2] for payment in payments if payment[2] is not None]
    amounts, scores = [p[1] for p in payments], [float(p[3]) for p in payments]
    declined = sum(payment[4] == "DECLINED" for payment in payments)
    pairs = {(payment[0], payment[4]) for payment in payments}
    once = sum(ids.count(number) == 1 for number in set(ids))
    return {
        Size(kind="size"): len(payments),
        OfColumn(kind="completeness", column="user_id"): len(users) / len(payments),
        OfColumn(kind="minimum", column="amount"): float(min(amounts)),
        OfColumn(kind="maximum", column="amount"): float(max(amounts)),
        OfColumn(kind="mean", column="score"): fmean(scores),
        OfColumns(kind="uniqueness", columns=("id",)): once / len(ids),
        # who is not known is nobody's double
        OfColumns(kind="uniqueness", columns=("user_id",)): (
            sum(users.count(user) == 1 for user in set(users)) / len(users)
        ),
        OfColumns(kind="distinct_count", columns=("user_id",)): len(set(users)),
        OfColumns(kind="distinct_count", columns=("id", "status")): len(pairs),
        Compliance(kind="compliance", predicate="status = 'DECLINED'"): declined / len(payments),
        # of a user who is not known it is not true
        Compliance(kind="compliance", predicate="nullif(status, status) = 'x'"): 0.0,  # all null
        Compliance(kind="compliance", predicate="user_id <> 'user-1'"): (
            sum(user != "user-1" for user in users) / len(payments)
        ),
    }


@pytest.fixture(scope="module")
def payments() -> list[Payment]:
    return seeded_payments()


@pytest.fixture(scope="module")
def rows(spark: SparkSession, payments: list[Payment]) -> DataFrame:
    return spark.createDataFrame(payments, SCHEMA).repartition(3).localCheckpoint()


@pytest.mark.parametrize("measured", [measured_by_deequ, measured_by_sql])
def test_exact_figures_are_those_of_plain_python(
    rows: DataFrame, payments: list[Payment], measured: Measuring
) -> None:
    expected = exact_figures(payments)
    found = measured(rows, list(expected)).values
    assert {m.name: found[m] for m in expected} == pytest.approx(
        {m.name: value for m, value in expected.items()}, rel=1e-12
    )


def test_sketches_are_as_near_as_they_promise(rows: DataFrame, payments: list[Payment]) -> None:
    found = measured_by_deequ(rows, [QUANTILE, ABOUT]).values
    scores = sorted(float(payment[3]) for payment in payments)
    error = QUANTILE.relative_error
    low, high = (
        scores[min(ceil(len(scores) * share), len(scores) - 1)]
        for share in (QUANTILE.quantile - error, QUANTILE.quantile + error)
    )
    value, users = found[QUANTILE], found[ABOUT]
    assert value is not None and low <= value <= high
    distinct = len({payment[2] for payment in payments} - {None})
    # HyperLogLog++ with Deequ's precision: a standard error of 5 %
    assert users is not None and users == pytest.approx(distinct, rel=0.15)


def test_what_only_a_sketch_can_say_sql_does_not(rows: DataFrame) -> None:
    size = Size(kind="size")
    assert set(measured_by_sql(rows, [QUANTILE, size, ABOUT]).values) == {size}


@pytest.mark.parametrize("measured", [measured_by_deequ, measured_by_sql])
def test_no_rows_have_a_size_and_nothing_else(rows: DataFrame, measured: Measuring) -> None:
    expected = exact_figures(seeded_payments(count=10))
    counts = {m for m in expected if isinstance(m, Size) or "distinct_count" in m.name}
    found = measured(rows.where("false"), list(expected)).values
    assert {m for m, value in found.items() if value is None} == expected.keys() - counts
    assert {found[measure] for measure in counts} == {0.0}


@pytest.mark.parametrize("measured", [measured_by_deequ, measured_by_sql])
def test_a_measure_that_fails_on_the_rows_is_named_and_the_others_are_measured(
    rows: DataFrame, payments: list[Payment], measured: Measuring
) -> None:
    divided = Compliance(kind="compliance", predicate="1 / (id - id) > 0")
    # the text of this error quotes the value
    cast = Compliance(kind="compliance", predicate="cast(status as int) > 0")
    size, distinct = Size(kind="size"), OfColumns(kind="distinct_count", columns=("status",))
    found = measured(rows, [divided, size, cast, distinct])
    assert found.faults == {divided: "DIVIDE_BY_ZERO", cast: "CAST_INVALID_INPUT"}
    statuses = {payment[4] for payment in payments}
    assert found.values == {size: len(payments), distinct: len(statuses)}


def test_deequ_is_found_by_its_classes(spark: SparkSession) -> None:
    assert is_present(spark)
    assert not is_present(spark, "com.amazon.deequ.NotThere")
