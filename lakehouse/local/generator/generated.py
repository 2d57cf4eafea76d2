"""One call from settings to all that a week of payments sends: feed, scores, drops, truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lakehouse.local.generator.drops import (
    money_sheets,
    policy_sheets,
    rate_sheets,
    score_sheets,
    transaction_sheets,
)
from lakehouse.local.generator.feed import FeedRecord, transaction_feed
from lakehouse.local.generator.later_life import make_money_events
from lakehouse.local.generator.log import Bookings, make_bookings
from lakehouse.local.generator.mess import count_kinds
from lakehouse.local.generator.payments import Payment, make_payments
from lakehouse.local.generator.scores import offline_scores, score_feed
from lakehouse.local.generator.settings import GeneratorSettings
from lakehouse.local.generator.sheets import DropFile, Sheet, drop_files
from lakehouse.local.generator.world import make_world


class Planted(NamedTuple):
    """One planted case: its kind, the topic or file it is in, and what it concerns.

    `identity` is a transaction id for records, log rows and scores, an event id for money events,
    a policy id for policies; `position` is the index in `.transactions` or `.scores`, or the row
    of the file, both from 0.
    """

    kind: str
    place: str
    position: int
    identity: str


@dataclass(frozen=True)
class Truth:
    """What only the generator knows: labels, and every planted case.

    `payments` stand in order of (timestamp_ms, transaction_id).
    """

    payments: tuple[Payment, ...]
    planted: tuple[Planted, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """Cases per kind of mess, sorted by name."""
        return count_kinds(case.kind for case in self.planted)

    @property
    def frauds(self) -> tuple[Payment, ...]:
        """The payments with a fraud label."""
        return tuple(payment for payment in self.payments if payment.is_fraud)


@dataclass(frozen=True)
class GeneratedWorld:
    """Everything one seed sends; records in the order of their production.

    `sheets` are the data files of `drops` before they became bytes.
    """

    settings: GeneratorSettings
    transactions: list[FeedRecord]
    scores: list[FeedRecord]
    sheets: tuple[Sheet, ...]
    drops: list[DropFile]
    truth: Truth


def generate(settings: GeneratorSettings | None = None) -> GeneratedWorld:
    """Generate feed, scores, drops and truth: equal settings give equal bytes.

    Raises:
        ConfigError: the dates lie outside the installed history of exchange rates.
    """
    settings = settings or GeneratorSettings()
    # first: it may refuse the dates
    rates = rate_sheets(settings)
    world = make_world(settings)
    payments = make_payments(settings, world)
    bookings = make_bookings(settings, payments)
    transactions = transaction_feed(settings, payments, bookings)
    scores = score_feed(settings, payments)
    sheets = (
        *policy_sheets(settings, world),
        *rates,
        *transaction_sheets(settings, payments, bookings),
        *money_sheets(settings, make_money_events(settings, payments, bookings)),
        *score_sheets(settings, offline_scores(settings, payments)),
    )
    planted = (
        *_planted_records(transactions),
        *_planted_records(scores),
        *_planted_bookings(payments, bookings),
        *_planted_rows(sheets),
    )
    return GeneratedWorld(
        settings, transactions, scores, sheets, drop_files(sheets), Truth(payments, planted)
    )


def generate_topics(settings: GeneratorSettings) -> tuple[list[FeedRecord], list[FeedRecord]]:
    """Generate transactions and scores only: the same records as `generate`, for load tests."""
    payments = make_payments(settings, make_world(settings))
    bookings = make_bookings(settings, payments)
    return transaction_feed(settings, payments, bookings), score_feed(settings, payments)


def _planted_records(records: list[FeedRecord]) -> list[Planted]:
    return [
        Planted(record.fault, record.topic, position, record.key.decode())
        for position, record in enumerate(records)
        if record.fault is not None
    ]


def _planted_bookings(payments: tuple[Payment, ...], bookings: Bookings) -> list[Planted]:
    return [
        Planted(kind, "transactions", position, payments[position].transaction_id)
        for position, kind in sorted(bookings.planted.items())
    ]


def _planted_rows(sheets: tuple[Sheet, ...]) -> list[Planted]:
    return [
        Planted(kind, sheet.path, position, _identity(sheet, position))
        for sheet in sheets
        for position, kind in sheet.planted
    ]


def _identity(sheet: Sheet, position: int) -> str:
    row = sheet.rows[position]
    names = ("event_id", "transaction_id", "policy_id", "currency")
    return next((str(row[name]) for name in names if row.get(name) is not None), "")
