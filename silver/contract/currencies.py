"""Currencies that an amount can be in: ISO 4217 codes that have a smallest unit."""

from __future__ import annotations

from iso4217 import Currency

CURRENCIES = tuple(sorted(currency.code for currency in Currency if currency.exponent is not None))
"""Without gold, bonds and test codes: they have no smallest unit to count."""
