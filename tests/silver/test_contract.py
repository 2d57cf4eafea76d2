"""The input contract: what each text becomes, and every reason for refusal.

All cases of a kind are parsed in one query; a case is named by its position.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.identity import named_uuid_of
from lakehouse.records.codes import ScoreSource
from silver.contract import (
    json_fields,
    parsed_fx_rates,
    parsed_money_events,
    parsed_payments,
    parsed_policies,
    parsed_scores,
    with_drop_fields,
)
from silver.contract.assemble import json_of_texts

SEED = int(os.environ.get("CONTRACT_SEED", random.randrange(1_000_000)))
EVENT = "aaaaaaaa-1111-4111-8111-111111111111"
TRANSACTION = "bbbbbbbb-1111-4111-8111-111111111111"
LATEST = datetime(2026, 3, 10, tzinfo=UTC)
MORNING = datetime(2026, 3, 9, 4, 30)
ABSENT = ...  # its name is the same in every test process

PAYMENT: dict[str, Any] = {
    "event_id": EVENT,
    "transaction_id": TRANSACTION,
    "user_id": "u-1",
    "timestamp": "2026-03-09T04:30:00Z",
    "amount": 100,
    "currency": "EUR",
    "country": "DE",
    "merchant_id": "m-1",
    "payment_token": "tok",
    "transaction_status": "PENDING",
    "sequence": 1,
}
SCORE: dict[str, Any] = {
    "model_version": "v1",
    "transaction_id": TRANSACTION,
    "fraud_score": 0.5,
    "explanations": {"b": 1.5, "a": 2},
    "inference_time": "2026-03-09T04:30:00Z",
}
MONEY: dict[str, Any] = {
    "event_id": EVENT,
    "transaction_id": TRANSACTION,
    "event_type": "SETTLED",
    "amount": "100",
    "currency": "KWD",
    "timestamp": 1773030600000,
    "transaction_date": "2026-03-08",
}
RATE: dict[str, Any] = {"rate_date": "2026-03-09", "base": "EUR", "currency": "USD", "rate": "1.1"}


def text_of(record: dict[str, Any], **changes: Any) -> str:
    """JSON of a record with some fields changed or absent."""
    return json.dumps({k: v for k, v in (record | changes).items() if v is not ABSENT})


def parsed(
    spark: SparkSession, texts: list[str], parse: Callable[[DataFrame], DataFrame]
) -> list[Row]:
    rows = spark.createDataFrame(list(enumerate(texts)), "place int, text string")
    with_fields = rows.withColumn("fields", json_fields(F.col("text")))
    return parse(with_fields).orderBy("place").collect()


def rules_of(row: Row) -> list[str]:
    return [violation.rule_id for violation in row.violations]


def region(country: Column) -> Column:
    return F.concat(F.lit("region of "), country)


def payments(with_event_id: bool) -> Callable[[DataFrame], DataFrame]:
    def parse(rows: DataFrame) -> DataFrame:
        return parsed_payments(
            rows, latest=F.lit(LATEST), regions=region, with_event_id=with_event_id
        )

    return parse


READ: list[tuple[str, Any, str, Any]] = [
    # field, as sent, column, as read
    ("amount", 100, "amount", Decimal("100.00")),
    ("amount", "1234.00", "amount", Decimal("1234.00")),
    ("amount", " 12", "amount", Decimal("12.00")),
    ("amount", 10000000.0, "amount", Decimal("10000000.00")),
    ("amount", "1.5E+3", "amount", Decimal("1500.00")),
    ("amount", 0, "amount", Decimal("0.00")),
    ("amount", 9999999999999, "amount", Decimal("9999999999999.00")),
    ("timestamp", 1773030600000, "timestamp", MORNING),
    ("timestamp", "1773030600000", "timestamp", MORNING),
    ("timestamp", "2026-03-09T10:00:00.000+05:30", "timestamp", MORNING),
    ("timestamp", "2026-03-09 10:00:00+0530", "timestamp", MORNING),
    ("timestamp", "2026-03-08t23:30-05", "timestamp", MORNING),
    (
        "timestamp",
        "2026-03-09T04:30:00.123456789Z",
        "timestamp",
        MORNING.replace(microsecond=123456),
    ),
    ("transaction_id", TRANSACTION.upper(), "transaction_id", TRANSACTION),
    ("user_id", 12345678901234567890, "user_id", "12345678901234567890"),
    ("sequence", ABSENT, "sequence", None),
    ("sequence", "3.0", "sequence", 3),
    ("merchant_id", None, "merchant_id", None),
    ("country", "JP", "region", "region of JP"),
    ("note", {"a": [1]}, "extra", {"note": '{"a":[1]}'}),
    ("note", None, "extra", {}),
]

REFUSED: list[tuple[str, Any, list[str]]] = [
    ("transaction_id", ABSENT, ["transaction_id_missing"]),
    ("transaction_id", "  ", ["transaction_id_missing"]),
    ("transaction_id", "not-a-uuid", ["transaction_id_malformed"]),
    ("event_id", None, ["event_id_missing"]),
    ("user_id", ["u-1"], ["user_id_malformed"]),
    ("timestamp", "", ["timestamp_missing"]),
    ("timestamp", "not-a-time", ["timestamp_unreadable"]),
    ("timestamp", "2026-02-30T10:00:00Z", ["timestamp_unreadable"]),
    ("timestamp", "2026-03-04T10:00:00", ["timestamp_unreadable"]),
    ("timestamp", "2026-03-04T10:00:00+99:00", ["timestamp_unreadable"]),
    ("timestamp", 1.5, ["timestamp_unreadable"]),
    ("timestamp", "9" * 30, ["timestamp_unreadable"]),
    ("timestamp", "9" * 15, ["timestamp_absurd"]),
    ("timestamp", "1999-12-31T23:59:59Z", ["timestamp_absurd"]),
    ("timestamp", "2026-03-10T00:00:00.001Z", ["timestamp_absurd"]),
    ("amount", None, ["amount_missing"]),
    ("amount", True, ["amount_malformed"]),
    ("amount", {"value": 1}, ["amount_malformed"]),
    ("amount", float("nan"), ["amount_malformed"]),
    ("amount", "1e-999999999", ["amount_malformed"]),
    ("amount", "0.0000000000000000001", ["amount_malformed"]),
    ("amount", "1e400", ["amount_overflow"]),
    ("amount", "9" * 40, ["amount_overflow"]),
    ("amount", 10**13, ["amount_overflow"]),
    ("amount", -5, ["amount_negative"]),
    ("amount", "-5.00", ["amount_negative"]),
    ("amount", "-5.50", ["amount_negative", "amount_not_whole"]),
    ("amount", 12.5, ["amount_not_whole"]),
    ("currency", ABSENT, ["currency_missing"]),
    ("currency", "XXQ", ["currency_unknown"]),
    ("currency", 978, ["currency_unknown"]),
    ("currency", "XAU", ["currency_unknown"]),  # gold has no smallest unit
    ("country", "Germany", ["country_malformed"]),
    ("transaction_status", "authorised", ["status_unknown"]),
    ("sequence", "first", ["sequence_malformed"]),
    ("merchant_id", {}, ["merchant_id_malformed"]),
]


@pytest.fixture(scope="module")
def payment_rows(spark: SparkSession) -> list[Row]:
    """The cases of READ, then those of REFUSED."""
    cases: list[tuple[str, Any]] = [(str(case[0]), case[1]) for case in (*READ, *REFUSED)]
    texts = [text_of(PAYMENT, **{field: sent}) for field, sent in cases]
    return parsed(spark, texts, payments(with_event_id=True))


@pytest.mark.parametrize("place", range(len(READ)), ids=[f"{c[0]} {c[1]!r}" for c in READ])
def test_a_payment_is_read(payment_rows: list[Row], place: int) -> None:
    _, _, column, expected = READ[place]
    assert rules_of(payment_rows[place]) == []
    assert payment_rows[place][column] == expected


@pytest.mark.parametrize("place", range(len(REFUSED)), ids=[f"{c[0]} {c[1]!r}" for c in REFUSED])
def test_a_payment_is_refused(payment_rows: list[Row], place: int) -> None:
    assert rules_of(payment_rows[len(READ) + place]) == REFUSED[place][-1]


def test_who_a_payment_is(spark: SparkSession) -> None:
    (event,) = parsed(spark, [text_of(PAYMENT)], payments(with_event_id=True))
    (log_row,) = parsed(spark, [text_of(PAYMENT)], payments(with_event_id=False))
    assert (event.identity, str(event.event_date)) == (EVENT, "2026-03-09")
    assert log_row.identity == named_uuid_of("transactions", TRANSACTION)
    assert (event.extra, log_row.extra) == ({}, {"event_id": EVENT})


def test_a_hash_is_of_the_content_not_of_its_spelling(spark: SparkSession) -> None:
    other_way = {key: PAYMENT[key] for key in reversed(PAYMENT)}
    same = [
        text_of(PAYMENT, b=1, a=2),
        text_of(other_way, a=2, b=1, amount="100.00", timestamp=1773030600000),
        "  " + text_of(PAYMENT, a=2, b=1, event_id=EVENT.upper(), nothing=None),
    ]
    other = [text_of(PAYMENT, b=1), text_of(PAYMENT, b=1, a=2, amount=101)]
    rows = parsed(spark, same + other, payments(with_event_id=True))
    hashes = [row.content_hash for row in rows]
    assert len(set(hashes[:3])) == 1
    assert len(set(hashes)) == 3


def test_what_is_hashed_is_written_as_to_json_writes_it(spark: SparkSession) -> None:
    rng = random.Random(SEED)
    # what JSON writes otherwise, what it could, and what it does not
    letters = 'ab"\\/\b\n\r\t\x00\x1f\x7f\u00e9\u2028\ufeff\U0001f600'
    texts = [None, "", *("".join(rng.choices(letters, k=rng.randrange(4))) for _ in range(500))]
    rows = [(rng.choice(texts), rng.choice(["plain", None]), rng.choice(texts)) for _ in texts]
    delivered = spark.createDataFrame(rows, "one string, id string, other string")
    columns = {name: F.col(name) for name in delivered.columns}
    found = delivered.select(
        "*",
        json_of_texts(columns).alias("text"),
        F.to_json(F.struct(*delivered.columns)).alias("expected"),
    ).collect()
    wrong = [row for row in found if row.text != row.expected]
    assert not wrong, f"CONTRACT_SEED={SEED}: {wrong[:3]}"


def test_all_reasons_are_given_and_only_the_sensible_ones(spark: SparkSession) -> None:
    texts = [
        text_of(PAYMENT, user_id=None, amount=-1, currency="?"),
        text_of(PAYMENT)[:-1],
        text_of(PAYMENT) + text_of(PAYMENT),
        f"{text_of(PAYMENT)},null] and more",
        f"[{text_of(PAYMENT)}]",
        "",
        text_of(PAYMENT)[:-1] + ', "amount": 7}',
        text_of(PAYMENT, note=[None, "null]"]),
        "{}",
    ]
    rows = parsed(spark, texts, payments(with_event_id=True))
    assert [rules_of(row) for row in rows[:-1]] == [
        ["user_id_missing", "amount_negative", "currency_unknown"],
        *[["payload_not_object"]] * 5,
        ["field_repeated"],
        [],
    ]
    assert len(rules_of(rows[-1])) == 8  # all that is required


def test_a_score_is_read_or_refused(spark: SparkSession) -> None:
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, []),
        ({"fraud_score": "1", "explanations": ABSENT}, []),
        ({"fraud_score": 1.2e-05, "explanations": '{"a": 2.0, "b": 1.5}'}, []),
        ({"fraud_score": 1.7}, ["fraud_score_out_of_range"]),
        ({"fraud_score": -0.2}, ["fraud_score_out_of_range"]),
        ({"fraud_score": float("nan")}, ["fraud_score_out_of_range"]),
        ({"fraud_score": "1e400"}, ["fraud_score_out_of_range"]),
        ({"fraud_score": "high"}, ["fraud_score_malformed"]),
        ({"fraud_score": None}, ["fraud_score_missing"]),
        ({"explanations": [1]}, ["explanations_malformed"]),
        ({"inference_time": "yesterday"}, ["inference_time_unreadable"]),
        ({"model_version": ABSENT, "transaction_id": "x"},
         ["model_version_missing", "transaction_id_malformed"]),
    ]  # fmt: skip
    texts = [text_of(SCORE, **changes) for changes, _ in cases]
    rows = parsed(
        spark,
        [*texts, text_of(SCORE, explanations='{"a": 2, "b": 1.5}')],
        lambda frame: parsed_scores(frame, latest=F.lit(LATEST), score_source=ScoreSource.TOPIC),
    )
    assert [rules_of(row) for row in rows[:-1]] == [rules for _, rules in cases]
    first, again = rows[0], rows[-1]
    assert [row.fraud_score for row in rows[:3]] == [
        Decimal("0.500000"), Decimal("1.000000"), Decimal("0.000012"),
    ]  # fmt: skip
    assert json.loads(first.explanations) == SCORE["explanations"]
    assert first.identity == named_uuid_of(
        "score", TRANSACTION, "v1", "2026-03-09T04:30:00.000000Z", "TOPIC"
    )
    assert first.content_hash == again.content_hash


def test_a_money_event_is_read_or_refused(spark: SparkSession) -> None:
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, []),
        ({"transaction_date": ABSENT, "dispute_id": "d-1"}, []),
        ({"transaction_date": "2026-13-01"}, ["transaction_date_malformed"]),
        ({"transaction_date": "2026-03-10"}, []),
        *[
            ({"transaction_date": absurd}, ["transaction_date_absurd"])
            for absurd in ("0000-01-01", "0001-01-01", "1998-12-31", "2026-03-11", "9999-12-31")
        ],
        ({"event_type": "PAID"}, ["event_type_unknown"]),
        ({"event_id": "1"}, ["event_id_malformed"]),
    ]
    rows = parsed(
        spark,
        [text_of(MONEY, **changes) for changes, _ in cases],
        lambda frame: parsed_money_events(frame, latest=F.lit(LATEST)),
    )
    assert [rules_of(row) for row in rows] == [rules for _, rules in cases]
    assert (rows[0].identity, str(rows[0].transaction_date)) == (EVENT, "2026-03-08")
    assert (rows[0].timestamp, str(rows[0].event_date)) == (MORNING, "2026-03-09")


def test_a_policy_names_a_known_rule_with_its_parameters(spark: SparkSession) -> None:
    usable: list[Any] = [
        {"rule": "velocity_limit", "max_count": 5, "window_seconds": 60},
        {"rule": "velocity_limit", "max_amount": 9, "currency": "EUR", "window_seconds": 60},
        {
            "rule": "velocity_limit",
            "max_amount": 9,
            "currency": "EUR",
            "max_count": 5,
            "window_seconds": 60,
        },
        {"rule": "geo_block", "countries": ["KP"], "regions": []},
        {"rule": "geo_block", "regions": ["AFRICA"]},
        {"rule": "amount_limit", "currency": "EUR", "max_amount": 500000},
        {"rule": "currency_block", "currencies": ["RUB"]},
        json.dumps({"rule": "merchant_block", "merchants": ["m-1"]}),
    ]
    unusable: list[Any] = [
        {"rule": "velocity_limit", "max_count": "many", "window_seconds": 60},
        {"rule": "velocity_limit", "max_count": 5, "window_seconds": 0},
        {"rule": "velocity_limit", "window_seconds": 60},
        {"rule": "velocity_limit", "max_amount": 9, "window_seconds": 60},
        {"rule": "velocity_limit", "max_amount": 9, "max_count": 5, "window_seconds": 60},
        {
            "rule": "velocity_limit",
            "max_amount": 9,
            "currency": "EUR",
            "max_count": "many",
            "window_seconds": 60,
        },
        {"rule": "geo_block", "countries": [], "regions": []},
        {"rule": "geo_block", "countries": "KP"},
        {"rule": "amount_limit", "currency": "XXQ", "max_amount": 1},
        {"rule": "merchant_block", "merchants": [{"id": 1}]},
        {"rule": "unheard_of"},
        {},
        "no JSON",
        [1],
    ]
    texts = [
        json.dumps(
            {"policy_id": "p", "policy_name": "n", "policy_data": data, "effective_date": day}
        )
        for data, day in [(data, "2026-03-01") for data in (*usable, *unusable)]
        + [(usable[0], "2026-03-01T01:00:00+01:00"), (usable[0], "soon")]
    ]
    rows = parsed(spark, texts, parsed_policies)
    assert [rules_of(row) for row in rows] == [
        *[[]] * len(usable),
        *[["policy_data_malformed"]] * len(unusable),
        [],
        ["effective_date_unreadable"],
    ]
    assert rows[0].effective_date == rows[-2].effective_date == datetime(2026, 3, 1)


def test_a_rate_is_read_or_refused(spark: SparkSession) -> None:
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, []),
        ({"rate": "0.000000001"}, ["rate_not_positive"]),
        ({"rate": -1}, ["rate_not_positive"]),
        ({"rate": "9" * 30}, ["rate_overflow"]),
        ({"rate": "NaN"}, ["rate_malformed"]),
        ({"rate_date": "09.03.2026", "base": "XXQ"}, ["rate_date_malformed", "base_unknown"]),
        ({"rate_date": "1999-01-04"}, []),
        ({"rate_date": "0001-01-01"}, ["rate_date_absurd"]),
        ({"rate_date": "9999-12-31"}, ["rate_date_absurd"]),
    ]
    rows = parsed(
        spark,
        [text_of(RATE, **changes) for changes, _ in cases],
        lambda frame: parsed_fx_rates(frame, latest=F.lit(LATEST)),
    )
    assert [rules_of(row) for row in rows] == [rules for _, rules in cases]
    assert rows[0].rate == Decimal("1.10000000")


def test_numbers_keep_their_digits_and_nested_values_their_text(spark: SparkSession) -> None:
    text = (
        '{"a":1234.00,"b":"x 1.5 \\" 2.50","c":12345678901234567890.123456789,"d":{"e":[1.5]},'
        '"f":null,"g":true,"h":-1e400,"i":"{1.50"}'
    )
    (row,) = parsed(spark, [text], lambda rows: rows)
    assert row.fields == {
        "a": "1234.00", "b": 'x 1.5 " 2.50', "c": "12345678901234567890.123456789",
        "d": '{"e":[1.5]}', "f": None, "g": "true", "h": "-1e400", "i": "{1.50",
    }  # fmt: skip


def test_a_dropped_row_is_read_by_its_format(spark: SparkSession) -> None:
    cases: list[tuple[str, str | None, str, dict[str, str | None] | None]] = [
        ("csv", "a,b,c", "1,,", {"a": "1", "b": None, "c": None}),
        ("csv", "a,b", ',"x, ""y"""', {"a": None, "b": 'x, "y"'}),
        ("csv", 'a,"b c"', '"",z', {"a": None, "b c": "z"}),
        ("csv", "a,b", "1", None),
        ("csv", "a,b", "1,2,3", None),
        ("csv", "a,a", "1,2", None),
        ("json", None, '{"a": 1}', {"a": "1"}),
        ("parquet", None, '{"a":1}', {"a": "1"}),
        ("json", None, "a,b", None),
    ]
    columns = "format string, header string, raw string, expected map<string,string>"
    found = spark.createDataFrame(cases, columns).transform(with_drop_fields).collect()
    assert [row.fields for row in found] == [case[-1] for case in cases]
