"""The people and shops of the generated world: who lives where, spends how much, and on what."""

from __future__ import annotations

import math
from itertools import accumulate
from random import Random
from typing import NamedTuple

from lakehouse.local.generator.settings import GeneratorSettings, stream


class Currency(NamedTuple):
    """An ISO 4217 currency; `per_euro` only makes amounts realistic, it is nobody's rate."""

    code: str
    exponent: int
    per_euro: float


class Country(NamedTuple):
    """An ISO 3166-1 country; a weight of zero means that no user lives there."""

    code: str
    currency: str
    utc_offset_minutes: int
    user_weight: float


class Category(NamedTuple):
    """A merchant category: ISO 18245 code, how often fraud meets it, and price against a basket."""

    code: int
    risk: float
    price: float
    weight: float


class Merchant(NamedTuple):
    """A shop; its id carries country and category code, as acquirers' ids often do."""

    merchant_id: str
    country: str
    currency: str
    category: Category


class User(NamedTuple):
    """A payer with habits; money in euros, hours in the user's own time zone."""

    user_id: str
    country: Country
    currency: str
    typical_euros: float
    spread: float
    active_hour: float
    active_spread: float
    payment_token: str
    favourites: tuple[Merchant, ...]


class Intent(NamedTuple):
    """A payment before it has an identity: epoch milliseconds UTC, price in euros, and its label.

    `pattern` is empty for an honest payment.
    """

    timestamp_ms: int
    user: User
    merchant: Merchant
    country: str
    currency: str
    euros: float
    status: str
    pattern: str


class World(NamedTuple):
    """All users and merchants; `user_weights` are cumulative activity.

    `merchants_in` finds by country, `shops` by country and category code.
    """

    users: tuple[User, ...]
    user_weights: tuple[float, ...]
    merchants: tuple[Merchant, ...]
    merchants_in: dict[str, tuple[Merchant, ...]]
    shops: dict[tuple[str, int], tuple[Merchant, ...]]


CURRENCIES = {
    currency.code: currency
    for currency in (
        Currency("EUR", 2, 1.0),
        Currency("USD", 2, 1.1),
        Currency("GBP", 2, 0.86),
        Currency("JPY", 0, 170.0),
        Currency("KWD", 3, 0.34),
        Currency("BRL", 2, 6.0),
        Currency("INR", 2, 100.0),
        Currency("AUD", 2, 1.65),
        Currency("ZAR", 2, 19.5),
        Currency("RUB", 2, 95.0),
    )
}

COUNTRIES = {
    country.code: country
    for country in (
        Country("DE", "EUR", 60, 0.18),
        Country("FR", "EUR", 60, 0.12),
        Country("ES", "EUR", 60, 0.08),
        Country("GB", "GBP", 0, 0.13),
        Country("US", "USD", -300, 0.21),
        Country("JP", "JPY", 540, 0.08),
        Country("KW", "KWD", 180, 0.04),
        Country("BR", "BRL", -180, 0.06),
        Country("IN", "INR", 330, 0.05),
        Country("AU", "AUD", 600, 0.03),
        Country("ZA", "ZAR", 120, 0.02),
        Country("RU", "RUB", 180, 0.0),
        Country("KP", "EUR", 540, 0.0),
    )
}

BLOCKED_COUNTRY = "KP"
BLOCKED_CURRENCY = "RUB"

DIGITAL_GOODS = Category(5816, 0.8, 0.3, 0.07)
ELECTRONICS = Category(5732, 0.5, 3.0, 0.08)
GAMBLING = Category(7995, 0.9, 1.2, 0.03)
CATEGORIES = (
    Category(5411, 0.05, 0.9, 0.30),
    Category(5812, 0.1, 0.8, 0.20),
    Category(5541, 0.1, 1.2, 0.10),
    Category(5651, 0.2, 1.5, 0.10),
    Category(5912, 0.1, 0.5, 0.08),
    Category(4511, 0.4, 5.0, 0.04),
    DIGITAL_GOODS,
    ELECTRONICS,
    GAMBLING,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def make_world(settings: GeneratorSettings) -> World:
    """Make users and merchants; user *i* is the same person whatever the number of users."""
    merchants = _make_merchants(settings)
    merchants_in = {
        code: tuple(merchant for merchant in merchants if merchant.country == code)
        for code in COUNTRIES
    }
    shops = {
        (code, category.code): tuple(
            shop for shop in merchants_in[code] if shop.category == category
        )
        for code in COUNTRIES
        for category in CATEGORIES
    }
    # everybody buys everywhere, in proportion to what people need
    everyday = {
        code: tuple(accumulate(shop.category.weight for shop in merchants_in[code]))
        for code in COUNTRIES
    }
    users = tuple(
        _make_user(stream(settings.population_seed, f"user/{index}"), index, merchants_in, everyday)
        for index in range(settings.user_count)
    )
    activity = stream(settings.population_seed, "activity")
    weights = tuple(accumulate(activity.lognormvariate(0, 0.5) for _ in users))
    return World(users, weights, merchants, merchants_in, shops)


def blocked_merchant(world: World) -> Merchant:
    """Pick the merchant that policies block: the riskiest, the first of them by id."""
    return min(world.merchants, key=lambda shop: (-shop.category.risk, shop.merchant_id))


def to_minor(euros: float, currency: str) -> int:
    """Convert euros to whole smallest units of a currency, at least one."""
    money = CURRENCIES[currency]
    scale = (1, 10, 100, 1000)[money.exponent]
    return max(1, round(euros * money.per_euro * scale))


def _make_merchants(settings: GeneratorSettings) -> tuple[Merchant, ...]:
    rng = stream(settings.population_seed, "merchants")
    # every country has a shop of each kind that fraud looks for, whatever the size of the world
    needed = [(c, k) for c in COUNTRIES for k in (CATEGORIES[0], DIGITAL_GOODS, ELECTRONICS)]
    needed += [("DE", GAMBLING), ("GB", GAMBLING)]
    countries = [country for country in COUNTRIES.values() if country.user_weight > 0]
    country_weights = [country.user_weight for country in countries]
    category_weights = [category.weight for category in CATEGORIES]
    for _ in range(max(0, settings.merchant_count - len(needed))):
        country = rng.choices(countries, country_weights)[0]
        needed.append((country.code, rng.choices(CATEGORIES, category_weights)[0]))
    return tuple(
        Merchant(f"{code}-{category.code}-{index:05d}", code, COUNTRIES[code].currency, category)
        for index, (code, category) in enumerate(needed, start=1)
    )


def _make_user(
    rng: Random,
    index: int,
    merchants_in: dict[str, tuple[Merchant, ...]],
    everyday: dict[str, tuple[float, ...]],
) -> User:
    homes = [country for country in COUNTRIES.values() if country.user_weight > 0]
    home = rng.choices(homes, [country.user_weight for country in homes])[0]
    typical = 28.0 * math.exp(rng.gauss(0, 0.6))
    spread = rng.uniform(0.4, 0.8)
    # every fourth user comes from an older system that numbered its users
    user_id = str(7_000_000 + index) if rng.random() < 0.25 else f"u-{index:06d}"
    token = "tok_" + "".join(rng.choice(LETTERS) for _ in range(20))
    active_hour, active_spread = rng.gauss(14.5, 2.5), rng.uniform(2.0, 4.0)
    shops = merchants_in[home.code]
    favourites = tuple(rng.choices(shops, cum_weights=everyday[home.code], k=5))
    return User(
        user_id,
        home,
        home.currency,
        typical,
        spread,
        active_hour,
        active_spread,
        token,
        favourites,
    )
