"""Silver: parsed, checked and enriched; one row per identity and revision."""

from __future__ import annotations

from datetime import date, datetime

from lakehouse.schema import (
    BaseUnitsOrNull,
    Long,
    LongOrNull,
    MinorUnits,
    MinorUnitsOrNull,
    Probability,
    ProbabilityOrNull,
    Rate,
    RateOrNull,
    Record,
    TotalOrNull,
)


class AnonymousTransaction(Record):
    """The seed's Core Transaction Schema without the payer."""

    transaction_id: str
    timestamp: datetime | None
    amount: MinorUnitsOrNull
    currency: str | None
    fraud_score: ProbabilityOrNull
    fraud_reason_code: str | None
    policy_flag: str | None
    transaction_status: str | None
    settlement_status: str | None
    updated_at: datetime | None  # newest event time that went into the row


class CoreTransaction(AnonymousTransaction):
    """The seed's Core Transaction Schema, name for name."""

    user_id: str | None


class PaymentContext(Record):
    """Payment facts beside the seed's core."""

    country: str | None
    region: str | None  # from conf/regions.yaml
    merchant_id: str | None
    payment_token: str | None
    sequence: LongOrNull  # rising per transaction; null where the sender has none


class NormalisedMoney(Record):
    """The amount in the base currency; the original is never overwritten."""

    amount_base: BaseUnitsOrNull  # whole minor units of base_currency, half-even
    base_currency: str | None
    fx_rate: RateOrNull  # units of `currency` per unit of base_currency
    fx_rate_date: date | None
    fx_status: str | None  # codes.FxStatus


class PolicyEvidence(Record):
    """One policy version that was in force, and whether it fired."""

    policy_id: str
    version: int
    flag: str  # codes.PolicyFlag it raises
    fired: bool


class VelocityEvidence(Record):
    """One velocity value as it was counted."""

    policy_id: str
    window_seconds: Long
    count: Long  # distinct transactions, this one included
    amount: TotalOrNull  # of them, in the payment's currency; null without a limit of a sum in it


class Evaluation(Record):
    """What the decision function concluded, and from what."""

    score_id: str | None
    score_source: str  # codes.ScoreSource
    model_version: str | None
    inference_time: datetime | None  # of that score
    explanations: str | None  # JSON object as the model gave it
    policy_flags: list[str]  # all that fired, most severe first
    policies: list[PolicyEvidence]
    velocity: list[VelocityEvidence]
    recommended_action: str  # codes.Action
    rules_version: str | None  # of conf/decision.yaml: reason and action follow from it


class Provenance(Record):
    """Who this contribution is, and where it came from."""

    identity: str
    revision: int
    withdrawn: bool
    coordinates: str  # kafka:TOPIC/PARTITION/OFFSET@TOPIC_ID or file:PATH@SHA256#ROW
    content_hash: str  # SHA-256 of the delivered content, not of its coordinates
    event_date: date  # partition: UTC day from the payload


class LiveTransaction(CoreTransaction, PaymentContext, Evaluation, Provenance):
    """One event of a transaction as decided for the gateway; never rewritten."""

    event_id: str
    extra: dict[str, str]  # unknown fields, kept
    decided_at: datetime  # wall clock, recorded once


class BatchTransaction(CoreTransaction, PaymentContext, NormalisedMoney, Evaluation, Provenance):
    """One revision of one row of the daily transaction log."""

    extra: dict[str, str]


class FraudScore(Provenance):
    """One model output: the seed's Fraud Model Output Schema and what it means."""

    model_version: str
    transaction_id: str
    fraud_score: Probability
    explanations: str | None  # JSON
    inference_time: datetime
    score_source: str  # codes.ScoreSource
    fraud_reason_code: str


class MoneyEvent(Provenance):
    """One settlement, refund, chargeback or reversal."""

    event_id: str
    transaction_id: str
    event_type: str  # codes.MoneyEventType
    amount: MinorUnits
    currency: str
    timestamp: datetime
    transaction_date: date | None  # when the payment was made
    dispute_id: str | None


class Policy(Record):
    """One version of one policy (SCD type 2): the seed's Policy & Control Schema.

    A version that a later one replaced from its first instant on, or that a correction took back,
    is in force never more, and stays: `effective_to` is its `effective_date`.
    """

    policy_id: str
    policy_name: str
    policy_data: str  # JSON
    effective_date: datetime
    effective_to: datetime | None  # exclusive; null while in force
    version: int  # 1, 2, ... as published; a number never means another content
    recorded_at: datetime  # midnight of the delivery day
    coordinates: str


class FxRate(Record):
    """The rate of one currency on one day."""

    rate_date: date
    base: str
    currency: str
    rate: Rate  # units of `currency` per unit of `base`
    coordinates: str


class Quarantined(Record):
    """One record that could not go on, with every rule it broke."""

    source_table: str
    coordinates: str
    rule_ids: list[str]
    reasons: list[str]
    identity: str | None
    transaction_id: str | None
    payload: bytes | None  # as in Bronze
    quarantine_date: date  # partition: the delivery day


class Correction(Record):
    """A quarantined Kafka record put right: enrich_live reads it in the record's place."""

    coordinates: str  # of the record it corrects
    source_table: str
    partition: int
    offset: Long
    delivered_at: datetime  # as Bronze has it: rules of time look at the first delivery
    quarantine_date: date
    payload: bytes  # card numbers are tokens already
    identity: str
    transaction_id: str
    content_hash: str
    event_date: date
    reason: str  # why it may go on, in the words of who corrected it
    recorded_at: datetime  # UTC, by the job's clock


class ParityDifference(Record):
    """One revision of how live and batch differ on one transaction; withdrawn: no more."""

    identity: str  # the transaction_id
    revision: int
    withdrawn: bool
    transaction_id: str
    event_id: str | None  # of the live decision compared; null: there is none
    batch_revision: int | None  # of the log row compared; null: there is none
    differences: list[str]  # columns of both tables that differ
    causes: list[str]  # codes.ParityCause, in the order declared there
    unexplained: list[str]  # columns whose value no cause explains
    event_date: date  # partition: UTC day of the log row, else of the live event
    compared_at: datetime  # UTC, by the job's clock
    read_versions: dict[str, int]  # Delta version of each table that it was compared by


class RecordedRules(Record):
    """One content of a file of rules, as `compare_paths` first met it."""

    kind: str  # codes.RuleKind
    version: str  # the fingerprint of the content: evidence names it as `rules_version`
    content: str  # the values as JSON
    recorded_at: datetime  # UTC, by the job's clock
