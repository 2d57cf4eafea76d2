"""Card numbers in payloads: which become a token, and what is left alone."""

from __future__ import annotations

import hashlib
import hmac
import re

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.cards import exempt_fields, redacted, redacted_csv
from lakehouse.tables import BRONZE_TRANSACTIONS, DROPS

KEY = b"a key that is longer than one block of SHA-256, which is sixty-four bytes"

UUID = "41111111-1111-4111-8111-111111111111"


def token(digits: str) -> str:
    mac = hmac.new(KEY, digits.encode(), hashlib.sha256).hexdigest()
    return f"tok_{mac[:16]}_{digits[-4:]}"


VISA, AMEX = token("4111111111111111"), token("378282246310005")

CARDS: dict[str, tuple[str, str]] = {
    "in a note": ('{"n":"card 4111 1111 1111 1111 read"}', f'{{"n":"card {VISA} read"}}'),
    "dashes": ("4111-1111-1111-1111", VISA),
    "groups of Amex": ('{"n":"3782 822463 10005"}', f'{{"n":"{AMEX}"}}'),
    "JSON number": ('{"p":4111111111111111}', f'{{"p":"{VISA}"}}'),
    "in a list": ('{"p":[4111111111111111, 1]}', f'{{"p":["{VISA}", 1]}}'),
    "behind a letter": ('{"p":"PAN4111111111111111"}', f'{{"p":"PAN{VISA}"}}'),
    "date before, expiry behind": (
        '{"n":"2026-03-09 4111 1111 1111 1111 12/29"}',
        f'{{"n":"2026-03-09 {VISA} 12/29"}}',
    ),
    "another number before": ("4512 4111 1111 1111 1111", f"4512 {VISA}"),
    "beside an exempt twin": (
        '{"user_id":4111111111111111,"n":"4111111111111111"}',
        f'{{"user_id":4111111111111111,"n":"{VISA}"}}',
    ),
    "in a field whose name ends like an exempt one": (
        '{"x\\"amount":4111111111111111}',
        f'{{"x\\"amount":"{VISA}"}}',
    ),
    "behind what only looks like an exempt field": (
        '{"note":"paid "amount":4111111111111111 x"}',
        f'{{"note":"paid "amount":{VISA} x"}}',
    ),
    "in a nested field that is named as one of the contract": (
        '{"user_id":4111111111111111,"billing":{"user_id":4111111111111111}}',
        f'{{"user_id":4111111111111111,"billing":{{"user_id":"{VISA}"}}}}',
    ),
    "in a field of the contract, of what Silver does not read": (
        '{"user_id":"4111111111111111","note":"a\tb"}',
        f'{{"user_id":"{VISA}","note":"a\tb"}}',
    ),
    "in a list of such fields": (
        '{"of":[{"amount":"4111 1111 1111 1111"}],"amount":4222222222222}',
        f'{{"of":[{{"amount":"{VISA}"}}],"amount":4222222222222}}',
    ),
    "behind a brace inside a string": (
        '{"n":"}{","p":4111111111111111,"user_id":4111111111111111}',
        f'{{"n":"}}{{","p":"{VISA}","user_id":4111111111111111}}',
    ),
    "beside a UUID": (f'{{"n":"{UUID} 4111111111111111"}}', f'{{"n":"{UUID} {VISA}"}}'),
    "behind a whole object": ('{"a":1} 4111111111111111', f'{{"a":1}} "{VISA}"'),
    "in the second object of a text": (
        '{"note":"x"}\n{"pan":"4111 1111 1111 1111"}',
        f'{{"note":"x"}}\n{{"pan":"{VISA}"}}',
    ),
    "in a field of the contract, in no object of its own": (
        '{}{"user_id":"4111111111111111"}',
        f'{{}}{{"user_id":"{VISA}"}}',
    ),
    "behind what closes the list that only the search has opened": (
        '{"a":1},null] 4111111111111111',
        f'{{"a":1}},null] "{VISA}"',
    ),
    "deep inside a field of the contract": (
        '{"user_id":{"of":{"of":{"of":{"pan":"4111111111111111"}}}}}',
        f'{{"user_id":{{"of":{{"of":{{"of":{{"pan":"{VISA}"}}}}}}}}}}',
    ),
    "in a list in a field of the contract, in a long text": (
        f'{{"amount":["4111111111111111"],"note":"{"x" * 4_000}"}}',
        f'{{"amount":["{VISA}"],"note":"{"x" * 4_000}"}}',
    ),
    "in single quotes": (
        """{'note':'paid "amount":4111111111111111 x'}""",
        f"""{{'note':'paid "amount":"{VISA}" x'}}""",
    ),
    "in a name that is spelled with escapes": (
        '{"user\\u005fid":"4111111111111111"}',
        f'{{"user\\u005fid":"{VISA}"}}',
    ),
    "in such a name, in a long text": (
        f'{{"user\\u005fid":"4111111111111111","note":"{"x" * 4_000}"}}',
        f'{{"user\\u005fid":"{VISA}","note":"{"x" * 4_000}"}}',
    ),
    "in a field of another contract": ('{"rate":"4111111111111111"}', f'{{"rate":"{VISA}"}}'),
    "broken JSON": ("pan=4111111111111111;", f"pan={VISA};"),
    "not ASCII": ('{"n":"Bäckerei ☕ 4111111111111111"}', f'{{"n":"Bäckerei ☕ {VISA}"}}'),
    "escaped quote before": ('{"n":"\\" 4111111111111111"}', f'{{"n":"\\" {VISA}"}}'),
    **{
        scheme: (number, token(number))
        for scheme, number in {
            "Visa of 13": "4222222222222",
            "Mastercard": "5555555555554444",
            "Mastercard from 2221": "2221000000000009",
            "Mastercard to 2720": "2720990000000007",
            "Discover": "6011111111111117",
            "JCB": "3530111333300000",
            "Diners": "30569309025904",
        }.items()
    },
}

