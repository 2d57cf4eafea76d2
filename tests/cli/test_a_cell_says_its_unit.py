"""Values of the page's tables with their units; the exact value stands beside them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from lakehouse.cli.page.cells import as_it_is, exact, money_in, percent, score


@pytest.mark.parametrize(
    "smallest, currency, text",
    [
        (Decimal("224525.00"), "AUD", "2 245.25 AUD"),
        (Decimal("2316979.00"), "JPY", "2 316 979 JPY"),
        (Decimal(1234), "KWD", "1.234 KWD"),
        (Decimal(5), "EUR", "0.05 EUR"),
        (Decimal(1234), "???", "1 234 smallest units"),
        (None, "EUR", "–"),
    ],
)
def test_money_has_the_decimals_of_its_currency(
    smallest: Decimal | None, currency: str, text: str
) -> None:
    assert money_in("currency")(smallest, {"currency": currency}) == text


def test_rates_are_percents_and_scores_are_tenths() -> None:
    assert percent(0.0286, {}) == "2.86 %"
    assert percent(None, {}) == "–"
    assert score(0.9, {}) == "0.9 to 1.0"
    assert score(None, {}) == "no score"


def test_times_are_utc_and_numbers_are_grouped() -> None:
    at = datetime.fromisoformat("2026-03-09T01:30:00+02:00")
    assert as_it_is(at, {}) == "2026-03-08 23:30:00"
    assert exact(at) == "2026-03-08T23:30:00Z"
    assert exact(datetime(2026, 3, 9, tzinfo=UTC).date()) == "2026-03-09"
    assert as_it_is(1234567, {}) == "1 234 567"
    assert exact(None) == ""
