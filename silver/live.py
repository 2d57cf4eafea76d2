"""What a micro-batch means: which rows stand, what is decided, what the gateway reads. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.quality import RowRule, is_accepted, with_violations
from lakehouse.records.codes import Finality, ReasonCode, ScoreSource, TransactionStatus
from lakehouse.serving_item import AS_OF, FIRST_DAY, READ_FROM, READ_TO
from silver.contract import score_identity

Span = tuple[date, date]
"""A first and a last day."""

ALWAYS: Span = (date(1970, 1, 1), date(9999, 1, 1))
"""All days: no contract takes an event of before or behind them."""

_FACTS = (
    "user_id", "timestamp", "amount", "currency", "country", "region", "merchant_id",
)  # fmt: skip
FIRST_DECIDED = ("decided_at", "event_id")
"""The least is what the gateway was told first: Gold's order (conf/precedence.yaml)."""

_DECISION = ("recommended_action", "policy_flag", "policy_flags", "decided_at")
_SCORE = ("fraud_score", "fraud_reason_code", "score_source", "model_version")
_STRONGEST_FIRST = (ScoreSource.TOPIC, ScoreSource.API)


class Standing(StrEnum):
    """What a delivered row is beside the others of its identity."""

    NEW = "NEW"
    DUPLICATE = "DUPLICATE"
    CONFLICT = "CONFLICT"
    REFUSED = "REFUSED"  # it breaks a rule of its contract


def judged(
    deliveries: DataFrame, committed: DataFrame, conflict_rules: Mapping[str, str]
) -> DataFrame:
    """Add `standing`; a conflict gets the violation that `conflict_rules` has for its source table.

    Per `identity`, what `committed` holds (identity, content_hash) stands for ever; else the
    accepted row at the lowest (partition, offset) does. Equal content is a duplicate, other
    content a conflict.
    """
    hashes = (
        committed.join(deliveries.select("identity"), "identity", "left_semi")
        .groupBy("identity")
        .agg(F.collect_set("content_hash").alias("_committed"))
    )
    # refused rows stand for nobody: each is a group of its own
    key = F.when(is_accepted(), F.col("identity")).otherwise(F.col("coordinates"))
    in_order = Window.partitionBy(key).orderBy("partition", "offset")
    is_first = F.row_number().over(in_order) == 1
    first = F.first("content_hash").over(in_order)
    standing = F.coalesce("_committed", F.array("_first"))
    is_other = ~F.array_contains(standing, F.col("content_hash"))
    is_new = F.col("_is_first") & F.col("_committed").isNull()
    conflicts = [
        RowRule(
            rule,
            "other content stands under the same identity",
            (F.col("standing") == str(Standing.CONFLICT)) & (F.col("source_table") == table),
        )
        for table, rule in conflict_rules.items()
    ]
    return (
        deliveries.join(hashes, "identity", "left")
        .withColumns({"_is_first": is_first, "_first": first})
        .withColumn(
            "standing",
            F.when(~is_accepted(), str(Standing.REFUSED))
            .when(is_other, str(Standing.CONFLICT))
            .when(is_new, str(Standing.NEW))
            .otherwise(str(Standing.DUPLICATE)),
        )
        .transform(with_violations, conflicts)
        .select(*deliveries.columns, "standing")
    )


def are(standing: Standing) -> Column:
    """Whether a judged row stands so."""
    return F.col("standing") == str(standing)


def unscored(payments: DataFrame, scores: DataFrame) -> DataFrame:
    """One row per transaction of `payments` without a score: its earliest event."""
    event = F.struct("timestamp", "identity", *[n for n in _FACTS if n != "timestamp"])
    return (
        payments.join(scores, "transaction_id", "left_anti")
        .groupBy("transaction_id")
        .agg(F.min(event).alias("event"))
        .select("transaction_id", "event.*")
    )


def api_scores(answers: DataFrame) -> DataFrame:
    """Answers of the inference API as contributions: identity, coordinates, content, day."""
    source = F.lit(str(ScoreSource.API))
    content = F.to_json(F.struct("transaction_id", "model_version", "fraud_score", "explanations"))
    return answers.withColumns(
        {
            "score_source": source,
            "identity": score_identity(
                F.col("transaction_id"), F.col("model_version"), F.col("inference_time"), source
            ),
            "coordinates": F.concat(F.lit("api:"), "transaction_id"),
            "content_hash": F.sha2(content, 256),
            "event_date": F.to_date("inference_time"),
        }
    )


def as_decided(decided: DataFrame) -> DataFrame:
    """Decided payments as rows of silver.live_transactions, but for `decided_at`.

    `updated_at` is the newest event time that went in: the payment's, or its score's inference
    (of the topic: the API's inference is the wall clock of the call).
    """
    return decided.withColumns(
        {
            "updated_at": F.greatest("timestamp", _event_time_of_score()),  # passes over a null
            "settlement_status": F.lit(None).cast("string"),
            "revision": F.lit(0),
            "withdrawn": F.lit(False),
        }
    )


