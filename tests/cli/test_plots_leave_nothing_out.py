"""What must not be there is drawn too."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from lakehouse.cli.page.numbers import Answer
from lakehouse.cli.page.plots import FATES, FROM_NOTHING, reconciliation_of_money

NOW = datetime(2026, 3, 9, tzinfo=UTC)
COLUMNS = (
    "step", "currency", "event_type", "gold_version", "run_at",
    *[f"{fate}_amount" for fate in ("delivered", *FATES)],
)  # fmt: skip


def money(currency: str, *amounts: int | None) -> list[object]:
    """Delivered, and what became of it."""
    padded = [*amounts, *[None] * (1 + len(FATES) - len(amounts))]
    known = [None if amount is None else Decimal(amount) for amount in padded]
    return ["a -> b", currency, None, 3, NOW, *known]


def test_money_that_was_accepted_from_nothing_is_marked() -> None:
    answer = Answer(COLUMNS, [
        money("EUR", 100, 90, 10),
        money("JPY", 0, 500),
        money("KWD", None, 7),
        money("USD", 0, 0),
        money("XXX"),
    ])  # fmt: skip
    figure = reconciliation_of_money(answer)
    assert figure is not None
    drawn = {bar.name: dict(zip(bar.y, bar.x, strict=True)) for bar in figure.data}
    eur, jpy, kwd = (f"a<br>→ b: {currency}" for currency in ("EUR", "JPY", "KWD"))
    assert drawn == {
        "accepted": {eur: 90, jpy: 0, kwd: 0},
        "duplicates": {eur: 10, jpy: 0, kwd: 0},
        FROM_NOTHING: {eur: 0, jpy: 100, kwd: 100},
    }


def test_without_money_nothing_is_drawn() -> None:
    assert reconciliation_of_money(Answer(COLUMNS, [money("USD", 0, 0)])) is None
