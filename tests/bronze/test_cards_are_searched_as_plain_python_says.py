"""Which numbers of a text become tokens, as Python's own JSON parser tells it, in texts by seed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from random import Random

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.cards import exempt_fields, redacted
from lakehouse.tables import BRONZE_TRANSACTIONS

SEED = int(os.environ.get("LAKEHOUSE_TEST_SEED", "20260312"))
KEY = b"key"
EXEMPT = {
    "event_id", "transaction_id", "user_id", "merchant_id", "timestamp", "amount", "sequence",
}  # fmt: skip
NAMES = (
    "user_id", "amount", "merchant_id", "timestamp", "user\\u005fid", "\\u0061mount", "note", "pan",
    "x\\\"user_id", "rate", "dispute_id", "User_id", "",
)  # fmt: skip


class Planting:
    """A text with card numbers in it, each of them once: `planted` are those."""

    def __init__(self, rng: Random, first: int) -> None:
        self._rng = rng
        self._next = first
        self.planted: list[str] = []
        self.text = self._whole()

    def _whole(self) -> str:
        rng = self._rng
        blanks = [rng.choice(["", "", " ", "\n\t"]) for _ in range(2)]
        text = blanks[0] + rng.choice([self._object, self._object, self._object, self._value])(
            depth=rng.choice([0, 0, 1, 6])
        )
        match rng.randrange(12):
            case 0:
                text += f" {self._card()}"
            case 1:
                text += blanks[1] + self._object(depth=1)
            case 2:
                text += f",null]{self._value(depth=1)}"
            case 3:
                text = f"payment: {text}"
            case 4:
                text += "}" + self._object(depth=1)
            case 5:
                text = text[: rng.randrange(len(text))]
            case _:
                pass
        return text + blanks[1]

    def _object(self, depth: int) -> str:
        rng = self._rng
        fields = [
            f'"{rng.choice(NAMES)}"{rng.choice(["", " "])}:{self._value(depth)}'
            for _ in range(rng.randrange(1, 4))
        ]
        if rng.randrange(4) == 0:
            fields.insert(rng.randrange(2), f'"of":"{rng.choice("x{[") * 4_001}"')
        if rng.randrange(4) == 0:
            fields.append('"list":[null,{"of":[null]}]')
        return "{" + rng.choice([",", " , "]).join(fields) + "}"

    def _value(self, depth: int) -> str:
        rng = self._rng
        match rng.randrange(9):
            case 0 | 1:
                return f'"{self._card()}"'
            case 2:
                return self._card()
            case 3:
                odd = rng.choice(["}", "]", "{", "[", "'", "\t", "\x01"])
                return f'"a \\"user_id\\":{self._card()} {odd}"'
            case 4:
                return f"[{self._value(depth - 1)}]" if depth > 0 else "null"
            case 5:
                return rng.choice(["1.5e3", "true", '"x"', "[]", "{}", '"{"'])
            case _:
                return self._object(depth - 1) if depth > 0 else f'"{self._card()}"'

    def _card(self) -> str:
        # of a scheme with one length: a part of it is no card
        digits = f"51{self._next:013d}"
        self._next += 1
        digits += next(c for c in "0123456789" if _luhn(digits + c))
        self.planted.append(digits)
        return digits


def test_in_texts_of_all_shapes_exactly_the_right_numbers_become_tokens(
    spark: SparkSession,
) -> None:
    print(f"replay with LAKEHOUSE_TEST_SEED={SEED}")
    rng = Random(SEED)
    plantings = [Planting(rng, 1_000 * n) for n in range(3_000)]
    numbered = [(n, each.text) for n, each in enumerate(plantings)]
    texts = spark.createDataFrame(numbered, "n int, text string")
    redaction = redacted(F.encode("text", "UTF-8"), KEY, exempt_fields(BRONZE_TRANSACTIONS))
    wrong = []
    for row in texts.select("n", redaction.alias("found")).collect():
        text, planted = plantings[row.n].text, plantings[row.n].planted
        there = [digits for digits in planted if digits in text]  # some were cut off
        exempt = {digits for value in _exempt(text) for digits in there if digits in value}
        left = {digits for digits in there if digits in bytes(row.found.value).decode()}
        if left != exempt or row.found.redactions != len(there) - len(exempt):
            wrong.append((text[:1_000], left, exempt, row.found.redactions))
    assert wrong == []
    assert any(_exempt(each.text) for each in plantings)


def _exempt(text: str) -> Iterator[str]:
    """Values of the contract's fields at the top of a text that is one JSON object."""
    try:
        # an escaped name keeps its escapes, and is none of the contract
        top = json.loads(
            text.replace("\\u", "\\\\u"), object_pairs_hook=Pairs, parse_int=str, parse_float=str
        )
    except ValueError:
        return
    if isinstance(top, Pairs):
        yield from (value for name, value in top if name in EXEMPT and isinstance(value, str))


class Pairs(list[tuple[str, object]]):
    """Fields of an object, repeated ones too."""


def _luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0
