"""What really happened: the payments of the period, honest and fraudulent, with their labels."""

from __future__ import annotations

import math
from typing import NamedTuple

from lakehouse.local.generator.fraud import fraudulent_payments
from lakehouse.local.generator.settings import DAY_MS, GeneratorSettings, stream, uuid_from
from lakehouse.local.generator.world import Intent, Merchant, User, World, to_minor

WEEKDAY_WEIGHTS = (1.0, 1.0, 1.0, 1.05, 1.2, 1.15, 0.8)


class Payment(NamedTuple):
    """One payment as it truly was: epoch milliseconds UTC, smallest units of `currency`.

    `pattern` is the label: empty for an honest payment. `was_pending` says that the gateway
    announced it before it knew the outcome.
    """

    timestamp_ms: int
    transaction_id: str
    user_id: str
    amount: int
    currency: str
    country: str
    merchant_id: str
    payment_token: str
    status: str
    was_pending: bool
    pattern: str

    @property
    def is_fraud(self) -> bool:
        """Say whether the payment carries a fraud label."""
        return bool(self.pattern)


def make_payments(settings: GeneratorSettings, world: World) -> tuple[Payment, ...]:
    """Make exactly `settings.transactions` payments, in order of time then id."""
    frauds = fraudulent_payments(settings, world)
    intents = frauds + _honest_payments(settings, world, settings.transactions - len(frauds))
    ids = stream(settings.seed, "transaction-ids")
    pending = stream(settings.seed, "pending")
    return tuple(
        sorted(
            Payment(
                intent.timestamp_ms,
                uuid_from(ids),
                intent.user.user_id,
                to_minor(intent.euros, intent.currency),
                intent.currency,
                intent.country,
                intent.merchant.merchant_id,
                intent.user.payment_token,
                intent.status,
                pending.random() < settings.pending_share,
                intent.pattern,
            )
            for intent in intents
        )
    )


def _honest_payments(settings: GeneratorSettings, world: World, count: int) -> list[Intent]:
    who = stream(settings.seed, "honest/who")
    when = stream(settings.seed, "honest/when")
    where = stream(settings.seed, "honest/where")
    amount = stream(settings.seed, "honest/amount")
    outcome = stream(settings.seed, "honest/outcome")

    first_weekday = settings.start.weekday()
    day_weights = [WEEKDAY_WEIGHTS[(first_weekday + n) % 7] for n in range(settings.days)]
    payers = who.choices(world.users, cum_weights=world.user_weights, k=count)
    days = when.choices(range(settings.days), day_weights, k=count)
    intents = []
    for user, day in zip(payers, days, strict=True):
        hour = when.gauss(user.active_hour, user.active_spread)
        moment = int((hour - user.country.utc_offset_minutes / 60) * 3_600_000) % DAY_MS
        merchant, country = _honest_place(where.random(), where.random(), user, world, settings)
        euros = user.typical_euros * math.exp(amount.gauss(0, user.spread))
        pays_abroad = merchant.currency != user.currency
        in_own_currency = amount.random() < 0.15 and pays_abroad
        intents.append(
            Intent(
                settings.start_ms + day * DAY_MS + moment,
                user,
                merchant,
                country,
                user.currency if in_own_currency else merchant.currency,
                euros * merchant.category.price,
                "AUTHORIZED" if outcome.random() < 0.94 else "DECLINED",
                "",
            )
        )
    return intents


def _honest_place(
    kind: float, choice: float, user: User, world: World, settings: GeneratorSettings
) -> tuple[Merchant, str]:
    """Choose the merchant, and the country of the payment: the buyer's own when bought online."""
    if kind < settings.foreign_share:
        merchant = world.merchants[int(choice * len(world.merchants))]
        travels = kind < settings.foreign_share * 0.6
        return merchant, merchant.country if travels else user.country.code
    home = world.merchants_in[user.country.code]
    usual = user.favourites if kind < 0.9 else home
    merchant = usual[int(choice * len(usual))]
    return merchant, merchant.country