def live_items(events: DataFrame, scores: DataFrame, retention: timedelta) -> DataFrame:
    """One item of the Live Index per transaction of `events`, as `lakehouse.dynamodb.push` asks,
    but for its version.

    `events` and `scores` are committed rows of Silver. Facts and status follow the precedence of
    conf/precedence.yaml for live events; action and flags are those of the earliest decision; the
    score is the best-known one, which a decision may not have seen yet. `as_of` is the newest
    event time behind the item, `event_as_of` that of the payment events alone; `first_day` is the
    day of the oldest one.
    """
    latest = F.struct("sequence", "timestamp", "identity")  # a null sequence is least
    is_settled = F.col("transaction_status") != str(TransactionStatus.PENDING)
    strongest = F.struct(is_settled, "sequence", "timestamp", "identity")
    # a score that a decision used counts too where its own row is not at hand
    evidence = _ranked(F.col("inference_time"), F.col("score_id"))
    of_events = events.groupBy("transaction_id").agg(
        # a null never replaces a value: max_by passes over rows whose order is null
        *[F.max_by(name, F.when(F.col(name).isNotNull(), latest)).alias(name) for name in _FACTS],
        F.max_by("transaction_status", strongest).alias("transaction_status"),
        F.min_by(F.struct(*_DECISION), F.struct(*FIRST_DECIDED)).alias("_decision"),
        F.max(F.when(F.col("score_id").isNotNull(), evidence)).alias("_used"),
        F.max("updated_at").alias("_updated_at"),
        F.max("timestamp").alias("event_as_of"),
        F.min("timestamp").alias("_first_event"),
    )
    of_scores = scores.groupBy("transaction_id").agg(
        F.max(_ranked(F.col("inference_time"), F.col("identity"))).alias("_known"),
        F.max(_event_time_of_score()).alias("_scored_at"),
        F.min(_event_time_of_score()).alias("_first_score"),
    )
    best = F.greatest("_known", "_used")  # passes over a null
    unknown = {"fraud_reason_code": ReasonCode.UNSCORED, "score_source": ScoreSource.NONE}
    score = {
        name: F.coalesce(best.getField(name), F.lit(str(unknown[name])))
        if name in unknown
        else best.getField(name)
        for name in _SCORE
    }
    return of_events.join(of_scores, "transaction_id", "left").select(
        "transaction_id",
        (F.unix_seconds("timestamp") + F.lit(int(retention.total_seconds()))).alias("expires_at"),
        *_FACTS,
        "transaction_status",
        "_decision.*",
        *[value.alias(name) for name, value in score.items()],
        F.greatest("_updated_at", "_scored_at").alias("as_of"),
        "event_as_of",
        F.to_date(F.least("_first_event", "_first_score")).alias(FIRST_DAY),
        # live never knows whether an outcome is final
        F.lit(str(Finality.PROVISIONAL)).alias("finality"),
    )


def _event_time_of_score() -> Column:
    return F.when(F.col("score_source") != str(ScoreSource.API), F.col("inference_time"))


def _ranked(inference_time: Column, identity: Column) -> Column:
    """A score as a struct of which the greatest is the best: source, inference, model version."""
    sources = [F.col("score_source") == str(source) for source in _STRONGEST_FIRST]
    return F.struct(
        *[is_source.alias(f"_source_{place}") for place, is_source in enumerate(sources)],
        inference_time.alias("inference_time"),
        "model_version",
        identity.alias("identity"),
        "fraud_score",
        "fraud_reason_code",
        "score_source",
    )


def near(column: str, days: Iterable[date], before: int, after: int = 0) -> Column:
    """Whether a date is at most `before` days ahead of one of `days`, or `after` days behind it.

    Literals, so that Delta opens those partitions only; false for no days at all.
    """
    around = [(day - timedelta(days=before), day + timedelta(days=after)) for day in days]
    return within(column, joined(around))


def within(column: str, spans: Iterable[Span]) -> Column:
    """Whether a date lies in one of the spans; literals, as in `near`."""
    found = F.lit(False)
    for start, end in spans:
        found = found | F.col(column).between(F.lit(start), F.lit(end))
    return found


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same days, in the fewest spans, in their order."""
    fewest: list[Span] = []
    for start, end in sorted(spans):
        if fewest and start <= fewest[-1][1] + timedelta(days=1):
            fewest[-1] = (fewest[-1][0], max(end, fewest[-1][1]))
        else:
            fewest.append((start, end))
    return fewest


def with_days_read(items: DataFrame, spans: Sequence[Span]) -> DataFrame:
    """Add to items of the Live Index between which days all there is went into each of them.

    `spans` are the days that were read, joined. Of an item with rows in two of them, days between
    were not read: its days are none, the first one being behind the last.
    """
    starts = {span: span[0] for span in spans}
    ends = {span: span[1] for span in spans}
    return items.withColumns(
        {READ_FROM: _of_span(F.to_date(AS_OF), starts), READ_TO: _of_span(F.col(FIRST_DAY), ends)}
    )


def _of_span(day: Column, days: Mapping[Span, date]) -> Column:
    """What stands for the span in which a day lies; of none, the day itself.

    A score that a decision used may be of a day that was not read.
    """
    # one CASE: nested ones would be as deep as there are spans
    found = F.when(F.lit(False), day)
    for (start, end), told in days.items():
        found = found.when(day.between(F.lit(start), F.lit(end)), F.lit(told))
    return found.otherwise(day)
