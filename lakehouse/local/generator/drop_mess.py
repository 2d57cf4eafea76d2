"""Malformed rows of the drops: each kind once per `malformed_drop_rows`, under ids of their own."""

from __future__ import annotations

from typing import NamedTuple

from lakehouse.local.generator.formats import Row
from lakehouse.local.generator.mess import UNKNOWN_CURRENCY_CODE
from lakehouse.local.generator.settings import GeneratorSettings, stream, uuid_from

ROW_UNKNOWN_CURRENCY = "row_unknown_currency"
ROW_MISSING_TRANSACTION_ID = "row_missing_transaction_id"
ROW_BAD_AMOUNT = "row_bad_amount"
ROW_BAD_TIMESTAMP = "row_bad_timestamp"
ROW_UNKNOWN_STATUS = "row_unknown_status"
ROW_UNKNOWN_EVENT_TYPE = "row_unknown_event_type"
ROW_MISSING_EVENT_ID = "row_missing_event_id"
ROW_NEGATIVE_AMOUNT = "row_negative_amount"
ROW_SCORE_OUT_OF_RANGE = "row_score_out_of_range"
ROW_BAD_RATE = "row_bad_rate"
BROKEN_POLICY = "row_broken_policy_data"

# what each kind of drop can suffer: the fault, the field it strikes, and what then stands there
SPOILED_FIELDS: dict[str, tuple[tuple[str, str, object], ...]] = {
    "transactions": (
        (ROW_UNKNOWN_CURRENCY, "currency", UNKNOWN_CURRENCY_CODE),
        (ROW_MISSING_TRANSACTION_ID, "transaction_id", None),
        (ROW_BAD_AMOUNT, "amount", "12,50"),
        (ROW_BAD_TIMESTAMP, "timestamp", "31.02.2026 10:00"),
        (ROW_UNKNOWN_STATUS, "transaction_status", "SHIPPED"),
    ),
    "money_events": (
        (ROW_UNKNOWN_EVENT_TYPE, "event_type", "REIMBURSED"),
        (ROW_MISSING_EVENT_ID, "event_id", None),
        (ROW_NEGATIVE_AMOUNT, "amount", "-1250"),
    ),
    "fraud_scores": ((ROW_SCORE_OUT_OF_RANGE, "fraud_score", 1.7),),
    "fx_rates": ((ROW_BAD_RATE, "rate", "n/a"),),
}
IDENTITIES = ("transaction_id", "event_id")

MALFORMED_ROWS = frozenset(
    (BROKEN_POLICY, *(fault for faults in SPOILED_FIELDS.values() for fault, _, _ in faults))
)


class RowFault(NamedTuple):
    """One malformed row to make: the field it strikes, and the fresh ids that the row gets."""

    kind: str
    field: str
    value: object
    identities: dict[str, str]

    def strike(self, like: Row) -> Row:
        """Make the malformed row: it resembles `like`, under ids that nobody else mentions."""
        fresh = {name: value for name, value in self.identities.items() if name in like}
        return {**like, **fresh, self.field: self.value}


def plan_malformed_rows(settings: GeneratorSettings, drop_kind: str) -> list[RowFault]:
    """Plan the rows of one kind of drop that must be refused."""
    ids = stream(settings.seed, f"mess/rows/{drop_kind}")
    return [
        RowFault(kind, field, value, {name: uuid_from(ids) for name in IDENTITIES})
        for _ in range(settings.malformed_drop_rows)
        for kind, field, value in SPOILED_FIELDS[drop_kind]
    ]
