"""Amounts in the base currency: as-of rates, ISO 4217 decimals, one half-even rounding."""

from __future__ import annotations

import os
import random
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pytest import param

from lakehouse.config import MoneySettings
from lakehouse.decision import load_regions, minor_digits, region_of, with_base_amount
from lakehouse.errors import ContractError
from lakehouse.records.silver import NormalisedMoney
from lakehouse.schema import spark_schema
from lakehouse.tables import SILVER_FX_RATES
from tests.conftest import ROOT
from tests.decision.builders import a_payment, payments_frame

SEED = int(os.environ.get("DECISION_SEED", random.randrange(1_000_000)))
FRIDAY = date(2026, 3, 6)
IN_EUR = MoneySettings(base_currency="EUR", max_rate_age_days=7)
COLUMNS = spark_schema(NormalisedMoney).fieldNames()
SIMPLE = ("0.5", "0.25", "1.6", "160", "0.0005")
Rates = dict[tuple[date, str], str]

RATES: Rates = {
    (FRIDAY - timedelta(days=1), "USD"): "1.25",
    (FRIDAY, "USD"): "1.1",
    (FRIDAY, "JPY"): "160",
    (FRIDAY, "KWD"): "0.25",
    (FRIDAY - timedelta(days=20), "GBP"): "0.8",
}


def _rates(spark: SparkSession, rates: Rates, base: str = "EUR") -> Any:
    rows = [(day, base, code, Decimal(rate), "file") for (day, code), rate in rates.items()]
    return spark.createDataFrame(rows, SILVER_FX_RATES.schema)


def _at(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def _day(days: int) -> date:
    return FRIDAY + timedelta(days=days)


CASES: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
    # name: payment, (amount_base, fx_rate, fx_rate_date, fx_status)
    "the day's rate": ({"currency": "USD", "amount": "1100"}, ("1000", "1.1", _day(0), "OK")),
    "the last minute before a rate": (
        {"currency": "USD", "amount": "1250", "timestamp": _at(_day(-1), 23)},
        ("1000", "1.25", _day(-1), "OK"),
    ),
    "a Sunday takes Friday's rate": (
        {"currency": "USD", "amount": "1100", "timestamp": _at(_day(2))},
        ("1000", "1.1", _day(0), "OK"),
    ),
    "as old as allowed": (
        {"currency": "USD", "amount": "1100", "timestamp": _at(_day(7))},
        ("1000", "1.1", _day(0), "OK"),
    ),
    "too old": (
        {"currency": "USD", "amount": "1100", "timestamp": _at(_day(8))},
        (None, "1.1", _day(0), "STALE"),
    ),
    "years too old": (
        {"currency": "GBP", "timestamp": _at(_day(4000))},
        (None, "0.8", _day(-20), "STALE"),
    ),
    "before the first rate": (
        {"currency": "USD", "timestamp": _at(_day(-2))},
        (None, None, None, "MISSING"),
    ),
    "no such rate": ({"currency": "CHF"}, (None, None, None, "MISSING")),
    "no currency": ({"currency": None}, (None, None, None, "MISSING")),
    "no time": ({"currency": "USD", "timestamp": None}, (None, None, None, "MISSING")),
    "the base currency": ({"amount": "1234"}, ("1234", "1", _day(0), "OK")),
    "no decimals": ({"currency": "JPY", "amount": "1600"}, ("1000", "160", _day(0), "OK")),
    "three decimals": ({"currency": "KWD", "amount": "1000"}, ("400", "0.25", _day(0), "OK")),
    "a tie goes to the even: down": (
        {"currency": "USD", "amount": "275", "timestamp": _at(_day(0))},
        ("250", "1.1", _day(0), "OK"),
    ),
    "a tie at 0.5": ({"currency": "JPY", "amount": "0.00"}, ("0", "160", _day(0), "OK")),
    "a tie at 2.5": ({"currency": "JPY", "amount": "4"}, ("2", "160", _day(0), "OK")),
    "a tie at 7.5": ({"currency": "JPY", "amount": "12"}, ("8", "160", _day(0), "OK")),
    "the greatest amount": (
        {"currency": "KWD", "amount": "9999999999999"},
        ("4000000000000", "0.25", _day(0), "OK"),
    ),
}


@pytest.fixture(scope="module")
def normalised(spark: SparkSession) -> dict[str, Any]:
    payments = [
        a_payment(name, **({"timestamp": _at(FRIDAY)} | facts))
        for name, (facts, _) in CASES.items()
    ]
    frame = with_base_amount(payments_frame(spark, payments), _rates(spark, RATES), IN_EUR)
    assert frame.columns == [*payments_frame(spark, []).columns, *COLUMNS]
    types = {name: kind for name, kind in frame.dtypes if name in COLUMNS}
    assert types == {
        field.name: field.dataType.simpleString() for field in spark_schema(NormalisedMoney)
    }
    return {row.transaction_id: row for row in frame.collect()}


@pytest.mark.parametrize("case", CASES)
def test_an_amount_is_normalised_at_the_rate_of_its_day(
    normalised: dict[str, Any], case: str
) -> None:
    amount_base, rate, rate_date, status = CASES[case][1]
    row = normalised[case]
    assert row.base_currency == "EUR"
    assert (row.fx_status, row.fx_rate_date) == (status, rate_date)
    assert row.fx_rate == (None if rate is None else Decimal(rate))
    assert row.amount_base == (None if amount_base is None else Decimal(amount_base))


def _told(rate: Fraction) -> Decimal:
    """A rate as it is told: to eight decimals."""
    exact = Decimal(rate.numerator) / Decimal(rate.denominator)
    return exact.quantize(Decimal("1e-8"), ROUND_HALF_EVEN)


