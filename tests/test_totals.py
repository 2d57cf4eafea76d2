"""`_CONTROL.json` is read strictly and within bounds: what is none stops nobody."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lakehouse.totals import SentTotals, sent_totals


@pytest.mark.parametrize(
    "text, totals",
    [
        pytest.param("{}", SentTotals(), id="nothing said"),
        pytest.param('{"rows": 0}', SentTotals(rows=0), id="an empty day"),
        pytest.param(
            '{"rows": 2, "amount": {"EUR": "300", "JPY": 7}}',
            SentTotals(rows=2, amount={"EUR": Decimal(300), "JPY": Decimal(7)}),
            id="rows and amounts",
        ),
        pytest.param(
            '{"amount": {"EUR": "99999999999999999999.99"}}',
            SentTotals(amount={"EUR": Decimal("99999999999999999999.99")}),
            id="the greatest amount",
        ),
        pytest.param(
            '{"amount": {"A": 9007199254740993.0, "B": 12345678901234567.89, "C": 1E3}}',
            SentTotals(
                amount={
                    "A": Decimal(9007199254740993),
                    "B": Decimal("12345678901234567.89"),
                    "C": Decimal(1000),
                }
            ),
            id="numbers of more digits than a float has",
        ),
    ],
)
def test_totals_are_read_as_they_are(text: str, totals: SentTotals) -> None:
    assert sent_totals(text) == totals


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"row": 2}', '{"amount": []}', '{"amount": {"EUR": {}}}',
        '{"rows": 2.7}', '{"rows": 2.0}', '{"rows": "2"}', '{"rows": true}', '{"rows": -1}',
        '{"rows": 1e400}', '{"rows": 99999999999999999999}', '{"rows": "Infinity"}',
        '{"rows": Infinity}', f'{{"rows": {"9" * 5000}}}',
        '{"amount": {"EUR": "Infinity"}}', '{"amount": {"EUR": "NaN"}}',
        '{"amount": {"EUR": 1e400}}',
        '{"amount": {"EUR": "9e999999"}}', f'{{"amount": {{"EUR": {"9" * 26}}}}}',
        f'{{"amount": {{"EUR": "{"9" * 21}"}}}}', '{"amount": {"EUR": "0.001"}}',
        '{"amount": {"EUR": null}}', "[" * 100_000, '{"amount": {"EUR": "1_000"}}',
        '{"amount": {"EUR": true}}', '{"amount": {"EUR": ""}}', '{"amount": {"EUR": " 1"}}',
        '{"amount": {"EUR": "\u0663"}}', '{"amount": {"EUR": Infinity}}',
        '{"amount": {"EUR": 0.001}}', '{"amount": {"EUR": 1e99999999999999999999}}',
    ],
)  # fmt: skip
def test_whatever_else_is_delivered_is_none(text: str) -> None:
    assert sent_totals(text) is None
