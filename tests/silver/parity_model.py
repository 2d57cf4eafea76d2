"""Days of payments on two paths, drawn by seed, and in plain Python why the paths differ on each.

Live decides in two rounds; between them a backdated policy is published. Then comes the log.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from lakehouse.records.codes import ParityCause as Cause
from tests.silver.live_records import Record, a_payment, a_score, an_id
from tests.silver.two_paths import as_booked, as_fields

WINDOW = timedelta(hours=1)
VELOCITY = {"rule": "velocity_limit", "max_count": 2, "window_seconds": 3600}
GEO = {"rule": "geo_block", "countries": ["KP"]}
FIRST_DAY = datetime(2026, 3, 7, 22, tzinfo=UTC)
GEO_SINCE = FIRST_DAY + timedelta(hours=24)
ROUNDS = (0, 1)


@dataclass(frozen=True)
class Score:
    """A score of the topic, or of the offline model."""

    value: float
    model: str
    at: datetime
    round: int = 0  # in which micro-batch it comes; of no meaning offline

    @property
    def content(self) -> tuple[float, str, datetime]:
        """What is compared of it."""
        return self.value, self.model, self.at

    def fields(self) -> dict[str, Any]:
        """As a record names them."""
        return {
            "fraud_score": self.value,
            "model_version": self.model,
            "inference_time": self.at.isoformat(),
        }


@dataclass(frozen=True)
class Planted:
    """One payment as each path hears of it."""

    name: str
    user: str
    at: datetime
    amount: int
    country: str
    status: str
    round: int | None  # in which micro-batch live decides it; null: only the log tells of it
    topic: tuple[Score, ...]
    offline: Score | None
    is_booked: bool
    booked_amount: int
    booked_country: str

    @property
    def id(self) -> str:
        """Its transaction_id."""
        return an_id(self.name)

    @property
    def day(self) -> date:
        """Its UTC day."""
        return self.at.date()

    @property
    def is_on_both(self) -> bool:
        """Whether both paths hear of it."""
        return self.is_booked and self.round is not None

    def event(self) -> Record:
        """As the topic tells it."""
        return a_payment(
            self.name,
            user_id=self.user,
            timestamp=self.at.isoformat(),
            amount=self.amount,
            country=self.country,
            transaction_status=self.status,
        )

    def row(self) -> dict[str, Any]:
        """As the log tells it."""
        return as_booked(self.event(), amount=self.booked_amount, country=self.booked_country)


def drawn(seed: int, payments: int) -> list[Planted]:
    """Payments of few users within some hours of three days, so that they are in each other's
    windows.
    """
    dice = random.Random(seed)
    return [_drawn(dice, f"{seed}/{number}") for number in range(payments)]


def _drawn(dice: random.Random, name: str) -> Planted:
    at = FIRST_DAY + timedelta(days=dice.randrange(2), seconds=60 * dice.randrange(240))
    heard = dice.choice(["both"] * 8 + ["log", "topic"])
    amount, country = dice.randrange(100, 900), dice.choice(["DE", "DE", "KP"])
    topic = tuple(
        Score(dice.choice([0.1, 0.7]), "m1", at + timedelta(seconds=place + 1), dice.choice(ROUNDS))
        for place in range(dice.choice([0, 0, 1, 2]))
    )
    others = [None, None, Score(0.95, "m2", at + timedelta(hours=9)), *topic, *topic]
    return Planted(
        name=name,
        user=f"user {dice.randrange(6)}",
        at=at,
        amount=amount,
        country=country,
        status=dice.choice(["AUTHORIZED"] * 4 + ["DECLINED"]),
        round=None if heard == "log" else dice.choice(ROUNDS),
        topic=topic,
        offline=dice.choice(others),
        is_booked=heard != "topic",
        booked_amount=amount + dice.choice([0, 0, 0, 0, 0, 1]),
        booked_country=dice.choice([country] * 5 + ["FR"]),
    )


def records_of_round(payments: Sequence[Planted], number: int) -> list[Record]:
    """What the topics carry in one micro-batch; a score may come long behind its payment."""
    events = [payment.event() for payment in payments if payment.round == number]
    scores = [
        a_score(payment.name, **score.fields())
        for payment in payments
        for score in payment.topic
        if score.round == number
    ]
    return [*events, *scores]


def log_rows(payments: Sequence[Planted]) -> list[dict[str, Any]]:
    """The drop of the log."""
    return [payment.row() for payment in payments if payment.is_booked]


def offline_rows(payments: Sequence[Planted]) -> list[dict[str, Any]]:
    """The drop of the offline model."""
    return [
        as_fields(a_score(payment.name, **payment.offline.fields()))
        for payment in payments
        if payment.offline is not None
    ]


def live_score(payment: Planted) -> Score | None:
    """The best score that live knows when it decides: all are of the topic, so the latest."""
    assert payment.round is not None
    known = [score for score in payment.topic if score.round <= payment.round]
    return max(known, key=lambda score: score.at, default=None)


def counted(payment: Planted, known: Sequence[Planted]) -> int:
    """How many payments of the user velocity counts among these, this one included."""
    return 1 + sum(
        other.user == payment.user
        and other.status != "DECLINED"
        and (other.at, other.id) < (payment.at, payment.id)
        and payment.at - other.at <= WINDOW
        for other in known
    )


def live_count(payment: Planted, payments: Sequence[Planted]) -> int:
    """What live counts in its round."""
    assert payment.round is not None
    return counted(
        payment, [p for p in payments if p.round is not None and p.round <= payment.round]
    )


def causes_of(payment: Planted, payments: Sequence[Planted]) -> set[Cause]:
    """Why the paths differ on a payment; none where they do not."""
    if payment.round is None:
        return {Cause.MISSING_LIVE}
    if not payment.is_booked:
        return {Cause.MISSING_BATCH}
    is_amount_other = payment.amount != payment.booked_amount
    then = live_count(payment, payments)
    completed = counted(payment, [other for other in payments if other.round is not None])
    in_log = counted(payment, [other for other in payments if other.is_booked])
    found = {
        _cause_of_score(live_score(payment), payment.offline),
        Cause.POLICY_CHANGED if payment.round == 0 and payment.at >= GEO_SINCE else None,
        Cause.AMOUNT_CORRECTED if is_amount_other else None,
        Cause.FACTS_CORRECTED if payment.country != payment.booked_country else None,
    }
    if then != in_log:
        found.add(Cause.VELOCITY_COMPLETED if then != completed else None)
        is_of_others = completed != in_log and not is_amount_other
        found.add(Cause.VELOCITY_OF_OTHERS if is_of_others else None)
    return {cause for cause in found if cause is not None}


def _cause_of_score(live: Score | None, offline: Score | None) -> Cause | None:
    if live is None:
        return Cause.LATE_SCORE if offline is not None else None
    if offline is None:
        return Cause.LIVE_SCORE_ONLY
    return Cause.OTHER_SCORE if live.content != offline.content else None
