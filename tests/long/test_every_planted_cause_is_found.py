"""Drawn days on two paths: the causes are those of a plain answer, and a forgery has none."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import PathsDifferError
from lakehouse.records.codes import ParityCause as Cause
from lakehouse.tables import SILVER_BATCH_TRANSACTIONS, SILVER_LIVE_TRANSACTIONS, Table
from silver.compare_paths import compare
from silver.recorded_rules import recorded_rules
from tests.silver import parity_model as model
from tests.silver.deliveries import a_policy
from tests.silver.live_records import an_id
from tests.silver.parity_model import Planted
from tests.silver.two_paths import TwoPaths, two_paths

SEED = int(os.environ.get("LAKEHOUSE_TEST_SEED", "1"))
PAYMENTS = 80

Forgery = Mapping[str, Column]
"""Columns of a decision, as they are forged."""


@dataclass(frozen=True)
class Days:
    """Drawn payments, after both paths and the first comparison."""

    paths: TwoPaths
    payments: list[Planted]
    standing: Mapping[str, Row]

    def on_both(self) -> list[Planted]:
        """Payments that both paths know."""
        return [payment for payment in self.payments if payment.is_on_both]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[Days]:
    """Two rounds of live decisions, a backdated policy between them, then the log."""
    print(f"replay with LAKEHOUSE_TEST_SEED={SEED}")
    payments = model.drawn(SEED, PAYMENTS)
    with two_paths(tmp_path_factory.mktemp("days"), spark) as paths:
        velocity = a_policy("velocity", model.VELOCITY)
        paths.deliver("policies", [velocity])
        paths.build()
        paths.decide(*model.records_of_round(payments, 0), number=0)
        geo = a_policy("geo", model.GEO, since=model.GEO_SINCE.isoformat())
        paths.deliver("policies", [velocity, geo], revision=1)
        paths.build()
        paths.decide(*model.records_of_round(payments, 1), number=1)
        paths.deliver("transactions", model.log_rows(payments))
        paths.deliver("fraud_scores", model.offline_rows(payments))
        paths.build()
        paths.compare()
        yield Days(paths, payments, paths.standing())


def test_each_payment_has_exactly_the_causes_of_the_plain_answer(days: Days) -> None:
    wanted = {payment.name: model.causes_of(payment, days.payments) for payment in days.payments}
    found = {
        payment.name: set(
            days.standing[payment.id]["causes"] if payment.id in days.standing else []
        )
        for payment in days.payments
    }
    assert found == {name: {str(cause) for cause in causes} for name, causes in wanted.items()}
    assert not [row for row in days.standing.values() if row["unexplained"]]
    # days on which nothing differs, or nothing agrees, would prove nothing
    assert not all(wanted.values())
    assert set().union(*wanted.values()) == set(Cause) - {Cause.RULES_CHANGED}


def test_every_payment_is_compared_on_its_day(days: Days) -> None:
    on = {payment.day for payment in days.payments}
    lake = days.paths.parity
    counts = compare(lake, on, recorded_rules(lake))
    both = Counter(payment.day for payment in days.on_both())
    one = Counter(payment.day for payment in days.payments if not payment.is_on_both)
    assert counts == {f"{day} compared": both[day] for day in on} | {
        f"{day} on one path": one[day] for day in on
    }


def test_a_forged_row_of_the_log_has_no_cause_and_its_payment_is_named(days: Days) -> None:
    forgeries = forgeries_of_the_log()
    forged = random.Random(SEED).sample(days.on_both(), len(forgeries))
    for payment, forgery in zip(forged, forgeries, strict=True):
        append_log_row(days.paths, payment, revision=1, forgery=forgery)
    with pytest.raises(PathsDifferError) as failed:
        days.paths.compare()
    wanted = {payment.id for payment in forged}
    assert failed.value.payments == len(wanted)
    assert set(failed.value.examples) <= wanted
    assert unexplained(days.paths) == wanted
    for payment in forged:
        append_log_row(days.paths, payment, revision=2, forgery={})
    days.paths.compare()
    assert causes_by_id(days.paths.standing()) == causes_by_id(days.standing)


def test_what_live_could_not_know_has_no_cause_though_its_decision_follows(days: Days) -> None:
    """Each forged decision follows from the evidence that it names: that was not what it knew."""
    dice, wanted = random.Random(SEED), set[str]()
    for candidates, forgery in forgeries_of_live(days):
        payment = dice.choice([p for p in candidates if p.id not in wanted])
        wanted.add(payment.id)
        plant_decision(days.paths, payment, forgery)
    with pytest.raises(PathsDifferError) as failed:
        days.paths.compare()
    assert failed.value.payments == len(wanted)
    assert unexplained(days.paths) == wanted


def forgeries_of_the_log() -> list[Forgery]:
    """Columns of a log row that do not follow from the others."""
    is_blocked = F.col("recommended_action") == "BLOCK"
    return [
        {"recommended_action": F.when(is_blocked, "ALLOW").otherwise("BLOCK")},
        {"fraud_score": F.lit("0.123456")},
        {"velocity": with_count(F.lit(77))},
        {"policy_flags": F.array(F.lit("CURRENCY_BLOCK"))},
        {"policies": F.filter("policies", lambda policy: policy["policy_id"] == "none")},
        {"region": F.lit("NOWHERE")},
    ]


def forgeries_of_live(days: Days) -> list[tuple[list[Planted], Forgery]]:
    """Decisions that are sound in themselves, and payments of which they cannot be."""
    on_both = days.on_both()
    in_log = [payment for payment in days.payments if payment.is_booked]
    was_scored = [p for p in on_both if model.live_score(p) and p.offline]
    knew_geo = [p for p in on_both if p.round == 1 and p.at >= model.GEO_SINCE]
    had_two = [
        p
        for p in on_both
        if model.live_count(p, days.payments) == 2 and model.counted(p, in_log) != 1
    ]
    return [
        (was_scored, as_unscored()),
        (knew_geo, by_policies_of_before()),
        (had_two, {"velocity": with_count(F.lit(1))}),
    ]


def as_unscored() -> Forgery:
    """The decision as it would be before any score: late, says who sees the two rows alone."""
    is_blocked = F.array_contains("policy_flags", "GEO_BLOCK")
    empty = ("score_id", "model_version", "inference_time", "fraud_score", "explanations")
    return {name: F.lit(None) for name in empty} | {
        "score_source": F.lit("NONE"),
        "fraud_reason_code": F.lit("UNSCORED"),
        "recommended_action": F.when(is_blocked, "BLOCK").otherwise("REVIEW"),
    }


def by_policies_of_before() -> Forgery:
    """The decision as it would be without the policy that was backdated."""
    flags = F.array_except("policy_flags", F.array(F.lit("GEO_BLOCK")))
    is_flagged, score = F.size(flags) > 0, F.col("fraud_score")
    is_suspicious = F.coalesce(score >= 0.6, F.lit(False))
    return {
        "policies": F.filter("policies", lambda policy: policy["policy_id"] != "geo"),
        "policy_flags": flags,
        "policy_flag": F.coalesce(F.get(flags, F.lit(0)), F.lit("NONE")),
        "recommended_action": F.when(is_flagged & is_suspicious, "BLOCK")
        .when(is_flagged | is_suspicious | score.isNull(), "REVIEW")
        .otherwise("ALLOW"),
    }


def with_count(count: Column) -> Column:
    """The velocity values of a row with another count."""
    return F.transform("velocity", lambda value: value.withField("count", count.cast("bigint")))


def append_log_row(paths: TwoPaths, payment: Planted, revision: int, forgery: Forgery) -> None:
    """The payment's first log row once more, under another revision."""
    rows = paths.batch.read(SILVER_BATCH_TRANSACTIONS)
    own = rows.where((F.col("transaction_id") == payment.id) & (F.col("revision") == 0))
    changes = {**forgery, "revision": F.lit(revision)}
    paths.batch.append(forged(own, changes, SILVER_BATCH_TRANSACTIONS), SILVER_BATCH_TRANSACTIONS)


def plant_decision(paths: TwoPaths, payment: Planted, forgery: Forgery) -> None:
    """Have another event of the payment, of the same micro-batch, that is first by its id."""
    rows = paths.live.read(SILVER_LIVE_TRANSACTIONS)
    own = rows.where(F.col("transaction_id") == payment.id)
    first = F.lit("00000000-" + an_id(f"forged {payment.name}")[9:])
    changes = {**forgery, "event_id": first, "identity": first}
    paths.live.append(forged(own, changes, SILVER_LIVE_TRANSACTIONS), SILVER_LIVE_TRANSACTIONS)


def forged(rows: DataFrame, changes: Forgery, table: Table) -> DataFrame:
    kinds = table.schema
    return rows.select(
        *[
            changes.get(name, F.col(name)).cast(kinds[name].dataType).alias(name)
            for name in table.columns
        ]
    )


def causes_by_id(rows: Mapping[str, Row]) -> dict[str, list[str]]:
    return {transaction_id: row["causes"] for transaction_id, row in rows.items()}


def unexplained(paths: TwoPaths) -> set[str]:
    return {tid for tid, row in paths.standing().items() if row["unexplained"]}
