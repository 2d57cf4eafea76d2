"""Which transactions a question is about: ids, a user, and values of columns that may be asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import and_
from typing import Self

import typer
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.tables import WAITING_DAY

ASKABLE: Mapping[str, str] = {
    **{
        name: name
        for name in (
            "country", "currency", "event_date", "fraud_reason_code", "merchant_id",
            "model_version", "policy_flag", "region", "score_source", "settlement_status",
            "transaction_status",
        )
    },
    "recommended_action": "decision.recommended_action",
}  # fmt: skip
"""What may be asked for by value, and the column of Gold that has it; a person writes no SQL."""

MOST_IDS = 10_000


@dataclass(frozen=True)
class Selection:
    """Transactions that meet all that is asked; nothing asked: all that are known as payments."""

    transactions: Sequence[str] | None = None
    user: str | None = None
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, transactions: Iterable[str], user: str | None, conditions: Iterable[str]) -> Self:
        """Read what a person asked for: ids, a user id, and conditions as `NAME=VALUE`.

        Several values of one name: any of them. No value, as in `settlement_status=`: none is set.
        """
        values: dict[str, list[str]] = {}
        for condition in conditions:
            name, is_one, value = condition.partition("=")
            if not is_one or name.strip() not in ASKABLE:
                raise typer.BadParameter(
                    f"{condition!r} is not NAME=VALUE with a name of {', '.join(sorted(ASKABLE))}",
                    param_hint="--where",
                )
            values.setdefault(name.strip(), []).append(value.strip())
        ids = tuple(dict.fromkeys(each.strip().lower() for each in transactions))
        if len(ids) > MOST_IDS:
            raise typer.BadParameter(f"{len(ids)} transactions are more than {MOST_IDS}")
        return cls(ids or None, user, values)

    def of_these(self, transactions: Sequence[str]) -> Self:
        """The same question about these transactions, and whatever user they were of."""
        own = set(transactions if self.transactions is None else self.transactions)
        return replace(self, transactions=[t for t in transactions if t in own], user=None)

    @property
    def of_whom(self) -> Self:
        """The same question without conditions on values."""
        return replace(self, values={})

    def condition(self) -> Column:
        """Whether a row of Gold is meant. What only waits for its payment is found by its id."""
        asked = [has_values(self.values)]
        if self.transactions is not None:
            asked.append(F.col("transaction_id").isin([*self.transactions]))
        else:
            asked.append(F.col("event_date") != F.lit(WAITING_DAY))
        if self.user is not None:
            asked.append(F.col("user_id") == self.user)
        return reduce(and_, asked)


def has_values(values: Mapping[str, Sequence[str]], of: str = "") -> Column:
    """Whether a row of Gold (its columns stand in `of`) has one of the values of each name."""
    met = [_has(F.col(f"{of}{ASKABLE[name]}"), any_of) for name, any_of in values.items()]
    return reduce(and_, met, F.lit(True))


def _has(column: Column, values: Sequence[str]) -> Column:
    text = column.cast("string")
    is_one = text.isin([value for value in values if value])
    return F.coalesce(is_one, F.lit(False)) | text.isNull() if "" in values else is_one
