"""The enumerations of the contract. A new code is one member here and one rule or entry."""

from __future__ import annotations

from enum import StrEnum


class TransactionStatus(StrEnum):
    """What the acquirer answered."""

    PENDING = "PENDING"
    AUTHORIZED = "AUTHORIZED"
    DECLINED = "DECLINED"


class SettlementStatus(StrEnum):
    """The money's outcome, derived from money events."""

    SETTLED = "SETTLED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    CHARGEBACK = "CHARGEBACK"


class MoneyEventType(StrEnum):
    """What a money event did."""

    SETTLED = "SETTLED"
    REFUNDED = "REFUNDED"
    CHARGEBACK = "CHARGEBACK"
    CHARGEBACK_REVERSED = "CHARGEBACK_REVERSED"


class PolicyFlag(StrEnum):
    """Policies that fired, least severe first: `policy_flag` is the last that fired."""

    NONE = "NONE"
    MERCHANT_BLOCK = "MERCHANT_BLOCK"
    CURRENCY_BLOCK = "CURRENCY_BLOCK"
    AMOUNT_LIMIT = "AMOUNT_LIMIT"
    VELOCITY_LIMIT = "VELOCITY_LIMIT"
    GEO_BLOCK = "GEO_BLOCK"


class ReasonCode(StrEnum):
    """Why a transaction looks suspicious, from its score and the score's explanations."""

    NONE = "NONE"
    HIGH_SCORE = "HIGH_SCORE"
    AMOUNT_ANOMALY = "AMOUNT_ANOMALY"
    VELOCITY_ANOMALY = "VELOCITY_ANOMALY"
    LOCATION_ANOMALY = "LOCATION_ANOMALY"
    MERCHANT_RISK = "MERCHANT_RISK"
    UNSCORED = "UNSCORED"


class Action(StrEnum):
    """What the gateway is advised to do."""

    ALLOW = "ALLOW"
    REVIEW = "REVIEW"
    BLOCK = "BLOCK"


class ScoreSource(StrEnum):
    """Where a score came from."""

    NONE = "NONE"
    API = "API"
    TOPIC = "TOPIC"
    OFFLINE = "OFFLINE"


class FxStatus(StrEnum):
    """Whether `amount_base` could be computed, and from how fresh a rate."""

    OK = "OK"
    STALE = "STALE"
    MISSING = "MISSING"


class Source(StrEnum):
    """What kind of contribution a Gold row is made of."""

    LIVE_EVENT = "LIVE_EVENT"
    BATCH_LOG = "BATCH_LOG"
    API_SCORE = "API_SCORE"
    TOPIC_SCORE = "TOPIC_SCORE"
    OFFLINE_SCORE = "OFFLINE_SCORE"
    MONEY_EVENT = "MONEY_EVENT"


class Finality(StrEnum):
    """Whether an outcome may be relied on for ever."""

    FINAL = "FINAL"
    PROVISIONAL = "PROVISIONAL"


class Verdict(StrEnum):
    """What became of a delivered file."""

    LOADED = "LOADED"
    HELD = "HELD"
    WAITING = "WAITING"  # somebody still writes it, or its day
    GONE = "GONE"  # was removed before it, or what replaced it, was loaded


class DropFault(StrEnum):
    """What is wrong with a delivered file."""

    UNFINISHED_DAY = "UNFINISHED_DAY"  # no _SUCCESS in its folder
    CHANGING = "CHANGING"  # other before it was read than behind
    REMOVED = "REMOVED"  # lies there no more
    MISPLACED = "MISPLACED"  # not in KIND/date=YYYY-MM-DD/
    UNKNOWN_KIND = "UNKNOWN_KIND"  # no kind of drop has the name of its folder
    UNREADABLE = "UNREADABLE"  # its storage does not give its bytes
    UNKNOWN_FORMAT = "UNKNOWN_FORMAT"  # by its name, or by its first bytes
    EMPTY = "EMPTY"  # nothing in it
    DAMAGED = "DAMAGED"  # cannot be read to its end
    FOREIGN_ENCODING = "FOREIGN_ENCODING"  # not UTF-8
    WRONG_FORMAT = "WRONG_FORMAT"  # JSON, but not one object per line
    WRONG_KIND = "WRONG_KIND"  # its fields are those of another kind
    WRONG_HEADER = "WRONG_HEADER"  # lacks columns; JSON lines: has no field of its kind
    CONTROL_UNREADABLE = "CONTROL_UNREADABLE"
    CONTROL_MALFORMED = "CONTROL_MALFORMED"
    CONTROL_UNMET = "CONTROL_UNMET"


