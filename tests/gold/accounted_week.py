"""A small lake that real jobs have built from real files, and its account in plain Python."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from lakehouse.config import Config
from lakehouse.job import execute, job_named
from lakehouse.records.gold import Difference, Reconciliation
from tests.bronze.landing_folder import deliver
from tests.conftest import NOON
from tests.silver.deliveries import a_log_row, a_money_event, as_lines, transaction_id

Event = dict[str, Any]
Line = tuple[date, str, str]

LOG = "bronze.drops_transactions -> silver.batch_transactions"
MONEY = "bronze.drops_money_events -> silver.money_events"
LOG_TO_GOLD = "silver.batch_transactions -> gold.transactions"
MONEY_TO_GOLD = "silver.money_events -> gold.transactions"
TOTALS = "gold.transactions: money events -> totals"
CONTROL = "_CONTROL.json -> bronze.drops_money_events"

PAYMENTS = range(1, 15)
UNKNOWN = 90
"""Nobody tells of the payment of this money."""
REFUNDED, FOREIGN = 12, 13


def events() -> list[Event]:
    """What the acquirer says: all settled, one refunded in part, one in another currency."""
    settled = [a_money_event(number) for number in PAYMENTS if number != FOREIGN]
    return [
        *settled,
        a_money_event(FOREIGN, currency="EUR"),
        a_money_event(UNKNOWN, amount="70"),
        event_of(
            REFUNDED, 112, event_type="REFUNDED", amount="400", timestamp="2026-03-05T23:59:59Z"
        ),
    ]  # fmt: skip


def event_of(payment: int, number: int, **changes: Any) -> Event:
    """A further money event of a payment."""
    return a_money_event(payment, event_id=a_money_event(number)["event_id"], **changes)


def control_of(rows: Sequence[Event]) -> str:
    """The acquirer's own totals."""
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row["currency"]] += int(row["amount"])
    return json.dumps({"rows": len(rows), "amount": {c: str(n) for c, n in sums.items()}})


def deliver_money(config: Config, rows: Sequence[Event], day: str) -> None:
    """A file of money events with the totals of its sender."""
    deliver(config.lake.landing, "_CONTROL.json", control_of(rows), day=day, done=False)
    deliver(config.lake.landing, "a.jsonl", as_lines(rows), day=day)


def deliver_week(config: Config) -> None:
    """The log of one day, and the money of two deliveries."""
    log = [a_log_row(number) for number in PAYMENTS]
    deliver(config.lake.landing, "a.jsonl", as_lines(log), kind="transactions", day="2026-03-03")
    deliver_money(config, events()[:-1], day="2026-03-04")
    deliver_money(config, events()[-1:], day="2026-03-06")


def run(config: Config, *jobs: str) -> None:
    """Run jobs as they are."""
    for job in jobs:
        execute(job_named(job), config, trigger="once", clock=lambda: NOON)


@dataclass(frozen=True)
class Account:
    """The lines of one run."""

    lines: list[Reconciliation]

    @classmethod
    def of(cls, config: Config, at: datetime = NOON) -> Account:
        """Reconcile, whatever comes out."""
        job = job_named("reconcile")
        return cls(execute(job, config, clock=lambda: at, only_report=True))

    def amounts(self, step: str, column: str) -> dict[Line, Decimal]:
        """Smallest units of a step by UTC day, currency and event type, where there are any."""
        return {
            (line.day, line.currency, line.event_type or ""): getattr(line, column)
            for line in self.lines
            if line.step == step and line.day and line.currency and getattr(line, column)
        }

    def differences(self, step: str | None = None) -> list[tuple[str, Difference, Reconciliation]]:
        """(step, difference, its line)."""
        return [
            (line.step, each, line)
            for line in self.lines
            for each in line.differences
            if step in (None, line.step)
        ]

    def named(self, step: str, kind: str) -> dict[str, Decimal | None]:
        """Who is named in a step's differences of a kind, and smallest units they are about."""
        return {
            name: each.amount
            for _, each, _ in self.differences(step)
            if each.kind == kind
            for name in each.names
        }

    @property
    def unexplained(self) -> int:
        """Records that nobody explains."""
        return sum(line.unexplained for line in self.lines)


@dataclass
class PlainAnswer:
    """Sums of events by UTC day, currency and type."""

    sums: dict[Line, Decimal] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Event]) -> PlainAnswer:
        """Add them up."""
        sums: dict[Line, Decimal] = defaultdict(Decimal)
        for row in rows:
            day = date.fromisoformat(row["timestamp"][:10])
            sums[day, row["currency"], row.get("event_type", "")] += Decimal(row["amount"])
        return cls(dict(sums))


def payment(number: int) -> str:
    """The id of a payment."""
    return transaction_id(number)
