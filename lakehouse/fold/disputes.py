"""Which money is covered by which, dispute by dispute, as Spark expressions.

The pure form is `pure.uncovered`.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.fold.rules import SUM_OF, gold_types
from lakehouse.records.codes import MoneyEventType

_TOTAL = gold_types()["settled_amount"].dataType


def sums_by_dispute(money: Column, currency: Column) -> Column:
    """`disputes`: per dispute, and of what names none, the sum of each type of money event.

    Null where no event in the currency names a dispute: the payment's totals say it all.
    """
    counted = F.filter(money, lambda event: event["currency"] == currency)
    named = F.array_distinct(counted["dispute_id"])

    def of_dispute(dispute: Column) -> Column:
        own = F.filter(counted, lambda event: event["dispute_id"].eqNullSafe(dispute))
        sums = [_sum_of(own, kind).alias(column) for kind, column in SUM_OF.items()]
        return F.struct(dispute.isNotNull().alias("is_named"), *sums)

    has_named = F.size(F.array_compact(named)) > 0
    return F.when(has_named, F.transform(named, of_dispute))


def is_uncovered(of: MoneyEventType, by: MoneyEventType, beyond: Column | None = None) -> Column:
    """Whether events of one type exceed what covers them, by more than `beyond`.

    Reads the payment's totals and `disputes`.
    """
    allowed = beyond if beyond is not None else _nothing()
    by_totals = F.col(SUM_OF[of]) > F.col(SUM_OF[by]) + allowed
    by_dispute = _uncovered(SUM_OF[of], SUM_OF[by]) > allowed
    return F.when(F.col("disputes").isNull(), by_totals).otherwise(by_dispute)


def _uncovered(of: str, by: str) -> Column:
    left = F.transform(
        F.filter("disputes", lambda sums: sums["is_named"]), lambda sums: sums[of] - sums[by]
    )
    lacking = _added(F.filter(left, lambda amount: amount > 0))
    too_much = -_added(F.filter(left, lambda amount: amount < 0))
    unnamed = F.filter("disputes", lambda sums: ~sums["is_named"])
    # what names no dispute covers, and is covered by, whatever is left
    unmet = F.greatest(_nothing(), _added(unnamed[of]) - too_much)
    return F.greatest(_nothing(), lacking + unmet - _added(unnamed[by]))


def _sum_of(events: Column, kind: MoneyEventType) -> Column:
    return _added(F.filter(events, lambda event: event["event_type"] == str(kind))["amount"])


def _added(amounts: Column) -> Column:
    return F.aggregate(
        amounts,
        _nothing(),
        lambda total, amount: (total + F.coalesce(amount, _nothing())).cast(_TOTAL),
    )


def _nothing() -> Column:
    return F.lit(0).cast(_TOTAL)
