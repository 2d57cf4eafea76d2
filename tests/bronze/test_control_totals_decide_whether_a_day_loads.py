"""`_CONTROL.json`: what the sender counted against what its files hold."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bronze.control import Totals, unmet
from lakehouse.records.codes import DropFault

FOUND = Totals(2, {"EUR": Decimal("300.00")})


@pytest.mark.parametrize(
    "control",
    [
        pytest.param(None, id="no control"),
        pytest.param('{"rows": 2, "amount": {"EUR": "300"}}', id="both"),
        pytest.param('{"rows": 2}', id="rows only"),
        pytest.param('{"amount": {"EUR": 300, "USD": "0"}}', id="amount only"),
        pytest.param('{"amount": {"EUR": 300, "eur": "5", "x": "-5"}}', id="other codes are one"),
    ],
)
def test_totals_that_are_met_say_nothing(control: str | None) -> None:
    assert unmet(control, FOUND) is None


@pytest.mark.parametrize(
    ("control", "reason"),
    [
        pytest.param('{"rows": 3}', "says 3 rows, the files have 2", id="rows"),
        pytest.param('{"amount": {"EUR": "301"}}', "says 301 EUR", id="amount"),
        pytest.param('{"amount": {"EUR": "300", "USD": "1"}}', "says 1 USD", id="one too many"),
        pytest.param('{"amount": {}}', "says 0 EUR", id="one too few"),
        pytest.param('{"rows": "many"}', "_CONTROL.json is not", id="no number"),
        pytest.param("{", "_CONTROL.json is not", id="no JSON"),
        pytest.param('{"row": 2}', "_CONTROL.json is not", id="unknown key"),
        pytest.param('{"amount": {"x": "9e999999"}}', "_CONTROL.json is not", id="out of range"),
        pytest.param('{"amount": {"EUR": "NaN"}}', "_CONTROL.json is not", id="not a number"),
        pytest.param(
            '{"amount": {"EUR": 300, "eur": 5}}', "says 5 in codes that are not", id="no such code"
        ),
    ],
)
def test_totals_that_are_missed_say_why(control: str, reason: str) -> None:
    miss = unmet(control, FOUND)
    assert miss and reason in miss.reason
    is_malformed = "is not" in reason
    assert miss.code == (DropFault.CONTROL_MALFORMED if is_malformed else DropFault.CONTROL_UNMET)


def test_totals_cannot_be_met_beside_a_file_that_nobody_can_count() -> None:
    miss = unmet('{"rows": 2}', FOUND, ["cut.csv.gz"])
    assert miss and miss.code == DropFault.CONTROL_UNMET and "cut.csv.gz" in miss.reason
    assert unmet(None, FOUND, ["cut.csv.gz"]) is None
    many = unmet('{"rows": 2}', FOUND, [f"{n}.csv" for n in range(1000)])
    assert many and "counts 0.csv, 1.csv, 2.csv, 3.csv, 4.csv and 995 more too" in many.reason


def test_totals_of_files_add_up() -> None:
    more = Totals(1, {"EUR": Decimal(5), "JPY": Decimal(7)}, foreign_rows=1)
    assert FOUND + more == Totals(3, {"EUR": Decimal(305), "JPY": Decimal(7)}, foreign_rows=1)
