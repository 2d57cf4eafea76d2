"""What stands on the page, in its order: a question, its plot, and its table with units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lakehouse.cli.page import plots
from lakehouse.cli.page.cells import Show, hours, money_in, percent, score
from lakehouse.cli.page.plots import Draw


@dataclass(frozen=True)
class Section:
    """One question of an analyst. `answer` names its numbers: of the Gold shown, or of now."""

    key: str
    title: str
    about: str
    answer: str
    draw: Draw
    nothing: str  # what it means that there is no number
    no_plot: str | None = None  # what it means that there are numbers, and nothing to draw
    shown_as: Mapping[str, Show] = field(default_factory=dict)
    is_of_now: bool = False


_RATES = dict.fromkeys(
    ("fraud_rate", "false_positive_rate", "decline_rate", "dispute_rate", "flag_rate",
     "precision", "recall"),
    percent,
)  # fmt: skip
_NO_PAYMENT = "Gold holds no payment."
_EFFECT = (
    "Precision, recall and false positives are of labelled payments: settled, and older than the "
    "dispute horizon (180 days). Recall and false positives count those that were decided: what "
    "only the daily logs tell of was not."
)

SECTIONS = (
    Section(
        "fraud", "Transactions and fraud rate",
        "Payments per UTC day, and of labelled ones (settled, older than the dispute horizon of "
        "180 days) how many were fraud: charged back for good.",
        "gold.fraud_by_day",
        plots.bars_and_rate("transactions", "fraud_rate", "transactions", "fraud rate"),
        _NO_PAYMENT, shown_as=_RATES,
    ),
    Section(
        "rates", "Decline, dispute and flag rates",
        "Per UTC day of payment: declined of answered, charged back of settled (of recent days it "
        "still grows), and advised to REVIEW or BLOCK of decided.",
        "gold.rates_by_day",
        plots.rates(
            {"decline_rate": "declined", "dispute_rate": "disputed", "flag_rate": "flagged"}
        ),
        _NO_PAYMENT, "No payment has been answered, settled or decided.", _RATES,
    ),
    Section(
        "scores", "Fraud scores by outcome",
        "How the scores of payments with one outcome are spread: each outcome adds up to 100 %. "
        "The legend counts its scored payments.",
        "gold.score_distribution", plots.scores, _NO_PAYMENT, "No payment has a score.",
        {"score_from": score},
    ),
    Section(
        "reasons", "Reason codes", f"Payments for which the gateway was given each code. {_EFFECT}",
        "gold.reason_effectiveness",
        plots.counts("fraud_reason_code", {"fired": "payments"}, "payments"),
        "No live decision is in Gold.", shown_as=_RATES,
    ),
    Section(
        "flags", "Policy flags", f"Payments on which each flag fired at the decision. {_EFFECT}",
        "gold.policy_effectiveness",
        plots.counts("policy_flag", {"fired": "payments"}, "payments"),
        "No policy fired at a live decision that is in Gold.", shown_as=_RATES,
    ),
    Section(
        "regions", "Regions",
        "Payments by region of their country, and how many were declined.",
        "gold.fraud_by_region",
        plots.counts("region", {"transactions": "payments", "declined": "declined"}, "payments"),
        _NO_PAYMENT, shown_as=_RATES,
    ),
    Section(
        "currencies", "Currencies",
        "What was paid in each currency: plotted in the base currency (of payments that have a "
        "rate), and in the table in its own units.",
        "gold.money_by_currency", plots.money_in_base, _NO_PAYMENT,
        "No payment has an amount in the base currency: the plot waits for the daily log and its "
        "rates.",
        {**dict.fromkeys(("amount", "settled_amount", "refunded_amount", "chargeback_amount",
                          "chargeback_reversed_amount"), money_in("currency")),
         "amount_base": money_in("base_currency")},
    ),
    Section(
        "ageing", "Settlement ageing",
        "Authorised payments that have not settled, by UTC days since the payment. Amounts in "
        "units of the currency.",
        "gold.settlement_ageing", plots.ageing, "Every authorised payment has settled.",
        shown_as={"amount": money_in("currency")},
    ),
    Section(
        "exceptions", "What should not have happened",
        "Transactions that break a rule of conf/transitions.yaml; one that breaks several counts "
        "for each.",
        "gold.exceptions",
        plots.counts("rule_id", {"transactions": "transactions"}, "transactions"),
        "No transaction breaks a rule.",
    ),
    Section(
        "reconciliation", "Reconciliation",
        "Of the records that each step was delivered, where they went. What is unexplained must "
        "be 0.",
        "gold.reconciled", plots.reconciliation,
        "Nothing was counted up to this version of Gold; `lakehouse run reconcile` does.",
        "No step was delivered a record.",
    ),
    Section(
        "amounts", "Reconciliation of amounts",
        "Of the money that each step was delivered, by currency and type of money event, where it "
        "went. Amounts in units of the currency.",
        "gold.reconciled_money", plots.reconciliation_of_money,
        "No money was counted up to this version of Gold; `lakehouse run reconcile` does.",
        "No step was delivered any money.",
        dict.fromkeys([f"{fate}_amount" for fate in ("delivered", *plots.FATES)],
                      money_in("currency")),
    ),
    Section(
        "quarantine", "Quarantine by rule",
        "Records that could not go on, by the rule that they broke; one that broke several counts "
        "for each. Open: no correction has resolved it.",
        "silver.quarantine", plots.quarantine, "No record is in quarantine.", is_of_now=True,
    ),
    Section(
        "parity", "Parity of live and batch",
        "Payments on which the live decision and the daily log differ, by proven cause. "
        "UNEXPLAINED must not be there.",
        "silver.parity_by_cause", plots.counts("cause", {"payments": "payments"}, "payments"),
        "Live and batch differ on no payment.", is_of_now=True,
    ),
    Section(
        "freshness", "Freshness",
        "Hours since the newest event in each table, by the clock of this machine; below 0 it "
        "lies ahead.",
        "freshness", plots.freshness, "There is no table.", "No table has a row with a time.",
        {"age_hours": hours}, is_of_now=True,
    ),
    Section(
        "lag", "Lag",
        "What waits for each stream: records of a Kafka topic, or versions of the tables that it "
        "reads.",
        "lag", plots.lag, "There is no stream.",
        "Nothing waits where anybody can tell; the table names every stream.", is_of_now=True,
    ),
)  # fmt: skip
