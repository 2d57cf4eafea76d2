"""`_CONTROL.json`, a sender's own totals of a day: one reader for who loads and who accounts.

Whoever delivers a day writes it, so nothing that it says may stop a job: what is no such file, or
says more than any day can hold, is none.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST_BYTES = 1_048_576
"""Of the file; of a longer one, no more is read."""

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def _as_written(value: object) -> object:
    """Decimal takes 1_000, spaces and other digits as well."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError("not a number")
    return value


# a day has no more rows, and a sum of such amounts over all days fits DECIMAL(25,2)
_Rows = Annotated[int, Field(strict=True, ge=0, lt=10**12)]
_Amount = Annotated[Decimal, BeforeValidator(_as_written), Field(max_digits=22, decimal_places=2)]


class SentTotals(BaseModel):
    """Rows, and smallest currency units by code; None where the sender says nothing of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: _Rows | None = None
    amount: dict[str, _Amount] | None = None


def sent_totals(text: str) -> SentTotals | None:
    """Read the text of such a file; None where it is none."""
    try:
        # spelled out: as a float, an amount would lose its last digits
        read = json.loads(text, parse_float=str, parse_constant=str)
        return SentTotals.model_validate(read)
    except (ValueError, RecursionError):
        return None
