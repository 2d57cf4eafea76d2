"""The daily drops: which rows are delivered on which day, in which file and format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from random import Random

from lakehouse.local.generator.drop_mess import BROKEN_POLICY, plan_malformed_rows
from lakehouse.local.generator.feed import amount_value, time_value, user_value
from lakehouse.local.generator.formats import Format, Row
from lakehouse.local.generator.later_life import FULL_ACQUIRER, MoneyEvent
from lakehouse.local.generator.log import Bookings
from lakehouse.local.generator.mess import to_json
from lakehouse.local.generator.payments import Payment
from lakehouse.local.generator.policies import (
    BROKEN_POLICY_ID,
    POLICY_COLUMNS,
    broken_policy,
    changed_policies,
    initial_policies,
)
from lakehouse.local.generator.rates import BASE, RATE_COLUMNS, ecb_rates
from lakehouse.local.generator.scores import Score
from lakehouse.local.generator.settings import GeneratorSettings, day_of, iso_utc, stream
from lakehouse.local.generator.sheets import Sheet
from lakehouse.local.generator.world import World

LOG_COLUMNS = (
    "transaction_id",
    "user_id",
    "timestamp",
    "amount",
    "currency",
    "country",
    "merchant_id",
    "payment_token",
    "transaction_status",
    "sequence",
)
PLAIN_MONEY_COLUMNS = (
    "event_id",
    "transaction_id",
    "event_type",
    "amount",
    "currency",
    "timestamp",
)
MONEY_COLUMNS = (*PLAIN_MONEY_COLUMNS, "transaction_date", "dispute_id")
SCORE_COLUMNS = (
    "model_version",
    "transaction_id",
    "fraud_score",
    "explanations",
    "inference_time",
)

# formats by day of delivery, in turn
LOG_FORMATS: tuple[Format, ...] = ("csv", "csv.gz", "csv", "jsonl", "csv", "parquet", "csv")
MONEY_FORMATS: tuple[Format, ...] = ("csv", "csv", "jsonl", "csv")
SCORE_FORMATS: tuple[Format, ...] = ("jsonl", "jsonl", "csv")
RATES_BEFORE = timedelta(days=10)
RATES_AFTER = timedelta(days=3)
NEXT_DAY = timedelta(days=1)


def transaction_sheets(
    settings: GeneratorSettings, payments: Sequence[Payment], bookings: Bookings
) -> list[Sheet]:
    """The log of each UTC day, delivered the day after; one row per booked payment."""
    style = stream(settings.seed, "log/style")
    by_day: dict[date, list[Row]] = defaultdict(list)
    for position, payment in enumerate(payments):
        row = _log_row(payment, bookings.timestamps_ms[position], bookings.amounts[position], style)
        if position not in bookings.missing:
            by_day[day_of(bookings.timestamps_ms[position])].append(row)
    sheets = []
    for turn, day in enumerate(sorted(by_day)):
        sheets.append(
            Sheet(
                "transactions",
                day + NEXT_DAY,
                "transactions",
                LOG_FORMATS[turn % len(LOG_FORMATS)],
                LOG_COLUMNS,
                tuple(by_day[day]),
                controlled=turn % 2 == 0,
            )
        )
    return _with_malformed(settings, sheets)


def money_sheets(settings: GeneratorSettings, events: Iterable[MoneyEvent]) -> list[Sheet]:
    """Each acquirer's file of each delivery day; the plain acquirer knows no optional columns."""
    by_file: dict[tuple[date, str], list[MoneyEvent]] = defaultdict(list)
    for event in events:
        by_file[event.delivered, event.sender].append(event)
    days = sorted({day for day, _ in by_file})
    turns = {day: turn for turn, day in enumerate(days)}
    sheets = []
    for day, sender in sorted(by_file):
        is_full = sender == FULL_ACQUIRER
        turn, rows = turns[day], by_file[day, sender]
        sheets.append(
            Sheet(
                "money_events",
                day,
                sender,
                MONEY_FORMATS[turn % len(MONEY_FORMATS)] if is_full else "csv",
                MONEY_COLUMNS if is_full else PLAIN_MONEY_COLUMNS,
                tuple(_money_row(event) for event in rows),
                controlled=turn % 3 == 0,
                planted=tuple((i, event.fault) for i, event in enumerate(rows) if event.fault),
            )
        )
    return _with_malformed(settings, sheets)


