"""A Gold on which much happens: versions by chance, compaction between them, by a seed.

Rows are merged as they are, not consolidated: a follower knows nothing of Gold but its change feed,
and by chance alone a few versions have all that it may meet (moves to another day, payments without
an amount). What `consolidate` itself commits is recorded and proven in test_files_stay_few.
"""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal

from lakehouse.context import Lakehouse
from lakehouse.tables import GOLD_TRANSACTIONS
from tests.gold.rows import Row, a_contribution, a_gold_row, merge_gold

_CURRENCIES, _REGIONS = ("EUR", "JPY", "USD", None), ("EU", "ASIA")
_STATUSES = (None, "SETTLED", "REFUNDED", "CHARGEBACK")
_DAY = date(2026, 3, 8)


def busy(gold: Lakehouse, rng: random.Random, merges: int) -> None:
    """Merge so often: rows that come, change, or move to another day; now and then compact."""
    for _ in range(merges):
        ids = rng.sample(range(12), rng.randint(1, 4))
        merge_gold(gold, *[_a_row(f"t-{number:02}", rng) for number in ids])
        if rng.random() < 0.3:
            gold.writable(GOLD_TRANSACTIONS).optimize().executeCompaction()


def _a_row(transaction_id: str, rng: random.Random) -> Row:
    currency = rng.choice(_CURRENCIES)
    known = [a_contribution(f"event-{number}") for number in range(rng.randint(1, 3))]
    return a_gold_row(
        transaction_id,
        currency=currency,
        amount=None if currency is None else Decimal(rng.randint(0, 10**6)),
        settlement_status=rng.choice(_STATUSES),
        region=rng.choice(_REGIONS),
        event_date=_DAY - timedelta(days=rng.randint(0, 1)),
        contributions=known,
    )
