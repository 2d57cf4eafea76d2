"""Gold: one row per transaction, derived from the set of its contributions."""

from __future__ import annotations

from datetime import date, datetime

from lakehouse.records.silver import (
    AnonymousTransaction,
    NormalisedMoney,
    PaymentContext,
)
from lakehouse.schema import (
    BaseUnitsOrNull,
    DayOrNull,
    InstantOrNull,
    Long,
    LongOrNull,
    MinorUnitsOrNull,
    ProbabilityOrNull,
    RateOrNull,
    Record,
    Total,
    TotalOrNull,
)


class Decision(Record):
    """The earliest decision that the gateway was given."""

    event_id: str
    decided_at: datetime
    fraud_score: ProbabilityOrNull
    fraud_reason_code: str
    score_source: str
    score_id: str | None
    model_version: str | None
    policy_flag: str
    policy_flags: list[str]
    recommended_action: str


class AnonymousContribution(Record):
    """One thing that is known of a transaction; fields that its source has not are null."""

    identity: str
    revision: int
    withdrawn: bool
    source: str  # codes.Source
    version: Long  # version of the Silver table that brought it
    coordinates: str
    event_time: datetime  # timestamp, or inference_time of a score
    payment_date: date | None  # UTC day of the payment, where the contribution knows it
    # payment facts (amount and currency also of money events)
    amount: MinorUnitsOrNull
    currency: str | None
    country: str | None
    region: str | None
    merchant_id: str | None
    payment_token: str | None
    transaction_status: str | None
    sequence: LongOrNull
    # batch log
    amount_base: BaseUnitsOrNull
    base_currency: str | None
    fx_rate: RateOrNull
    fx_rate_date: date | None
    fx_status: str | None
    policy_flag: str | None
    # live event
    decision: Decision | None
    # score
    fraud_score: ProbabilityOrNull
    fraud_reason_code: str | None
    model_version: str | None
    # money event
    event_type: str | None
    dispute_id: str | None


class Contribution(AnonymousContribution):
    """A contribution with the payer."""

    user_id: str | None


class Winner(Record):
    """Which contribution decided a field group.

    Where several decided fields of one group, there is a winner for each unit of it: the group's
    name, a point, and the unit's first field, as in `payment_facts.amount`.
    """

    field_group: str
    identity: str


class Outcome(AnonymousTransaction, PaymentContext, NormalisedMoney):
    """All that Gold derives from a transaction's contributions, but the payer."""

    score_source: str
    model_version: str | None
    decision: Decision | None
    settled_amount: Total  # sums over money events in the payment's currency
    refunded_amount: Total
    chargeback_amount: Total
    chargeback_reversed_amount: Total
    last_money_at: datetime | None  # newest of the events that were summed
    exceptions: list[str]  # rule ids, sorted
    winners: list[Winner]  # sorted by field_group
    event_date: date  # UTC day of `timestamp`; tables.WAITING_DAY while unknown


class GoldTransaction(Outcome):
    """One transaction: every column but `contributions` is a function of `contributions`."""

    user_id: str | None
    contributions: list[Contribution]  # sorted by identity


class HistoryRow(Outcome):
    """A Gold row as it stood from one Gold version on, without the payer."""

    known_from: datetime  # commit time of `gold_version`
    gold_version: Long
    changed_groups: list[str]  # field groups that differ from the version before, sorted
    known_date: date  # partition: UTC day of `known_from`
    contributions: list[AnonymousContribution]


class HashedFile(Record):
    """A data file of Gold, or of its change feed, and what it held when its version was chained."""

    path: str  # below the table's folder, as Delta's log writes it
    sha256: str


class ChainLink(Record):
    """One Gold version in the hash chain; amounts are JSON objects: sum of `amount` by currency."""

    gold_version: Long
    committed_at: datetime
    operation: str
    commit_hash: str  # SHA-256 of the version's commit file in Delta's log
    added: list[HashedFile]  # sorted by path
    removed: list[str]  # paths, sorted
    rows_changed: Long  # rows of this version in gold.transaction_history
    amounts: str  # of those rows
    rows_digest: str  # of those rows, all columns
    gold_rows: Long  # rows of Gold as this version left it
    gold_amounts: str  # of those rows
    previous_hash: str
    hash: str


class InputVersion(Record):
    """A table as a run read it."""

    table: str
    version: Long


class Difference(Record):
    """One kind of difference of a line: how much of it, who, and since when."""

    kind: str  # codes.AccountDifference
    is_explained: bool
    records: Long
    amount: TotalOrNull  # smallest units between the two sides, never cancelled out
    named: Long  # distinct transactions; coordinates, or files, where no transaction is known
    names: list[str]  # the first of them, sorted; a bounded list
    oldest_at: InstantOrNull  # UTC, event time of the oldest record concerned
    reported_since: datetime  # UTC, the first run of the unbroken row of runs that report it


class Reconciliation(Record):
    """One line of a run: what one step of the flow had, and what became of it.

    Of all lines of a step, `delivered` = `accepted` + `duplicates` + `quarantined` + `held`, and
    what is MISSING. Amounts are smallest units of `currency`, of the records whose amount could be
    read; `unexplained` counts the records of all differences that nobody explains, and is never
    less than 0.
    """

    run_id: str
    run_at: datetime  # UTC, by the job's clock
    gold_version: Long
    inputs: list[InputVersion]  # sorted by table; one that nobody wrote yet is absent
    step: str
    day: DayOrNull  # UTC day of the event; of delivery, for totals of senders; null: unreadable
    currency: str | None
    event_type: str | None  # of money events
    delivered: Long
    accepted: Long
    duplicates: Long
    quarantined: Long
    held: Long
    unexplained: Long
    delivered_amount: TotalOrNull
    accepted_amount: TotalOrNull
    duplicates_amount: TotalOrNull
    quarantined_amount: TotalOrNull
    held_amount: TotalOrNull
    unexplained_amount: TotalOrNull
    differences: list[Difference]  # sorted by kind

    @property
    def told(self) -> list[str]:
        """Each unexplained difference in a few words: step, kind, how much, and the first of whom.

        Names are transactions, coordinates or files: never a payload, never a user.
        """
        return [
            f"{self.step}: {each.records} {each.kind}"
            + (f", {each.amount.normalize():f} {self.currency}" if each.amount else "")
            + f" ({', '.join(each.names[:3])})"
            for each in self.differences
            if not each.is_explained
        ]
