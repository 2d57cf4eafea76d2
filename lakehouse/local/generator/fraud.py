"""The fraud of the period, by pattern: what each looks like stands here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from lakehouse.local.generator.settings import DAY_MS, GeneratorSettings, case_count, stream
from lakehouse.local.generator.world import (
    BLOCKED_COUNTRY,
    COUNTRIES,
    DIGITAL_GOODS,
    ELECTRONICS,
    GAMBLING,
    Intent,
    World,
)

CARD_TESTING = "card_testing"
STOLEN_CARD = "stolen_card"
UNUSUAL_AMOUNT = "unusual_amount"
PATTERNS = (CARD_TESTING, STOLEN_CARD, UNUSUAL_AMOUNT)

SMALLEST_BURST = 8
LARGEST_BURST = 14


def fraudulent_payments(settings: GeneratorSettings, world: World) -> list[Intent]:
    """Make the labelled share: half of it card testing, then stolen cards, then amounts."""
    wanted = case_count(settings.fraud_share, settings.transactions)
    bursts = _card_testing(settings, world)
    stolen = _stolen_cards(settings, world)
    unusual = _unusual_amounts(settings, world)
    frauds = [next(stolen), next(unusual)] if wanted else []
    while len(frauds) < wanted // 2:
        frauds.extend(next(bursts))
    while len(frauds) < wanted:
        frauds.append(next(unusual) if len(frauds) % 5 < 2 else next(stolen))
    return frauds[: settings.transactions]


def _card_testing(settings: GeneratorSettings, world: World) -> Iterator[list[Intent]]:
    """Bursts: one user, one shop of digital goods, many tiny payments within 50 seconds."""
    rng = stream(settings.seed, "fraud/card-testing")
    while True:
        user = rng.choice(world.users)
        abroad = rng.random() < 0.5
        country = rng.choice(list(COUNTRIES)) if abroad else user.country.code
        merchant = rng.choice(world.shops[country, DIGITAL_GOODS.code])
        length = rng.randint(SMALLEST_BURST, LARGEST_BURST)
        begin = _some_instant(rng, settings)
        offsets = sorted(rng.sample(range(50_000), length))
        burst: list[Intent] = []
        for position, offset in enumerate(offsets):
            # the first ones pass, or the tester would try another card
            passes = position < 7 or rng.random() < 0.4
            status = "AUTHORIZED" if passes else "DECLINED"
            euros = rng.uniform(0.5, 2.5)
            burst.append(
                Intent(
                    begin + offset,
                    user,
                    merchant,
                    country,
                    merchant.currency,
                    euros,
                    status,
                    CARD_TESTING,
                )
            )
        yield burst


def _stolen_cards(settings: GeneratorSettings, world: World) -> Iterator[Intent]:
    """Much money, often for dear goods, in a country where the user does not live, at any hour."""
    rng = stream(settings.seed, "fraud/stolen-card")
    while True:
        user = rng.choice(world.users)
        others = [code for code in COUNTRIES if code != user.country.code]
        country = BLOCKED_COUNTRY if rng.random() < 0.2 else rng.choice(others)
        wants_dear_goods = rng.random() < 0.6
        everything = world.merchants_in[country]
        dear_goods = world.shops[country, ELECTRONICS.code]
        merchant = rng.choice(dear_goods if wants_dear_goods else everything)
        status = "AUTHORIZED" if rng.random() < 0.85 else "DECLINED"
        euros = user.typical_euros * rng.uniform(5, 25)
        yield Intent(
            _some_instant(rng, settings),
            user,
            merchant,
            country,
            merchant.currency,
            euros,
            status,
            STOLEN_CARD,
        )


def _unusual_amounts(settings: GeneratorSettings, world: World) -> Iterator[Intent]:
    """At home, but far above what the user ever spends; some beyond the amount limits."""
    rng = stream(settings.seed, "fraud/unusual-amount")
    while True:
        user = rng.choice(world.users)
        home = user.country.code
        wants_dear_goods = rng.random() < 0.5
        dear_goods = world.shops[home, ELECTRONICS.code] + world.shops[home, GAMBLING.code]
        merchant = rng.choice(dear_goods if wants_dear_goods else world.merchants_in[home])
        status = "AUTHORIZED" if rng.random() < 0.8 else "DECLINED"
        euros = user.typical_euros * rng.uniform(60, 300)
        yield Intent(
            _some_instant(rng, settings),
            user,
            merchant,
            home,
            merchant.currency,
            euros,
            status,
            UNUSUAL_AMOUNT,
        )


def _some_instant(rng: Random, settings: GeneratorSettings) -> int:
    # a minute clear of midnight, so that a burst stays in its day
    day = rng.randrange(settings.days)
    return settings.start_ms + day * DAY_MS + rng.randrange(60_000, DAY_MS - 120_000)
