"""What both forms of the fold share: names, the rules that are not precedence, and defaults."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pyspark.sql.types import ArrayType, StructType

from lakehouse.records.codes import MoneyEventType, ReasonCode, ScoreSource, Source
from lakehouse.records.gold import Contribution
from lakehouse.tables import GOLD_TRANSACTIONS

UNKNOWN_REGION = "UNKNOWN"
"""Region of a row for which no contribution knows one."""


class ExceptionRule(StrEnum):
    """What is kept and flagged, because conf/transitions.yaml says that it should not happen."""

    CHARGEBACK_EXCEEDS_SETTLED = "CHARGEBACK_EXCEEDS_SETTLED"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"  # money in another currency: not summed
    MONEY_ON_DECLINED = "MONEY_ON_DECLINED"
    REFUND_EXCEEDS_SETTLED = "REFUND_EXCEEDS_SETTLED"
    REVERSAL_EXCEEDS_CHARGEBACK = "REVERSAL_EXCEEDS_CHARGEBACK"
    STATUS_CONFLICT = (
        "STATUS_CONFLICT"  # authorised and declined, and no sequence says which was last
    )
    STATUS_WENT_BACK = "STATUS_WENT_BACK"  # pending after an answer


SUMS = {
    "settled_amount": MoneyEventType.SETTLED,
    "refunded_amount": MoneyEventType.REFUNDED,
    "chargeback_amount": MoneyEventType.CHARGEBACK,
    "chargeback_reversed_amount": MoneyEventType.CHARGEBACK_REVERSED,
}
"""Columns that sum the money events of one type."""

SUM_OF = {kind: column for column, kind in SUMS.items()}
"""The column that sums each type of money event."""

SCORE_SOURCES = {
    Source.API_SCORE: ScoreSource.API,
    Source.TOPIC_SCORE: ScoreSource.TOPIC,
    Source.OFFLINE_SCORE: ScoreSource.OFFLINE,
}
"""Where a score came from, by the contribution that brought it."""

DEFAULTS = {
    "fraud_reason_code": ReasonCode.UNSCORED,
    "score_source": ScoreSource.NONE,
}
"""Values of columns that no contribution decides; no score is not a score of zero."""

COMPUTED = (
    "transaction_id",
    "contributions",
    "exceptions",
    "winners",
    "event_date",
    "updated_at",
)
"""Columns of Gold that no field group decides."""

NO_EVENT_TIME = frozenset((str(Source.API_SCORE),))
"""Sources whose time is the wall clock of the call: they do not count for `updated_at`."""

TAKEN_FROM = {"timestamp": "event_time", "score_source": "source"}
"""Fields of a contribution whose name in Gold is another."""


def unit_name(group: str, unit: Sequence[str]) -> str:
    """What `winners` calls fields of a group that are won together, where others won the rest."""
    return f"{group}.{unit[0]}"


def gold_types() -> StructType:
    """Columns of `gold.transactions`."""
    return GOLD_TRANSACTIONS.schema


def contribution_type() -> StructType:
    """Fields of one contribution, in their order."""
    contributions = gold_types()["contributions"].dataType
    assert isinstance(contributions, ArrayType) and isinstance(
        contributions.elementType, StructType
    )
    return contributions.elementType


def contribution_fields() -> tuple[str, ...]:
    """Names of the fields of one contribution, in the order that ties are broken by."""
    return tuple(Contribution.model_fields)
