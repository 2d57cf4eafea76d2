"""Numbers of a page without a lake: an ordinary day, or nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from lakehouse.cli.page.numbers import Answer, Numbers, Standing

NOW = datetime(2026, 11, 26, 7, 0, tzinfo=UTC)
_DAYS = [date(2026, 3, day) for day in range(1, 8)]
_RATES = ("transactions", "labelled", "fraudulent", "fraud_rate", "false_positive_rate",
"declined", "decline_rate")  # fmt: skip
_EFFECT = ("fired", "labelled", "fraudulent", "precision", "recall", "false_positive_rate")
_MONEY = ("amount", "settled_amount", "refunded_amount", "chargeback_amount",
          "chargeback_reversed_amount")  # fmt: skip


def some_numbers(**changed: Answer) -> Numbers:
    """Every answer has rows; `changed` are others, with `_` for the first dot of their names."""
    others = {name.replace("_", ".", 1): answer for name, answer in changed.items()}
    standing = Standing(
        3, NOW - timedelta(hours=2), None, NOW - timedelta(hours=3), "time travel", ()
    )
    return Numbers(NOW, None, NOW.date(), standing, {**_ANSWERS, **others})


def no_numbers() -> Numbers:
    """A lake in which no job has run."""
    nothing = dict.fromkeys(_ANSWERS, Answer((), [], "gold.transactions does not exist yet"))
    return Numbers(NOW, None, NOW.date(), None, nothing)


def _rates(key: Any, count: int) -> list[Any]:
    return [key, count, count // 2, 3, 0.031, None, 4, 0.04]


_ANSWERS = {
    "gold.fraud_by_day": Answer(("event_date", *_RATES), [_rates(day, 100 + day.day) for day in
    _DAYS]),
    "gold.rates_by_day": Answer(
        ("event_date", "transactions", "answered", "declined", "decline_rate", "settled",
        "disputed",
         "dispute_rate", "decided", "flagged", "flag_rate"),
        [[day, 100, 90, 9, 0.1, 70, 2, 0.0286, 60, 6, None if day.day == 2 else 0.1] for day in
         _DAYS],
    ),
    "gold.score_distribution": Answer(
        ("outcome", "score_from", "transactions"),
        [["DISPUTED", 0.9, 8], ["SETTLED", 0.0, 400], ["SETTLED", 0.5, 12], ["WAITING", None, 30]],
    ),
    "gold.reason_effectiveness": Answer(
        ("fraud_reason_code", *_EFFECT), [["HIGH_SCORE", 12, 8, 3, 0.375, 0.5, 0.01]]
    ),
    "gold.policy_effectiveness": Answer(
        ("policy_flag", *_EFFECT), [["VELOCITY_LIMIT", 5, 0, 0, None, None, None]]
    ),
    "gold.fraud_by_region": Answer(
        ("region", *_RATES), [_rates("EU", 300), _rates("NORTH_AMERICA", 200), _rates(None, 4)]
    ),
    "gold.money_by_currency": Answer(
        ("currency", "base_currency", "transactions", *_MONEY, "in_base", "amount_base"),
        [["EUR", "EUR", 300, *[Decimal(123456)] * 5, 300, Decimal(123456)],
         ["JPY", "EUR", 20, *[Decimal(5000)] * 5, 20, Decimal(3021)],
         ["KWD", None, 1, *[Decimal(1234)] * 5, 0, None]],
    ),
    "gold.settlement_ageing": Answer(
        ("currency", "age", "oldest", "transactions", "amount"),
        [["EUR", "2 to 3 days", _DAYS[0], 7, Decimal(9900)], ["JPY", "over 30 days", _DAYS[0], 2,
         Decimal(77)]],
    ),
    "gold.exceptions": Answer(("rule_id", "transactions"), [["MONEY_ON_DECLINED", 2]]),
    "gold.reconciled": Answer(
        ("step", "gold_version", "run_at", "delivered", "accepted", "duplicates", "quarantined",
         "held", "unexplained"),
        [["bronze.transactions -> silver.live_transactions", 3, NOW, 1267, 1232, 20, 15, 0, 0],
         ["silver -> gold.transactions", 3, NOW, 4859, 4858, 0, 0, 0, 1]],
    ),
    "silver.quarantine": Answer(
        ("source_table", "rule_id", "reason", "records", "open", "newest"),
        [["bronze.transactions", "AMOUNT_IS_MINOR_UNITS", "<b>no</b> amount", 9, 8, _DAYS[1]]],
    ),
    "silver.parity_by_cause": Answer(
        ("cause", "payments", "first_day", "last_day"), [["LATE_SCORE", 12, _DAYS[0], _DAYS[3]]]
    ),
    "freshness": Answer(
        ("layer", "table", "rows", "newest", "age_hours", "version"),
        [["gold", "gold.transactions", 1000, NOW, 2.5, 3], ["silver", "silver.fx_rates", 7, None,
         None, 1]],
    ),
    "lag": Answer(
        ("stream", "last_batch", "behind", "lag"),
        [["consolidate", 3, 4, "4 versions of silver.money_events"], ["ingest", None, None, "no "
        "broker"]],
    ),
}  # fmt: skip
