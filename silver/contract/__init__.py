"""The five kinds of input, from texts to typed columns, with every reason for refusal.

A parsed row has its contract's columns (null where the text cannot be read), `extra` (unknown
fields, never null), `identity`, `content_hash`, `event_date` and `violations`: empty is accepted.
"""

from silver.contract.fields import json_fields, with_drop_fields
from silver.contract.money import parsed_money_events
from silver.contract.payments import parsed_payments
from silver.contract.reference import parsed_fx_rates, parsed_policies
from silver.contract.scores import parsed_scores, score_identity

__all__ = [
    "json_fields",
    "parsed_fx_rates",
    "parsed_money_events",
    "parsed_payments",
    "parsed_policies",
    "parsed_scores",
    "score_identity",
    "with_drop_fields",
]