class LossReason(StrEnum):
    """Why records of a topic can't land any more."""

    EXPIRED = "EXPIRED"  # the topic's retention has passed the reader
    RECREATED = "RECREATED"  # the topic was deleted, and another of its name created


class ParityCause(StrEnum):
    """Why the live path and the batch path say different things of one payment, as proven."""

    LATE_SCORE = "LATE_SCORE"  # live decided before any score came, batch has one
    OTHER_SCORE = "OTHER_SCORE"  # the best score that each could know is another
    LIVE_SCORE_ONLY = "LIVE_SCORE_ONLY"  # no offline score has come
    POLICY_CHANGED = "POLICY_CHANGED"  # other versions were in force as known to each
    RULES_CHANGED = "RULES_CHANGED"  # conf/decision.yaml or conf/regions.yaml was another
    VELOCITY_COMPLETED = "VELOCITY_COMPLETED"  # events came after the decision that it would count
    VELOCITY_OF_OTHERS = "VELOCITY_OF_OTHERS"  # topic and log tell other payments of the user
    AMOUNT_CORRECTED = "AMOUNT_CORRECTED"
    FACTS_CORRECTED = "FACTS_CORRECTED"  # payer, time, currency, country or merchant
    MISSING_LIVE = "MISSING_LIVE"  # in the log only
    MISSING_BATCH = "MISSING_BATCH"  # in the topic only, on a day that the log tells of


class AccountDifference(StrEnum):
    """Why one step of the flow does not say what the step before said."""

    MISSING = "MISSING"  # delivered, and nowhere behind the step
    DOUBLED = "DOUBLED"  # there more than once
    UNDELIVERED = "UNDELIVERED"  # there, and nobody delivered it
    ALTERED = "ALTERED"  # there, with another amount, currency, type or day
    SUM_DIFFERS = "SUM_DIFFERS"  # a total of Gold is not the sum of its money events
    CONTROL_UNMET = "CONTROL_UNMET"  # the sender's own totals say otherwise
    # explained: somebody knows where it is, and why
    UNREAD = "UNREAD"  # the job behind has not come to it yet
    HELD = "HELD"  # in a file, or a batch, that is held
    RELEASED = "RELEASED"  # a person let the file load although its totals are not met
    WAITING = "WAITING"  # money of a payment that nobody has told of yet
    OTHER_CURRENCY = "OTHER_CURRENCY"  # money in another currency than its payment: not summed


EXPLAINED_DIFFERENCES = frozenset(
    {
        AccountDifference.UNREAD,
        AccountDifference.HELD,
        AccountDifference.RELEASED,
        AccountDifference.WAITING,
        AccountDifference.OTHER_CURRENCY,
    }
)


class RuleKind(StrEnum):
    """Which file of rules is recorded."""

    DECISION = "DECISION"  # conf/decision.yaml
    REGIONS = "REGIONS"  # conf/regions.yaml


class RowSeverity(StrEnum):
    """What a rule of conf/quality does with a row that breaks it."""

    QUARANTINE = "quarantine"
    WARN = "warn"


class GateSeverity(StrEnum):
    """Whether a check that fails holds its batch, or is only told."""

    ERROR = "error"
    WARNING = "warning"


class CheckVerdict(StrEnum):
    """What became of one check of a batch."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    NO_HISTORY = "NO_HISTORY"  # an anomaly has no opinion before it has seen enough days
    NO_ROWS = "NO_ROWS"  # there was nothing to measure
    SKIPPED = "SKIPPED"  # only Deequ can measure it, and it is absent


class BatchVerdict(StrEnum):
    """What became of a delivered batch."""

    HELD = "HELD"
    RELEASED = "RELEASED"  # by a person, or by other rules: the build publishes it
    PUBLISHED = "PUBLISHED"


class Engine(StrEnum):
    """What measured a batch."""

    DEEQU = "DEEQU"
    SQL = "SQL"


MONEY_AGES = {0: "less than a day", 1: "1 to 6 days", 7: "7 to 29 days", 30: "30 days and more"}
"""From how many days on money that waits for its payment is of which age."""
