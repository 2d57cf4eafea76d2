"""Encoding, header and kind, from the head of a file."""

from __future__ import annotations

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
        param([a_rate(), '{"event_id": 1}'], DropFault.WRONG_KIND, id="none of its own kind"),
        param(["{", "[]", "7", ""], None, id="no objects"),
    ],
)
def test_json_lines_are_told_by_their_fields(lines: list[str], code: DropFault | None) -> None:
    fault = head_fault("money_events", "json", "\n".join(lines).encode())
    assert (fault and fault.code) == code
    assert head_fault("fx_rates", "json", "\n".join(lines).encode()) is None


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
        "fx_rates": parsed_fx_rates,
    }
    nothing = spark.range(1).select(F.create_map().cast("map<string,string>").alias("fields"))
    for kind, required in REQUIRED.items():
        row = contracts[kind](nothing).select("violations.reason").first()
        assert row is not None
        missing = {text.removesuffix(" is missing") for text in row[0] if "is missing" in text}
        assert missing == required
