"""Of 10,000 planted card numbers each is found, of 1,000,000 conforming records none is changed."""

from __future__ import annotations

import json
import os
from random import Random

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from lakehouse.cards import exempt_fields, redacted
from lakehouse.tables import BRONZE_TRANSACTIONS

SEED = int(os.environ.get("LAKEHOUSE_TEST_SEED", "20260309"))
KEY = b"key"
# first digits and lengths, as the schemes publish them
SCHEMES = (
    ("4", 13), ("4", 16), ("4", 19), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15),
    ("37", 15), ("6011", 16), ("65", 19), ("644", 16), ("3528", 16), ("3589", 19), ("300", 14),
    ("305", 16), ("36", 14), ("38", 19), ("39", 16),
)  # fmt: skip
PLACES = (
    '{{"note":"paid with {} today"}}', '{{"extra":{{"pan":"{}"}}}}', '{{"list":["a","{}"]}}',
    '{{"amount":100,"comment":"{}"}}', "pan={};", '{{"device":"a\\"b {}"}}', '{{"broken":"{}',
    '{{"device":{{"user_id":"{}"}}}}', '{{"of":[{{"amount":"{}"}}]}}',
    '{{"a":1}} {}', '{{"note":"x"}}\n{{"pan":"{}"}}', '{{}} card={}', '{{}},null] {}',
    '{{"amount":{{"of":[[[["{}"]]]]}}}}', f'{{{{"user_id":["{{}}"],"note":"{"x" * 4_000}"}}}}',
)  # fmt: skip


def test_every_planted_card_number_is_found(spark: SparkSession) -> None:
    print(f"replay with LAKEHOUSE_TEST_SEED={SEED}")
    rng = Random(SEED)
    planted = [_planted(rng) for _ in range(10_000)]
    rows = spark.createDataFrame(planted, "text string, digits string")
    redaction = redacted(F.encode("text", "UTF-8"), KEY, exempt_fields(BRONZE_TRANSACTIONS))
    found = rows.select("digits", redaction.alias("found")).collect()
    missed = [
        row.digits
        for row in found
        if row.found.redactions != 1
        or row.digits in bytes(row.found.value).translate(None, b" -").decode()
    ]
    assert missed == []


def test_no_conforming_record_is_changed(spark: SparkSession) -> None:
    print(f"replay with LAKEHOUSE_TEST_SEED={SEED}")
    redaction = redacted(F.col("value"), KEY, exempt_fields(BRONZE_TRANSACTIONS))
    changed = (
        spark.range(1_000_000)
        .select(F.encode(_conforming(), "UTF-8").alias("value"))
        .select("value", redaction.alias("found"))
        .where("found.redactions > 0 OR found.value <> value")
    )
    rows = [bytes(row.value).decode() for row in changed.limit(10).collect()]
    assert rows == []
    (example,) = spark.range(1).select(_conforming().alias("text")).collect()
    assert json.loads(example.text)["currency"] == "EUR"


def _planted(rng: Random) -> tuple[str, str]:
    """A text with one valid card number, written in one of the usual ways; and its digits."""
    prefix, length = rng.choice(SCHEMES)
    body = prefix + "".join(str(rng.randrange(10)) for _ in range(length - len(prefix) - 1))
    digits = body + next(c for c in "0123456789" if _luhn(body + c))
    match rng.randrange(3):
        case 0:
            written = digits
        case 1:
            written = rng.choice(" -").join(digits[i : i + 4] for i in range(0, length, 4))
        case _:
            written = "".join(d + rng.choice(["", "", "", " ", "-"]) for d in digits[:-1])
            written += digits[-1]
    return rng.choice(PLACES).format(written), digits


def _luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _conforming() -> Column:
    """A record as the contract says, of the row's number and the seed."""

    def noise(name: str) -> Column:
        return F.sha2(F.concat(F.lit(f"{SEED}{name}"), F.col("id").cast("string")), 256)

    def uuid(name: str) -> Column:
        parts = [F.substring(noise(name), at, n) for at, n in ((1, 8), (9, 4), (13, 4), (17, 4))]
        return F.concat_ws("-", *parts, F.substring(noise(name), 21, 12))

    def number(name: str, digits: int) -> Column:
        value = F.conv(F.substring(noise(name), 1, 15), 16, 10).cast("long")
        return value % F.lit(10**digits).cast("long")

    record = F.struct(
        uuid("event").alias("event_id"),
        uuid("transaction").alias("transaction_id"),
        # integers as long as a card number: an id all the same
        F.when(F.col("id") % 2 == 0, number("user", 16).cast("string"))
        .otherwise(F.concat(F.lit("u-"), number("user", 6).cast("string")))
        .alias("user_id"),
        (number("time", 11) + 1_700_000_000_000).alias("timestamp"),
        number("amount", 13).alias("amount"),
        F.lit("EUR").alias("currency"),
        F.lit("DE").alias("country"),
        F.concat(F.lit("DE-5411-"), number("merchant", 16).cast("string")).alias("merchant_id"),
        F.concat(F.lit("tok_"), F.substring(noise("token"), 1, 24)).alias("payment_token"),
        F.lit("AUTHORIZED").alias("transaction_status"),
        number("sequence", 2).alias("sequence"),
        F.struct(
            F.concat(F.lit("+49"), number("phone", 9).cast("string")).alias("phone"),
            F.concat(F.lit("2026-03-0"), number("day", 1).cast("string")).alias("seen"),
            (number("latitude", 7) / 1_000_000).alias("latitude"),
            uuid("session").alias("session"),
        ).alias("device"),
    )
    return F.to_json(record)