def _plain(
    payment: dict[str, Any], rates: Rates, via: str, money: MoneySettings
) -> tuple[Any, ...]:
    """The same in fractions, without any table of days."""
    base, code, day = money.base_currency, payment["currency"], payment["timestamp"].date()

    def quoted(on: date, currency: str) -> Fraction | None:
        rate = "1" if currency == via else rates.get((on, currency))
        return None if rate is None else Fraction(rate)

    if code == base:
        return Decimal(payment["amount"]), Fraction(1), day, "OK"
    days = sorted({on for on, _ in rates if on <= day}, reverse=True)
    for on in days:
        rate, base_rate = quoted(on, code), quoted(on, base)
        if rate is None or base_rate is None:
            continue
        # a crossed rate that eight decimals cannot tell is no rate
        if not Decimal("1e-8") <= _told(rate / base_rate) <= 9_999_999_999:
            continue
        if (day - on).days > money.max_rate_age_days:
            return None, rate / base_rate, on, "STALE"
        major = Fraction(payment["amount"]) / 10 ** minor_digits()[code]
        minor = major / rate * base_rate * 10 ** minor_digits()[base]
        return Decimal(round(minor)), rate / base_rate, on, "OK"  # Python rounds half-even
    return None, None, None, "MISSING"


def test_a_crossed_rate_of_nothing_at_eight_decimals_is_no_rate(spark: SparkSession) -> None:
    rates = {(_day(-1), "USD"): "1", (_day(-1), "JPY"): "160", (FRIDAY, "USD"): "190000"} | {
        (FRIDAY, "JPY"): "0.0005"
    }
    payment = a_payment(currency="JPY", amount="160", timestamp=_at(FRIDAY))
    in_usd = MoneySettings(base_currency="USD", max_rate_age_days=7)
    row = with_base_amount(payments_frame(spark, [payment]), _rates(spark, rates), in_usd).first()
    assert row is not None
    assert (row.fx_rate, row.fx_rate_date, row.amount_base) == (160, _day(-1), 100)


@pytest.mark.parametrize("base", ["EUR", "USD", "JPY", "KWD"])
def test_amounts_equal_the_plain_answer(spark: SparkSession, base: str) -> None:
    rng = random.Random(SEED)
    money = MoneySettings(base_currency=base, max_rate_age_days=rng.randrange(1, 9))
    codes = ["EUR", "USD", "JPY", "KWD", "CLF"]
    days = sorted(rng.sample([_day(n) for n in range(60)], 25))
    # simple ones make ties, odd ones many digits
    rates = {
        (day, code): rng.choice([*SIMPLE, f"{rng.randrange(1, 10 ** rng.randrange(4, 15))}e-8"])
        for day in days
        for code in codes[1:]
        if rng.random() < 0.8
    }
    payments = [
        a_payment(
            f"t{number}",
            currency=rng.choice(codes),
            amount=str(rng.randrange(10 ** rng.randrange(1, 14))),
            timestamp=_at(_day(rng.randrange(-3, 80)), rng.randrange(24)),
        )
        for number in range(600)
    ]
    frame = with_base_amount(payments_frame(spark, payments), _rates(spark, rates), money)
    found = {row.transaction_id: row for row in frame.collect()}
    assert len(found) == len(payments)
    for payment in payments:
        amount_base, rate, rate_date, status = _plain(payment, rates, "EUR", money)
        row = found[payment["transaction_id"]]
        told = f"DECISION_SEED={SEED} {payment['currency']} {payment['amount']} {rate} {row}"
        assert (row.fx_status, row.fx_rate_date) == (status, rate_date), told
        if rate is None:
            assert row.fx_rate is None, told
        else:
            assert row.fx_rate == _told(rate), told
        if amount_base is not None and amount_base < 10**18:
            assert row.amount_base == amount_base, told
        else:
            assert row.amount_base is None, told


@pytest.mark.parametrize(
    "empty", [param({"payments"}, id="payments"), param({"rates"}, id="rates")]
)
def test_empty_frames_are_normalised_too(spark: SparkSession, empty: set[str]) -> None:
    payments = [] if "payments" in empty else [a_payment(currency="USD"), a_payment("two")]
    rates = {} if "rates" in empty else RATES
    rows = with_base_amount(payments_frame(spark, payments), _rates(spark, rates), IN_EUR).collect()
    assert sorted(row.fx_status for row in rows) == ([] if not payments else ["MISSING", "OK"])


def test_a_base_currency_without_a_smallest_unit_is_refused(spark: SparkSession) -> None:
    gold = MoneySettings(base_currency="XAU", max_rate_age_days=7)
    with pytest.raises(ContractError, match=r"money.base_currency: .*smallest unit, got XAU"):
        with_base_amount(payments_frame(spark, []), _rates(spark, {}), gold)


def test_decimals_come_from_iso_4217() -> None:
    digits = minor_digits()
    assert [digits[code] for code in ("JPY", "USD", "KWD", "CLF")] == [0, 2, 3, 4]
    assert "XAU" not in digits


def test_each_country_has_a_region(spark: SparkSession) -> None:
    regions = load_regions(ROOT / "conf" / "regions.yaml")
    expected = {"DE": "EU", "KP": "EAST_ASIA", "NO": "EUROPE_OTHER", "AQ": "OTHER", None: None}
    places = spark.createDataFrame([(country,) for country in expected], "country string")
    placed = places.select("country", region_of(F.col("country"), regions).alias("region"))
    assert {row.country: row.region for row in placed.collect()} == expected