LEFT_ALONE: dict[str, str] = {
    "fails Luhn": '{"n":"4111111111111112"}',
    "no scheme": '{"n":"7992739871300000"}',
    "beyond 2720": "2721000000000004",
    "too long": "41111111111111111111",
    "a UUID": f'{{"n":"{UUID}"}}',
    "a digest": '{"n":"aabbccddeeff4111111111111111aabbccdd"}',
    "a fraction": '{"score":0.4111111111111111}',
    "a decimal": "4111111111111111.25",
    "amount": '{"amount": 4222222222222}',
    "amount as text": '{"amount":"4222222222222"}',
    "epoch milliseconds": '{"timestamp":"4222222222222"}',
    "behind a nested value": '{"device":{"of":["x"]},"user_id":"4111111111111111"}',
    "merchant": '{"merchant_id":"4111111111111111"}',
    "nothing": "",
}


@pytest.fixture(scope="module")
def payloads(spark: SparkSession) -> dict[str, tuple[str, int]]:
    """Every text above after its redaction, in one query."""
    texts = [(text,) for text, _ in CARDS.values()] + [(text,) for text in LEFT_ALONE.values()]
    rows = spark.createDataFrame(texts, "text string").withColumn(
        "found", redacted(F.encode("text", "UTF-8"), KEY, exempt_fields(BRONZE_TRANSACTIONS))
    )
    return {
        row.text: (bytes(row.found.value).decode(), row.found.redactions) for row in rows.collect()
    }


@pytest.mark.parametrize(("text", "expected"), CARDS.values(), ids=CARDS.keys())
def test_a_card_number_becomes_its_token(
    payloads: dict[str, tuple[str, int]], text: str, expected: str
) -> None:
    assert payloads[text] == (expected, 1)


@pytest.mark.parametrize("text", LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_other_digits_are_left_alone(payloads: dict[str, tuple[str, int]], text: str) -> None:
    assert payloads[text] == (text, 0)


def test_bytes_that_are_no_text_stay_as_they_are(spark: SparkSession) -> None:
    values = [(b"\xff4111111111111111",), (None,)]
    redaction = redacted(F.col("value"), KEY, exempt_fields(BRONZE_TRANSACTIONS))
    rows = spark.createDataFrame(values, "value binary").select(redaction)
    found = [tuple(row[0]) for row in rows.collect()]
    assert found == [(values[0][0], 0), (None, 0)]


def test_in_an_endless_text_whatever_could_be_a_card_is_hidden(spark: SparkSession) -> None:
    digits = "41 " * 40_000
    payment = f'{{"event_id":"{UUID}","user_id":4111111111111111,"note":"{"x" * 100_000}'
    texts = [(f'{payment}4111-1111-1111-1111"}}',), (digits,), ("x" * 200_000,)]
    rows = spark.createDataFrame(texts, "text string").select(
        redacted(F.encode("text", "UTF-8"), KEY, exempt_fields(BRONZE_TRANSACTIONS)).alias("found")
    )
    plain, endless, clean = (row.found for row in rows.collect())
    assert (bytes(plain.value).decode(), plain.redactions) == (f'{payment}tok_unsearched"}}', 1)
    assert not re.search(rb"[0-9](?:[ -]?[0-9]){12}", bytes(endless.value))
    assert endless.redactions == len(digits) // 3 * 2 // 41
    assert (bytes(clean.value), clean.redactions) == (b"x" * 200_000, 0)


def test_a_header_names_the_exempt_cells(spark: SparkSession) -> None:
    lines = [
        ("user_id,note", '4111111111111111,"a, 4111111111111111"'),
        ("note,amount", ",4222222222222"),
        ("note", "4111 1111 1111 1111,4111111111111111"),
        ("note", '{"amount":4111111111111111}'),
        ("rate", "4111111111111111"),
    ]
    rows = spark.createDataFrame(lines, "header string, line string")
    exempt = exempt_fields(DROPS["transactions"])
    found = rows.select(redacted_csv(F.col("header"), F.col("line"), KEY, exempt)).collect()
    assert [tuple(row[0]) for row in found] == [
        (f'4111111111111111,"a, {VISA}"', 1),
        (",4222222222222", 0),
        (f"{VISA},{VISA}", 2),
        (f'{{"amount":{VISA}}}', 1),
        (VISA, 1),
    ]
