"""An item of the serving store stays under 1 KB, whatever a payment says, and reads back whole."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pytest import param

from gold.serving import ATTRIBUTES as GOLD_ATTRIBUTES
from lakehouse.config import DynamoDbSettings
from lakehouse.dynamodb import client, ensure_table
from lakehouse.records.codes import (
    Action,
    Finality,
    PolicyFlag,
    ReasonCode,
    ScoreSource,
    SettlementStatus,
    TransactionStatus,
)
from lakehouse.serving_item import (
    BYTES,
    GROUP_BYTES,
    MOST_BYTES,
    STORED_NAMES,
    Group,
    plain,
    shortened,
    size_of,
    size_of_value,
    stored,
)
from lakehouse.tables import SILVER_FRAUD_SCORES, SILVER_LIVE_TRANSACTIONS
from silver.live import live_items

CODES = {
    "finality": Finality,
    "fraud_reason_code": ReasonCode,
    "policy_flag": PolicyFlag,
    "recommended_action": Action,
    "score_source": ScoreSource,
    "settlement_status": SettlementStatus,
    "transaction_status": TransactionStatus,
}
INSTANTS = ("as_of", "decided_at", "event_as_of", "final_from", "timestamp")
# digits of whole numbers, as the columns of Silver and Gold are wide
DIGITS = {
    "amount": 13, "amount_base": 18, "settled_amount": 23, "refunded_amount": 23,
    "chargeback_amount": 23,
}  # fmt: skip
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)
LIVE_ATTRIBUTES = (
    "user_id", "timestamp", "amount", "currency", "country", "region", "merchant_id",
    "transaction_status", "recommended_action", "policy_flag", "policy_flags", "decided_at",
    "fraud_score", "fraud_reason_code", "score_source", "model_version", "as_of", "event_as_of",
    "first_day", "finality",
)  # fmt: skip
ATTRIBUTES: Mapping[Group, tuple[str, ...]] = {"live": LIVE_ATTRIBUTES, "gold": GOLD_ATTRIBUTES}


def iso(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def heaviest(name: str) -> Any:
    """The value of an attribute that takes most bytes of all that its column can hold."""
    if name in MOST_BYTES:
        return "u" * 200
    if name in CODES:
        return max((str(code) for code in CODES[name]), key=len)
    if name in INSTANTS:
        return iso(LATEST)
    if name in DIGITS:
        return int("9" * DIGITS[name])
    others: dict[str, Any] = {
        "currency": "EUR",
        "base_currency": "EUR",
        "country": "DE",
        "fraud_score": Decimal("0.999999"),
        "policy_flags": [str(flag) for flag in PolicyFlag if flag != PolicyFlag.NONE],
        "withdrawn": True,
        "cooled": True,
        "first_day": "9999-12-31",
    }
    return others[name]


def values_of(name: str) -> st.SearchStrategy[Any]:
    """Any value that a column can hold."""
    if name in MOST_BYTES:
        return st.text(min_size=1, max_size=300)
    if name in CODES:
        return st.sampled_from([str(code) for code in CODES[name]])
    if name in INSTANTS:
        return st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC)).map(iso)
    if name in DIGITS:
        return st.integers(0, 10 ** DIGITS[name] - 1)
    if name == "fraud_score":
        return st.decimals(0, 1, places=6)
    return st.just(heaviest(name))


def groups(group: Group) -> st.SearchStrategy[dict[str, Any]]:
    """A group in which any attribute may be missing."""
    return st.fixed_dictionaries({}, optional={n: values_of(n) for n in ATTRIBUTES[group]})


def an_item(live: Mapping[str, Any], gold: Mapping[str, Any]) -> dict[str, Any]:
    """An item as the store holds it, with keys and versions as heavy as they can be."""
    return {
        "transaction_id": "0" * 36,
        "live": stored(live),
        "live_version": 2**63 - 1,
        "gold": stored(gold),
        "gold_version": 2**63 - 1,
        "expires_at": 253_402_300_799,
        "user_id": "u" * MOST_BYTES["user_id"],
        "event_time": stored({"timestamp": iso(LATEST)})["at"],
    }


def test_the_heaviest_item_of_both_groups_stays_under_a_kilobyte() -> None:
    live, gold = ({n: heaviest(n) for n in ATTRIBUTES[each]} for each in ("live", "gold"))
    assert size_of_value(stored(live)) <= GROUP_BYTES["live"]
    assert size_of_value(stored(gold)) <= GROUP_BYTES["gold"]
    keys = size_of(an_item({}, {})) - 2 * size_of_value({})
    assert keys + sum(GROUP_BYTES.values()) < BYTES == 1_024


@given(live=groups("live"), gold=groups("gold"))
def test_no_payment_makes_an_item_of_a_kilobyte(live: dict[str, Any], gold: dict[str, Any]) -> None:
    assert size_of_value(stored(live)) <= GROUP_BYTES["live"]
    assert size_of_value(stored(gold)) <= GROUP_BYTES["gold"]
    assert size_of(an_item(live, gold)) < BYTES


@given(groups("live") | groups("gold"))
def test_what_was_stored_reads_as_it_was(group: dict[str, Any]) -> None:
    short = {n: shortened(n, v) if n in MOST_BYTES else v for n, v in group.items()}
    assert plain(stored(group)) == short


@pytest.mark.parametrize(("size", "units"), [(1_024, 1), (1_025, 2)])
def test_the_store_bills_what_is_computed_here(
    dynamodb: DynamoDbSettings, size: int, units: int
) -> None:
    ensure_table(dynamodb)
    live, gold = ({n: heaviest(n) for n in ATTRIBUTES[each]} for each in ("live", "gold"))
    item = an_item(live, gold) | {"rest": ""}
    item["rest"] = "r" * (size - size_of(item))
    writer = TypeSerializer()
    cost = client(dynamodb, 1).put_item(
        TableName=dynamodb.table,
        Item={name: writer.serialize(value) for name, value in item.items()},
        ReturnConsumedCapacity="INDEXES",
    )["ConsumedCapacity"]
    assert cost["Table"]["CapacityUnits"] == units


def test_every_attribute_that_a_job_pushes_has_a_name_in_the_store(spark: SparkSession) -> None:
    events, scores = (
        spark.createDataFrame([], table.schema)
        for table in (SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES)
    )
    items = live_items(events, scores, timedelta(days=1))
    assert set(items.columns) == {"transaction_id", "expires_at", *LIVE_ATTRIBUTES}
    assert set(STORED_NAMES) == {*LIVE_ATTRIBUTES, *GOLD_ATTRIBUTES}
    assert len(set(STORED_NAMES.values())) == len(STORED_NAMES)


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_a_text_of_any_length_keeps_its_identity(one: str, other: str) -> None:
    short = shortened("user_id", one)
    assert len(short.encode()) <= MOST_BYTES["user_id"]
    assert (short == shortened("user_id", other)) == (one == other)
    assert shortened("user_id", short) == short


def test_a_text_that_fits_stays_as_it_is() -> None:
    assert shortened("user_id", "u" * 40) == "u" * 40
    assert shortened("user_id", "u" * 41) == "u" * 27 + "~" + shortened("user_id", "u" * 41)[-12:]


def test_a_group_of_an_earlier_version_reads_as_it_is() -> None:
    of_before = {"amount": Decimal(5), "as_of": "2026-03-09T08:00:00.000000Z", "finality": "FINAL"}
    assert plain(of_before) == of_before


@pytest.mark.parametrize(
    ("value", "size"),
    [
        param("ab", 2, id="a text"),
        param("é€", 5, id="a text in UTF-8"),
        param(True, 1, id="a boolean"),
        param(0, 1, id="zero"),
        param(7, 2, id="one digit"),
        param(1_000_000, 2, id="zeros behind the digits count for nothing"),
        param(12_345, 4, id="two digits a byte"),
        param(120, 3, id="pairs are counted from the point"),
        param(Decimal("0.999999"), 4, id="a fraction"),
        param(Decimal("0.25"), 2, id="a short fraction"),
        param(-5, 3, id="a sign"),
        param([], 3, id="an empty list"),
        param(["ab", "c"], 8, id="a list: three, one per element, the elements"),
        param({"ab": "cd"}, 8, id="a map: three, one per element, names and values"),
    ],
)
def test_a_value_weighs_what_dynamodb_says(value: Any, size: int) -> None:
    assert size_of_value(value) == size
    assert size_of({"name": value}) == 4 + size
