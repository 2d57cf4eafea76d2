"""What the model looks at in one payment: pure functions of the payment and the learned profiles.

Everything needed at scoring time stands here; nothing here needs scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from lakehouse.config import Settings

FEATURES = (
    "amount_above_usual",
    "amount_is_tiny",
    "away_from_home",
    "away_from_merchant",
    "merchant_risk",
    "unusual_hour",
    "tiny_and_risky",
)
# feature -> the key of `explanations` that its contribution is added to
EXPLAINED_BY = {
    "amount_above_usual": "amount",
    "amount_is_tiny": "velocity",
    "away_from_home": "location",
    "away_from_merchant": "location",
    "merchant_risk": "merchant",
    "unusual_hour": "velocity",
    # many tiny payments at shops of digital goods are how stolen cards are tested
    "tiny_and_risky": "velocity",
}
EXPLANATIONS = ("amount", "location", "merchant", "velocity")

UNKNOWN = "UNKNOWN"
TINY_SHARE = 0.12
# e to the third: twenty times the usual is as unusual as it gets
MOST_ABOVE = 3.0


class Observation(NamedTuple):
    """The facts of one payment: smallest units of `currency`, epoch milliseconds UTC."""

    transaction_id: str
    user_id: str
    timestamp_ms: int
    amount: float
    currency: str
    country: str | None
    merchant_id: str | None


class UserProfile(Settings):
    """What a user usually does: natural logarithm of a price-adjusted amount, country, UTC hour."""

    log_amount: float
    country: str
    hour: float


class Profiles(Settings):
    """What training learned about users, currencies and merchant categories.

    A user that training never saw is measured by the currency: its usual amount, and the
    countries where it is at home.
    """

    users: dict[str, UserProfile]
    currency_log_amount: dict[str, float]
    currency_countries: dict[str, tuple[str, ...]]
    category_risk: dict[str, float]
    category_log_price: dict[str, float]
    usual_log_amount: float
    usual_risk: float


def features(payment: Observation, profiles: Profiles) -> tuple[float, ...]:
    """Measure one payment, in the order of `FEATURES`."""
    user = profiles.users.get(payment.user_id)
    category = category_of(payment.merchant_id)
    price = profiles.category_log_price.get(category, 0.0)
    currency_usual = profiles.currency_log_amount.get(payment.currency, profiles.usual_log_amount)
    log_amount = math.log(max(payment.amount, 1.0))
    against_currency = log_amount - currency_usual
    # users are compared across currencies: their usual amount is relative to the currency's
    against_usual = against_currency - price - (user.log_amount if user else 0.0)
    risk = profiles.category_risk.get(category, profiles.usual_risk)
    tiny = float(against_currency < math.log(TINY_SHARE))
    return (
        min(MOST_ABOVE, max(0.0, against_usual)),
        tiny,
        float(_is_away(payment, user, profiles)),
        float(_differs(payment.country, country_of(payment.merchant_id))),
        risk,
        _hours_apart(hour_of(payment.timestamp_ms), user.hour) if user else 0.0,
        tiny * risk,
    )


def category_of(merchant_id: str | None) -> str:
    """Merchant category code (ISO 18245) inside the merchant id, e.g. `DE-5411-00012`."""
    parts = (merchant_id or "").split("-")
    return parts[1] if len(parts) == 3 and len(parts[1]) == 4 else UNKNOWN


def country_of(merchant_id: str | None) -> str | None:
    """Country inside the merchant id, None for an id of another form."""
    parts = (merchant_id or "").split("-")
    return parts[0] if len(parts) == 3 and len(parts[0]) == 2 else None


def hour_of(timestamp_ms: int) -> float:
    """Hour of the UTC day, in whole minutes."""
    return timestamp_ms // 60_000 % (24 * 60) / 60


def explain(contributions: Mapping[str, float]) -> dict[str, float]:
    """Add the contributions of the features up to the keys of `explanations`, in log-odds."""
    sums = dict.fromkeys(EXPLANATIONS, 0.0)
    for feature, value in contributions.items():
        sums[EXPLAINED_BY[feature]] += value
    return {name: round(value, 4) for name, value in sums.items()}


def _is_away(payment: Observation, user: UserProfile | None, profiles: Profiles) -> bool:
    if user is not None:
        return _differs(payment.country, user.country)
    homes = profiles.currency_countries.get(payment.currency, ())
    return payment.country is not None and bool(homes) and payment.country not in homes


def _differs(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _hours_apart(one: float, other: float) -> float:
    apart = abs(one - other) % 24
    return min(apart, 24 - apart)
