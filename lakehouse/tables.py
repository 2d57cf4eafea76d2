"""Every table of the lakehouse, each declared once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property

from pyspark.sql.types import StructType

from lakehouse.errors import UnknownTableError
from lakehouse.records.bronze import DropFile, DropRow, KafkaRecord, LostRange
from lakehouse.records.codes import (
    Action,
    BatchVerdict,
    CheckVerdict,
    DropFault,
    FxStatus,
    LossReason,
    PolicyFlag,
    RuleKind,
    ScoreSource,
    TransactionStatus,
    Verdict,
)
from lakehouse.records.gold import (
    ChainLink,
    GoldTransaction,
    HistoryRow,
    Reconciliation,
)
from lakehouse.records.quality import QualityBatch, QualityMetric, Warned
from lakehouse.records.silver import (
    BatchTransaction,
    Correction,
    FraudScore,
    FxRate,
    LiveTransaction,
    MoneyEvent,
    ParityDifference,
    Policy,
    Quarantined,
    RecordedRules,
)
from lakehouse.schema import Record, spark_schema

WAITING_DAY = date(1970, 1, 1)
"""Gold's reserved day: contributions of a transaction whose own day is not known yet."""

_APPEND_ONLY = {"delta.appendOnly": "true"}
_COMPACTED = {"delta.autoOptimize.autoCompact": "true"}
"""Each micro-batch adds a file, and a look at a day opens all of its files: fifty become one."""
_READ_BY_VERSION = {"delta.enableChangeDataFeed": "true"}


@dataclass(frozen=True)
class Table:
    """A Delta table: what one row is, where it lies, what always holds, and who writes it."""

    name: str
    record: type[Record]
    written_by: str
    partitioned_by: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    constraints: Mapping[str, str] = field(default_factory=dict)
    audited: bool = False  # keeps time travel for the audit horizon, not for days
    in_order_of: tuple[str, ...] = ()  # compaction keeps rows so: a look-up by it opens few files

    @cached_property
    def schema(self) -> StructType:
        """Its columns, in the order of the record."""
        return spark_schema(self.record)

    @property
    def columns(self) -> list[str]:
        """Column names; a job's last `select`."""
        return self.schema.fieldNames()


def _one_of(column: str, codes: type[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(str(code)) for code in codes)})"


BRONZE_TRANSACTIONS = Table(
    name="bronze.transactions",
    record=KafkaRecord,
    written_by="ingest_transactions",
    partitioned_by=("ingest_date",),
    properties=_APPEND_ONLY,
    constraints={"offset_not_negative": "offset >= 0"},
)
BRONZE_FRAUD_SCORES = Table(
    name="bronze.fraud_scores",
    record=KafkaRecord,
    written_by="ingest_fraud_scores",
    partitioned_by=("ingest_date",),
    properties=_APPEND_ONLY,
    constraints={"offset_not_negative": "offset >= 0"},
)


def _losses(kind: str) -> Table:
    return Table(
        name=f"bronze.losses_{kind}",
        record=LostRange,
        written_by=f"ingest_{kind}",
        properties=_APPEND_ONLY,
        constraints={"reason_known": _one_of("reason", LossReason)},
        audited=True,
    )


BRONZE_LOSSES_TRANSACTIONS = _losses("transactions")
BRONZE_LOSSES_FRAUD_SCORES = _losses("fraud_scores")


def _drops(kind: str) -> Table:
    return Table(
        name=f"bronze.drops_{kind}",
        record=DropRow,
        written_by="load_drops",
        partitioned_by=("delivery_date",),
        properties=_APPEND_ONLY,
        constraints={"row_number_positive": "row_number >= 1"},
    )


DROPS = {
    kind: _drops(kind)
    for kind in ("transactions", "money_events", "policies", "fraud_scores", "fx_rates")
}
"""Bronze tables of delivered rows, by kind (the folder below landing/)."""