def score_sheets(settings: GeneratorSettings, scores: Iterable[Score]) -> list[Sheet]:
    """The nightly outputs of the offline model, delivered on the day of the run."""
    by_day: dict[date, list[Score]] = defaultdict(list)
    for score in scores:
        by_day[day_of(score.inference_ms)].append(score)
    sheets = []
    for turn, day in enumerate(sorted(by_day)):
        file_format = SCORE_FORMATS[turn % len(SCORE_FORMATS)]
        rows = tuple(_score_row(score, file_format) for score in by_day[day])
        stem = "fraud_scores"
        sheets.append(Sheet("fraud_scores", day, stem, file_format, SCORE_COLUMNS, rows, turn == 0))
    return _with_malformed(settings, sheets)


def policy_sheets(settings: GeneratorSettings, world: World) -> list[Sheet]:
    """The policies on the first day, and their change the day before it takes effect."""
    change_day = settings.start + timedelta(days=max(1, settings.days // 2 - 1))
    changes = changed_policies(settings)
    if settings.malformed_drop_rows:
        changes.append(broken_policy(settings))
    days = ((settings.start, initial_policies(settings, world)), (change_day, changes))
    return [
        Sheet(
            "policies",
            day,
            "policies",
            "csv",
            POLICY_COLUMNS,
            tuple(rows),
            planted=tuple(
                (position, BROKEN_POLICY)
                for position, row in enumerate(rows)
                if row["policy_id"] == BROKEN_POLICY_ID
            ),
        )
        for day, rows in days
    ]


def rate_sheets(settings: GeneratorSettings) -> list[Sheet]:
    """The rates of each published day on that day; the first file also has the ten days before."""
    last = settings.start + timedelta(days=settings.days - 1) + RATES_AFTER
    by_day: dict[date, list[Row]] = defaultdict(list)
    for day, rates in ecb_rates(settings.start - RATES_BEFORE, last).items():
        for currency, rate in rates.items():
            values = (day.isoformat(), BASE, currency, rate)
            by_day[max(day, settings.start)].append(dict(zip(RATE_COLUMNS, values, strict=True)))
    sheets = [
        Sheet("fx_rates", day, "ecb", "csv", RATE_COLUMNS, tuple(by_day[day]))
        for day in sorted(by_day)
    ]
    return _with_malformed(settings, sheets)


def _with_malformed(settings: GeneratorSettings, sheets: list[Sheet]) -> list[Sheet]:
    """Append each kind of malformed row to sheets that can hold it, in turn."""
    if not sheets:
        return sheets
    # a column of integers cannot hold text
    candidates = [i for i, sheet in enumerate(sheets) if sheet.file_format != "parquet"]
    # the sender's totals stay totals of rows that can be read
    preferred = [i for i in candidates if not sheets[i].controlled] or candidates
    for turn, fault in enumerate(plan_malformed_rows(settings, sheets[0].kind)):
        where = preferred[turn % min(2, len(preferred))]
        sheet = sheets[where]
        sheets[where] = sheet._replace(
            rows=(*sheet.rows, fault.strike(sheet.rows[0])),
            planted=(*sheet.planted, (len(sheet.rows), fault.kind)),
        )
    return sheets


def _log_row(payment: Payment, timestamp_ms: int, amount: int, style: Random) -> Row:
    values = (
        payment.transaction_id,
        user_value(payment.user_id, style),
        time_value(timestamp_ms, style),
        amount_value(amount, style),
        payment.currency,
        payment.country,
        payment.merchant_id,
        payment.payment_token,
        payment.status,
        2 if payment.was_pending else 1,
    )
    return dict(zip(LOG_COLUMNS, values, strict=True))


def _money_row(event: MoneyEvent) -> Row:
    row: Row = {
        "event_id": event.event_id,
        "transaction_id": event.transaction_id,
        "event_type": event.event_type,
        "amount": event.amount,
        "currency": event.currency,
        "timestamp": iso_utc(event.timestamp_ms),
    }
    if event.sender == FULL_ACQUIRER:
        tells_date = event.transaction_date is not None
        row["transaction_date"] = str(event.transaction_date) if tells_date else None
        row["dispute_id"] = event.dispute_id
    return row


def _score_row(score: Score, file_format: Format) -> Row:
    row = score.fields()
    if file_format != "jsonl":
        row["explanations"] = to_json(score.explanations).decode()
    return row
