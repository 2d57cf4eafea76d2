"""The policies of the generated week, and the change of one of them midweek."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from lakehouse.local.generator.settings import GeneratorSettings, day_ms, iso_utc
from lakehouse.local.generator.world import (
    BLOCKED_COUNTRY,
    BLOCKED_CURRENCY,
    World,
    blocked_merchant,
)

POLICY_COLUMNS = ("policy_id", "policy_name", "policy_data", "effective_date")
BROKEN_POLICY_ID = "pol-broken"
CHANGED_POLICY_ID = "pol-amount-eur"
EUR_LIMIT, CHANGED_EUR_LIMIT, USD_LIMIT = 300_000, 150_000, 300_000
USD_HOUR_LIMIT = 250_000

Row = dict[str, Any]


def initial_policies(settings: GeneratorSettings, world: World) -> list[Row]:
    """Policies in force since sixty days before the first payment."""
    since = day_ms(settings.start - timedelta(days=60))
    merchant_id = blocked_merchant(world).merchant_id
    rules: list[tuple[str, str, Row]] = [
        (
            "pol-velocity",
            "At most five payments a minute",
            {"rule": "velocity_limit", "max_count": 5, "window_seconds": 60},
        ),
        (
            "pol-spend-usd",
            "Largest sum of an hour in USD",
            {
                "rule": "velocity_limit",
                "currency": "USD",
                "max_amount": USD_HOUR_LIMIT,
                "window_seconds": 3600,
            },
        ),
        (
            "pol-geo",
            "Blocked countries",
            {"rule": "geo_block", "countries": [BLOCKED_COUNTRY], "regions": []},
        ),
        (CHANGED_POLICY_ID, "Largest payment in EUR", _limit("EUR", EUR_LIMIT)),
        ("pol-amount-usd", "Largest payment in USD", _limit("USD", USD_LIMIT)),
        (
            "pol-currency",
            "Blocked currencies",
            {"rule": "currency_block", "currencies": [BLOCKED_CURRENCY]},
        ),
        (
            "pol-merchant",
            "Blocked merchants",
            {"rule": "merchant_block", "merchants": [merchant_id]},
        ),
    ]
    return [_row(policy_id, name, json.dumps(rule), since) for policy_id, name, rule in rules]


def changed_policies(settings: GeneratorSettings) -> list[Row]:
    """The lower EUR limit, in force from the midnight UTC at which the week is half over."""
    since = day_ms(settings.start + timedelta(days=settings.days // 2))
    rule = json.dumps(_limit("EUR", CHANGED_EUR_LIMIT))
    return [_row(CHANGED_POLICY_ID, "Largest payment in EUR", rule, since)]


def broken_policy(settings: GeneratorSettings) -> Row:
    """A policy whose data is no JSON: it must be refused, and block nothing."""
    return _row(BROKEN_POLICY_ID, "Cut off", '{"rule": "geo_block", "countr', settings.start_ms)


def _limit(currency: str, max_amount: int) -> Row:
    return {"rule": "amount_limit", "currency": currency, "max_amount": max_amount}


def _row(policy_id: str, name: str, policy_data: str, since_ms: int) -> Row:
    values = (policy_id, name, policy_data, iso_utc(since_ms))
    return dict(zip(POLICY_COLUMNS, values, strict=True))