BRONZE_DROP_FILES = Table(
    name="bronze.drop_files",
    record=DropFile,
    written_by="load_drops",
    properties=_APPEND_ONLY,
    constraints={
        "verdict_known": _one_of("verdict", Verdict),
        "fault_known": f"fault IS NULL OR {_one_of('fault', DropFault)}",
        "loaded_is_sound_or_released": (
            "verdict <> 'LOADED' OR (fault IS NULL) = (release_reason IS NULL)"
        ),
    },
)

SILVER_LIVE_TRANSACTIONS = Table(
    name="silver.live_transactions",
    record=LiveTransaction,
    written_by="enrich_live",
    partitioned_by=("event_date",),
    properties=_COMPACTED | _READ_BY_VERSION | _APPEND_ONLY,
    constraints={
        "amount_whole": "amount >= 0 AND amount = floor(amount)",
        "status_known": _one_of("transaction_status", TransactionStatus),
        "flag_known": _one_of("policy_flag", PolicyFlag),
        "action_known": _one_of("recommended_action", Action),
    },
)
SILVER_FRAUD_SCORES = Table(
    name="silver.fraud_scores",
    record=FraudScore,
    written_by="enrich_live",
    partitioned_by=("event_date",),
    properties=_COMPACTED | _READ_BY_VERSION | _APPEND_ONLY,
    constraints={
        "score_is_probability": "fraud_score BETWEEN 0 AND 1",
        "source_known": _one_of("score_source", ScoreSource),
    },
)
SILVER_QUARANTINE_LIVE = Table(
    name="silver.quarantine_live",
    record=Quarantined,
    written_by="enrich_live",
    partitioned_by=("quarantine_date",),
    properties=_APPEND_ONLY,
)
SILVER_CORRECTIONS = Table(
    name="silver.corrections",
    record=Correction,
    written_by="correct_record",
    properties=_APPEND_ONLY,
    audited=True,
)
SILVER_BATCH_TRANSACTIONS = Table(
    name="silver.batch_transactions",
    record=BatchTransaction,
    written_by="build_batch",
    partitioned_by=("event_date", "region"),
    properties=_READ_BY_VERSION
    | _APPEND_ONLY
    | {"delta.dataSkippingStatsColumns": "transaction_id,identity,revision,timestamp"},
    constraints={
        "amount_whole": "amount >= 0 AND amount = floor(amount)",
        "fx_status_known": _one_of("fx_status", FxStatus),
    },
    in_order_of=("transaction_id",),
)
SILVER_MONEY_EVENTS = Table(
    name="silver.money_events",
    record=MoneyEvent,
    written_by="build_batch",
    partitioned_by=("event_date",),
    properties=_READ_BY_VERSION
    | _APPEND_ONLY
    | {"delta.dataSkippingStatsColumns": "transaction_id,identity,revision,timestamp"},
    constraints={"amount_whole": "amount >= 0 AND amount = floor(amount)"},
)
SILVER_OFFLINE_SCORES = Table(
    name="silver.offline_scores",
    record=FraudScore,
    written_by="build_batch",
    partitioned_by=("event_date",),
    properties=_READ_BY_VERSION
    | _APPEND_ONLY
    | {"delta.dataSkippingStatsColumns": "transaction_id,identity,revision,inference_time"},
    constraints={"score_is_probability": "fraud_score BETWEEN 0 AND 1"},
)
SILVER_POLICIES = Table(
    name="silver.policies",
    record=Policy,
    written_by="build_batch",
    audited=True,
    constraints={"interval_forward": "effective_to IS NULL OR effective_to >= effective_date"},
)
SILVER_FX_RATES = Table(
    name="silver.fx_rates",
    record=FxRate,
    written_by="build_batch",
    constraints={"rate_positive": "rate > 0"},
)
SILVER_QUARANTINE_BATCH = Table(
    name="silver.quarantine_batch",
    record=Quarantined,
    written_by="build_batch",
    partitioned_by=("quarantine_date",),
    properties=_APPEND_ONLY,
)
SILVER_PARITY = Table(
    name="silver.parity",
    record=ParityDifference,
    written_by="compare_paths",
    partitioned_by=("event_date",),
    properties=_APPEND_ONLY,
    audited=True,
)
SILVER_RULES = Table(
    name="silver.rules",
    record=RecordedRules,
    written_by="compare_paths",
    properties=_APPEND_ONLY,
    constraints={"kind_known": _one_of("kind", RuleKind)},
    audited=True,
)
SILVER_WARNINGS_BATCH = Table(
    name="silver.warnings_batch",
    record=Warned,
    written_by="build_batch",
    partitioned_by=("delivery_date",),
    properties=_APPEND_ONLY,
)
SILVER_QUALITY_METRICS = Table(
    name="silver.quality_metrics",
    record=QualityMetric,
    written_by="build_batch",
    properties=_APPEND_ONLY,
    constraints={"verdict_known": _one_of("verdict", CheckVerdict)},
)
SILVER_QUALITY_BATCHES = Table(
    name="silver.quality_batches",
    record=QualityBatch,
    written_by="build_batch",
    properties=_APPEND_ONLY,
    constraints={"verdict_known": _one_of("verdict", BatchVerdict)},
    audited=True,
)

