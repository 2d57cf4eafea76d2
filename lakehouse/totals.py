"""`_CONTROL.json`, a sender's own totals of a day: one reader for who loads and who accounts.

Whoever delivers a day writes it, so nothing that it says may stop a job: what is no such file, or
says more than any day can hold, is none.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MOST_BYTES = 1_048_576
"""Of the file; of a longer one, no more is read."""

# a day has no more rows, and a sum of such amounts over all days fits DECIMAL(25,2)
_Rows = Annotated[int, Field(strict=True, ge=0, lt=10**12)]
_Amount = Annotated[Decimal, Field(max_digits=22, decimal_places=2)]


class SentTotals(BaseModel):
    """Rows, and smallest currency units by code; None where the sender says nothing of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: _Rows | None = None
    amount: dict[str, _Amount] | None = None


def sent_totals(text: str) -> SentTotals | None:
    """Read the text of such a file; None where it is none."""
    try:
        return SentTotals.model_validate_json(text)
    except ValidationError:
        return None
