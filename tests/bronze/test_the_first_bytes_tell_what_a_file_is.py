"""Encoding, header and kind, from the head of a file."""

from __future__ import annotations

import gzip
import json
from codecs import BOM_UTF8, BOM_UTF16_LE
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pytest import param

from bronze.head import HEAD_BYTES, REQUIRED, columns_fault, head_fault
from lakehouse.records.codes import DropFault, ScoreSource
from silver.contract import (
    parsed_fx_rates,
    parsed_money_events,
    parsed_payments,
    parsed_policies,
    parsed_scores,
)
from tests.bronze.landing_folder import HEADER, csv

RATES = "rate_date,base,currency,rate"


def of_csv(head: str | bytes, kind: str = "money_events") -> DropFault | None:
    fault = head_fault(kind, "csv", head.encode() if isinstance(head, str) else head)
    return fault and fault.code


def a_rate(**changes: Any) -> str:
    rate = {"rate_date": "2026-03-06", "base": "EUR", "currency": "USD", "rate": "1.1"} | changes
    return json.dumps({name: value for name, value in rate.items() if value is not None})


@pytest.mark.parametrize(
    "head",
    [
        param(csv("1,100,EUR,x"), id="LF"),
        param(csv("1,100,EUR,x").replace("\n", "\r\n"), id="CRLF"),
        param(HEADER, id="no row, no line break"),
        param(BOM_UTF8 + csv("1,100,EUR,x").encode(), id="UTF-8 byte order mark"),
        param('"event_id"' + HEADER.removeprefix("event_id"), id="a quoted name"),
        param(f"{HEADER},dispute_id\n", id="a column more"),
        param(csv("1,100,EUR,Stra\u00dfe"), id="not ASCII"),
        param(csv("1,100,EUR,").encode() + b"2,1,EUR,\xfc\n", id="a damaged row"),
    ],
)
def test_a_sound_head_says_nothing(head: str | bytes) -> None:
    assert of_csv(head) is None


@pytest.mark.parametrize(
    "head, code",
    [
        param("id,sum\n1,2\n", DropFault.WRONG_HEADER, id="other names"),
        param(HEADER.replace("amount", "Amount"), DropFault.WRONG_HEADER, id="another case"),
        param("\n" + csv("1,100,EUR,x"), DropFault.WRONG_HEADER, id="a blank line first"),
        param(f"{HEADER},note\n", DropFault.WRONG_HEADER, id="a column twice"),
        param(HEADER.replace(",", ";"), DropFault.WRONG_HEADER, id="semicolons"),
        param(csv("1,1,EUR,").replace("\n", "\r"), DropFault.WRONG_HEADER, id="CR alone"),
        param("x" * HEAD_BYTES, DropFault.WRONG_HEADER, id="no end of the first line"),
        param(f"{RATES}\n", DropFault.WRONG_KIND, id="columns of another kind"),
        param(BOM_UTF16_LE + csv().encode("utf-16-le"), DropFault.FOREIGN_ENCODING, id="UTF-16"),
        param(csv().encode("utf-16-le"), DropFault.FOREIGN_ENCODING, id="UTF-16 without a mark"),
        param(f"{HEADER},stra\u00dfe".encode("latin-1"), DropFault.FOREIGN_ENCODING, id="Latin-1"),
    ],
)
def test_what_is_wrong_has_a_code(head: str | bytes, code: DropFault) -> None:
    assert of_csv(head) == code


@pytest.mark.parametrize(
    "lines, code",
    [
        param([a_rate()], DropFault.WRONG_KIND, id="one row of another kind"),
        param([a_rate(rate=None), a_rate(), "{"], DropFault.WRONG_KIND, id="damaged rows too"),
        param([a_rate(rate=None)], None, id="a row that lacks a field is refused as a row"),
        param(["{", a_rate(rate=None), "[]"], None, id="so are rows that are no objects"),
        param([a_rate(), '{"event_id": 1}'], DropFault.WRONG_KIND, id="none of its own kind"),
    ],
)
def test_json_lines_are_told_by_their_fields(lines: list[str], code: DropFault | None) -> None:
    fault = head_fault("money_events", "json", "\n".join(lines).encode())
    assert (fault and fault.code) == code
    assert head_fault("fx_rates", "json", "\n".join(lines).encode()) is None