GOLD_TRANSACTIONS = Table(
    name="gold.transactions",
    record=GoldTransaction,
    written_by="consolidate",
    partitioned_by=("event_date", "region"),
    properties=_READ_BY_VERSION
    | {"delta.dataSkippingStatsColumns": "transaction_id,timestamp,updated_at"},
    audited=True,
)
GOLD_TRANSACTION_HISTORY = Table(
    name="gold.transaction_history",
    record=HistoryRow,
    written_by="record_history",
    partitioned_by=("known_date",),
    properties=_APPEND_ONLY
    | {"delta.dataSkippingStatsColumns": "transaction_id,known_from,gold_version"},
    audited=True,
)
GOLD_HISTORY_CHAIN = Table(
    name="gold.history_chain",
    record=ChainLink,
    written_by="record_history",
    properties=_APPEND_ONLY | {"delta.dataSkippingStatsColumns": "gold_version,committed_at"},
    audited=True,
)
GOLD_RECONCILIATION = Table(
    name="gold.reconciliation",
    record=Reconciliation,
    written_by="reconcile",
    properties=_APPEND_ONLY,
    audited=True,
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        BRONZE_TRANSACTIONS,
        BRONZE_FRAUD_SCORES,
        BRONZE_LOSSES_TRANSACTIONS,
        BRONZE_LOSSES_FRAUD_SCORES,
        *DROPS.values(),
        BRONZE_DROP_FILES,
        SILVER_LIVE_TRANSACTIONS,
        SILVER_FRAUD_SCORES,
        SILVER_QUARANTINE_LIVE,
        SILVER_CORRECTIONS,
        SILVER_BATCH_TRANSACTIONS,
        SILVER_MONEY_EVENTS,
        SILVER_OFFLINE_SCORES,
        SILVER_POLICIES,
        SILVER_FX_RATES,
        SILVER_QUARANTINE_BATCH,
        SILVER_PARITY,
        SILVER_RULES,
        SILVER_WARNINGS_BATCH,
        SILVER_QUALITY_METRICS,
        SILVER_QUALITY_BATCHES,
        GOLD_TRANSACTIONS,
        GOLD_TRANSACTION_HISTORY,
        GOLD_HISTORY_CHAIN,
        GOLD_RECONCILIATION,
    )
}


def table_named(name: str) -> Table:
    """Find a declared table.

    Raises:
        UnknownTableError: nothing is declared under this name.
    """
    if name not in TABLES:
        raise UnknownTableError(name, sorted(TABLES))
    return TABLES[name]
