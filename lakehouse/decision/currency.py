"""Currencies: how many decimals each has, from ISO 4217, never from a constant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from iso4217 import Currency
from pyspark.sql import Column
from pyspark.sql import functions as F


@cache
def minor_digits() -> Mapping[str, int]:
    """Decimals of each currency that has a smallest unit: JPY 0, USD 2, KWD 3."""
    return {
        currency.code: currency.exponent for currency in Currency if currency.exponent is not None
    }


def minor_units(currency: Column) -> Column:
    """Smallest units in one unit of a currency, DECIMAL(5,0); null for one that has none."""
    units = {code: 10**digits for code, digits in minor_digits().items()}
    # folded into one literal map when the plan is made
    table = F.from_json(F.lit(json.dumps(units)), "map<string,decimal(5,0)>")
    return F.element_at(table, currency)