@pytest.mark.parametrize(
    "text, code, told",
    [
        param(f"[{a_rate()}, {a_rate()}]", DropFault.WRONG_FORMAT, "one JSON array", id="array"),
        param(
            json.dumps([json.loads(a_rate())], indent=1), DropFault.WRONG_FORMAT, "one JSON array",
            id="an array over lines",
        ),
        param(
            f"[{a_rate()}," + f"{a_rate()}," * 2000, DropFault.WRONG_FORMAT, "one JSON array",
            id="an array longer than the head",
        ),
        param(
            json.dumps(json.loads(a_rate()), indent=2), DropFault.WRONG_FORMAT, "several lines",
            id="pretty-printed",
        ),
        param(
            f"{a_rate()}\r{a_rate()}\r", DropFault.WRONG_FORMAT, "CR alone", id="CR alone"
        ),
        param(
            f"{a_rate()}\r" * 2000, DropFault.WRONG_FORMAT, "CR alone", id="CR, a long file"
        ),
        param("{\n7\n\nnull\n", DropFault.WRONG_FORMAT, "none of its first 3 lines", id="nonsense"),
        param('{"a": 1}\n{"b": 1}', DropFault.WRONG_HEADER, "have none of them", id="other fields"),
        param("\n \n\r\n", DropFault.EMPTY, "nothing in the file", id="blank lines"),
    ],
)  # fmt: skip
def test_useless_json_has_a_code(text: str, code: DropFault, told: str) -> None:
    fault = head_fault("fx_rates", "json", text.encode()[:HEAD_BYTES])
    assert fault and fault.code == code and told in fault.reason


@pytest.mark.parametrize(
    "text",
    [
        param(f"{a_rate()}\r", id="one row, CR behind it"),
        param(f"{a_rate()}\r\n{a_rate()}\r\n", id="CRLF"),
        param(f"\n{a_rate()}", id="a blank line first"),
        param(a_rate(note="x" * HEAD_BYTES), id="a row longer than the head"),
        param("\n" * HEAD_BYTES, id="nobody can say yet"),
    ],
)
def test_sound_json_says_nothing(text: str) -> None:
    assert head_fault("fx_rates", "json", text.encode()[:HEAD_BYTES]) is None


@pytest.mark.parametrize("file_format", ["csv", "json"])
@pytest.mark.parametrize(
    "content, looks_like",
    [
        param(gzip.compress(csv().encode()), "gzip", id="gzip"),
        param(b"PK\x03\x04 and more", "a ZIP archive", id="ZIP"),
        param(b"PAR1 and more PAR1", "Parquet", id="Parquet"),
    ],
)
def test_what_is_no_text_is_named(content: bytes, looks_like: str, file_format: str) -> None:
    fault = head_fault("money_events", file_format, content)
    assert fault and fault.code == DropFault.UNKNOWN_FORMAT and looks_like in fault.reason


def test_nothing_in_a_compressed_file_is_an_empty_file() -> None:
    assert of_csv(b"") == of_csv(BOM_UTF8) == of_csv("\n\n") == DropFault.EMPTY


def test_a_wrong_header_names_what_it_lacks_and_a_wrong_kind_where_it_belongs() -> None:
    lacking = columns_fault("fx_rates", ["rate_date", "base"])
    assert lacking and lacking.reason == "a file of fx_rates needs the columns currency, rate"
    misplaced = columns_fault("money_events", RATES.split(","))
    assert misplaced and "deliver it under fx_rates/" in misplaced.reason


def test_what_a_header_needs_is_what_silver_refuses_a_row_for(spark: SparkSession) -> None:
    latest: Column = F.lit("2026-03-09").cast("timestamp")
    contracts: dict[str, Callable[[DataFrame], DataFrame]] = {
        "transactions": partial(
            parsed_payments, latest=latest, regions=lambda country: country, with_event_id=False
        ),
        "money_events": partial(parsed_money_events, latest=latest),
        "policies": parsed_policies,
        "fraud_scores": partial(parsed_scores, latest=latest, score_source=ScoreSource.OFFLINE),
        "fx_rates": partial(parsed_fx_rates, latest=latest),
    }
    nothing = spark.range(1).select(F.create_map().cast("map<string,string>").alias("fields"))
    for kind, required in REQUIRED.items():
        row = contracts[kind](nothing).select("violations.reason").first()
        assert row is not None
        missing = {text.removesuffix(" is missing") for text in row[0] if "is missing" in text}
        assert missing == required
