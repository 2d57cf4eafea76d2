"""The account of a run as people and programs read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from lakehouse.cli.counts import by_step
from lakehouse.records.gold import Reconciliation

DIFFERENCES = (
    "step", "kind", "explained", "records", "amount", "currency", "day", "oldest_at (UTC)",
    "reported_since (UTC)", "first of",
)  # fmt: skip
MONEY = (
    "step", "currency", "event_type", "delivered", "accepted", "duplicates", "quarantined", "held",
    "unexplained",
)  # fmt: skip
_NAMED = 3
_AMOUNTS = ("delivered", "accepted", "duplicates", "quarantined", "held", "unexplained")


@dataclass(frozen=True)
class Money:
    """Smallest units of one currency and event type behind one step, of all days."""

    step: str
    currency: str
    event_type: str | None
    delivered: Decimal
    accepted: Decimal
    duplicates: Decimal
    quarantined: Decimal
    held: Decimal
    unexplained: Decimal

    def cells(self) -> list[Any]:
        """As a row of a table."""
        amounts = [_whole(getattr(self, name)) for name in _AMOUNTS]
        return [self.step, self.currency, self.event_type, *amounts]


def by_currency(lines: Iterable[Reconciliation]) -> list[Money]:
    """One row per step, currency and event type that has any money."""
    sums: dict[tuple[str, str, str | None], dict[str, Decimal]] = {}
    for line in lines:
        if line.currency is None:
            continue
        place = (line.step, line.currency, line.event_type)
        own = sums.setdefault(place, dict.fromkeys(_AMOUNTS, Decimal(0)))
        for name in _AMOUNTS:
            own[name] += getattr(line, f"{name}_amount") or 0
    ordered = sorted(sums.items(), key=lambda item: [part or "" for part in item[0]])
    return [Money(*place, *[own[name] for name in _AMOUNTS]) for place, own in ordered]


def difference_cells(lines: Iterable[Reconciliation]) -> list[list[Any]]:
    """Each difference as a row of a table, those that nobody explains first."""
    rows = [
        [
            line.step, each.kind, "yes" if each.is_explained else "NO", each.records,
            _whole(each.amount), line.currency, line.day, each.oldest_at, each.reported_since,
            _first_of(each.names, each.named),
        ]
        for line in lines
        for each in line.differences
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row[2], row[0], row[1]))


def document(lines: Sequence[Reconciliation]) -> dict[str, Any]:
    """The account for programs."""
    about = ("run_id", "run_at", "gold_version")
    return {
        **{name: getattr(lines[0], name) for name in about},
        "inputs": {each.table: each.version for each in lines[0].inputs},
        "holds": not any(line.unexplained for line in lines),
        "steps": [asdict(step) for step in by_step(lines)],
        "lines": [line.model_dump(exclude={*about, "inputs"}) for line in lines],
    }


def title(lines: Sequence[Reconciliation]) -> str:
    """Of which state the account is."""
    at: datetime = lines[0].run_at
    return f"Gold version {lines[0].gold_version}, {at:%Y-%m-%d %H:%M} UTC"


def _whole(amount: Decimal | None) -> int | Decimal | None:
    """Smallest units are whole: nobody reads `.00` behind them."""
    return int(amount) if amount is not None and amount == amount.to_integral_value() else amount


def _first_of(names: Sequence[str], all_of_them: int) -> str:
    more = all_of_them - len(names[:_NAMED])
    named = ", ".join(names[:_NAMED])
    return f"{named} and {more} more" if more > 0 else named
