"""Throttling, lost replies and server errors: no item is lost, none goes backwards."""

from __future__ import annotations

import os
from random import Random

import pytest
from pyspark.sql import SparkSession

from lakehouse.config import DynamoDbSettings
from lakehouse.dynamodb import PushReport, ensure_table
from lakehouse.errors import DynamoDbError
from tests.faulty_dynamodb import Fault, Plan, in_front_of
from tests.index_items import an_item, found, pushed

IDS = [f"t{number}" for number in range(6)]


@pytest.fixture
def settings(dynamodb: DynamoDbSettings) -> DynamoDbSettings:
    """A table of this test alone, created; a request is sent four times at most."""
    ensure_table(dynamodb)
    return dynamodb.model_copy(update={"push_attempts": 4})


def first(*faults: Fault) -> Plan:
    """Each item meets these faults, one after the other, then none."""
    return lambda _, nth: faults[nth] if nth < len(faults) else Fault.NONE


@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize(
    "fault", [Fault.THROTTLED, Fault.SLOWED_DOWN, Fault.SERVER_ERROR, Fault.REPLY_LOST]
)
def test_a_fault_that_passes_loses_nothing_and_refuses_nothing(
    spark: SparkSession, settings: DynamoDbSettings, fault: Fault, is_new: bool
) -> None:
    items = [
        an_item(each, version=3, amount="300", expires_at=2_000, is_new=is_new) for each in IDS
    ]
    with in_front_of(settings, first(fault)) as (through, faulty):
        report = pushed(spark, through, *items)
    assert [done for _, done in faulty.done].count(fault) == len(IDS)
    throttled = len(IDS) if fault in (Fault.THROTTLED, Fault.SLOWED_DOWN) else 0
    assert report == PushReport(written=len(IDS), refused=0, throttled=throttled)
    for each in IDS:
        item = found(settings, each)
        assert (item["live_version"], item["live"]["amount"], item["expires_at"]) == (3, 300, 2_000)


def test_a_lost_reply_does_not_hide_that_a_newer_version_stood(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    pushed(spark, settings, an_item(version=5, amount="500"))
    with in_front_of(settings, first(Fault.REPLY_LOST)) as (through, _):
        report = pushed(spark, through, an_item(version=4, amount="400"))
    assert report == PushReport(written=0, refused=1)
    assert found(settings)["live"]["amount"] == 500


def test_a_reply_that_is_lost_where_the_other_group_keeps_the_item_longer(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    pushed(spark, settings, an_item(version=1, expires_at=9_000), group="gold")
    # the first request is refused for the expiry; the second one writes, unheard
    with in_front_of(settings, first(Fault.NONE, Fault.REPLY_LOST)) as (through, faulty):
        report = pushed(spark, through, an_item(version=2, amount="200", expires_at=1_000))
    assert [fault for _, fault in faulty.done] == [Fault.NONE, Fault.REPLY_LOST, Fault.NONE]
    assert report == PushReport(written=1, refused=0)
    item = found(settings)
    assert (item["live_version"], item["live"]["amount"], item["expires_at"]) == (2, 200, 9_000)


def test_throttled_for_ever_is_an_error_and_the_same_push_completes_it_later(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    items = [an_item(each, version=2) for each in IDS]
    written_before = IDS[0]
    pushed(spark, settings, an_item(written_before, version=2))
    with (
        in_front_of(settings, lambda *_: Fault.THROTTLED) as (through, _),
        pytest.raises(DynamoDbError, match=f"{settings.table}: not every item .*{Fault.THROTTLED}"),
    ):
        pushed(spark, through.model_copy(update={"push_attempts": 2}), *items)
    report = pushed(spark, settings, *items)
    assert report == PushReport(written=len(IDS) - 1, refused=1)
    assert {found(settings, each)["live_version"] for each in IDS} == {2}


def test_one_item_that_cannot_be_written_is_an_error_though_all_others_are(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    bad = IDS[-1]
    items = [an_item(each, version=2) for each in IDS]
    with (
        in_front_of(
            settings, lambda each, _: Fault.SERVER_ERROR if each == bad else Fault.NONE
        ) as (through, _),
        pytest.raises(DynamoDbError, match="not every item was written"),
    ):
        pushed(spark, through.model_copy(update={"push_attempts": 2}), *items)
    pushed(spark, settings, *items)
    assert {found(settings, each)["live_version"] for each in IDS} == {2}


def test_whatever_fails_in_whatever_order_no_item_goes_backwards(
    spark: SparkSession, settings: DynamoDbSettings
) -> None:
    seed = int(os.environ.get("LAKEHOUSE_TEST_SEED", "1"))
    rng = Random(seed)
    newest: dict[str, int] = {}
    with in_front_of(settings, _at_random(seed)) as (through, _):
        for version in (2, 1, 3):  # the second comes late
            some = rng.sample(IDS, 4)
            items = [
                an_item(each, version, amount=str(version), is_new=rng.random() < 0.5)
                for each in some
            ]
            try:
                pushed(spark, through, *items)
            except DynamoDbError:
                # as a job does: the same once more, when the fault has passed
                pushed(spark, settings, *items)
            newest |= {each: max(version, newest.get(each, 0)) for each in some}
            stored = {each: found(settings, each) for each in newest}
            versions = {each: item["live_version"] for each, item in stored.items()}
            amounts = {each: item["live"]["amount"] for each, item in stored.items()}
            assert versions == amounts == newest, f"seed {seed}"


def _at_random(seed: int) -> Plan:
    """The fault of a request follows from the seed, whichever thread comes first."""
    faults = [Fault.NONE] * 6 + [Fault.REPLY_LOST] * 3 + [Fault.SERVER_ERROR, Fault.THROTTLED]
    return lambda each, nth: Random(f"{seed} {each} {nth}").choice(faults)
