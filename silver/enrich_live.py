"""bronze.transactions and bronze.fraud_scores -> decided payments, scores, and the Live Index.

Corrections of quarantined records (silver.corrections) come in as the records they correct.

A micro-batch may be seen again after a crash at any instant, and all of them again without a
checkpoint: what is committed stands, is asked for and decided no second time, and is pushed again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial, reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lakehouse.config import DynamoDbSettings
from lakehouse.context import Batch, Lakehouse
from lakehouse.decision import (
    DecisionRules,
    PolicyBook,
    decide,
    load_rules,
    reason_code,
)
from lakehouse.dynamodb import NEW, PushReport, ensure_table, push
from lakehouse.frames import Way, keeping
from lakehouse.job import run
from lakehouse.monitoring import log, warn
from lakehouse.quality import is_accepted, quarantined
from lakehouse.records.codes import ReasonCode
from lakehouse.serving_item import Group
from lakehouse.tables import (
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    SILVER_CORRECTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_QUARANTINE_LIVE,
    Table,
)
from silver import figures, live
from silver.deliveries import PAYMENTS, SCORES, deliveries_of
from silver.known import Days, Known, Policies
from silver.live import Standing
from silver.scoring import score_missing

_CONFLICT_RULES = {PAYMENTS: "event_id_conflict", SCORES: "identity_conflict"}
_COUNTED = (
    "user_id", "transaction_id", "timestamp", "transaction_status", "currency", "amount",
)  # fmt: skip
"""What velocity counts by."""
_DAY_SECONDS = 86_400

Publish = Callable[[DataFrame, Group, DynamoDbSettings], PushReport]
"""How items reach the Live Index."""


def enrich_live(lake: Lakehouse) -> StreamingQuery:
    """Decide each payment event once, and keep the Live Index at what Silver has committed."""
    ensure_table(lake.config.dynamodb)
    return enriching(lake, publish=push)


def enriching(lake: Lakehouse, publish: Publish) -> StreamingQuery:
    """The stream of the job, with whatever keeps the Live Index."""
    rules, policies = load_rules(lake.config.rules.decision), Policies(lake)
    sources = (BRONZE_TRANSACTIONS, BRONZE_FRAUD_SCORES, SILVER_CORRECTIONS)
    deliveries = deliveries_of(lake.config, *[lake.stream(table) for table in sources])
    return lake.each_batch(deliveries, partial(enrich, lake, rules, policies, publish=publish))


def enrich(
    lake: Lakehouse,
    rules: DecisionRules,
    policies: Policies,
    deliveries: DataFrame,
    batch: Batch,
    publish: Publish = push,
) -> None:
    """Take one micro-batch of parsed Kafka records through to Silver and the Live Index.

    Scores are committed before payments, payments before quarantine, and the Live Index is told
    of committed rows only: after a crash anywhere between, the same batch completes itself.
    """
    now = lake.clock()
    with keeping() as keep:
        way, delivered = Way.of(deliveries, keep)
        tally = _tallied(way, delivered)
        if not tally.delivery_days:
            return
        # API scores are of the day they were asked for, whatever the day of the payment
        days = Days(tally.event_days | {now.date()}, lake.config.gold.locate_window_days)
        judged = way.keep(_judged(lake, delivered, tally))
        standings = way.counted(judged.select("source_table", "standing"))
        new = judged.where(live.are(Standing.NEW))
        payments, scores = _of(PAYMENTS, new), _of(SCORES, new)
        named = judged.where(~live.are(Standing.REFUSED))
        known_now = partial(Known.of, lake, way, named, days)
        known = known_now()
        if standings[PAYMENTS, Standing.NEW] or standings[SCORES, Standing.NEW]:
            answers = _answers(lake, known, payments, scores, now)
            contributed = way.keep(_contributions(rules, scores, answers))
            if standings[SCORES, Standing.NEW] or not contributed.isEmpty():
                # of a batch that is seen again, what the API answers now is not committed
                is_committed = _commit(lake, batch, way.gathered(contributed), SILVER_FRAUD_SCORES)
                known = known.with_scores(contributed) if is_committed else known_now()
        if standings[PAYMENTS, Standing.NEW]:
            book = policies.now()
            earlier = _earlier(lake, tally, payments, book)
            decisions = decide(
                way.gathered(payments),
                earlier=way.gathered(earlier),
                scores=way.gathered(known.scores),
                policies=book,
                rules=rules,
            )
            decided = way.keep(
                live.as_decided(decisions, now).select(*SILVER_LIVE_TRANSACTIONS.columns)
            )
            is_committed = _commit(lake, batch, way.gathered(decided), SILVER_LIVE_TRANSACTIONS)
            known = known.with_payments(decided) if is_committed else known_now()
        conflicts = standings[PAYMENTS, Standing.CONFLICT] + standings[SCORES, Standing.CONFLICT]
        if tally.refused or conflicts:
            lake.append(_refused(lake, tally, judged), to=SILVER_QUARANTINE_LIVE, batch=batch)
        empty = PushReport(0, 0)
        pushed = _push(lake, known.gathered(way), now, publish) if tally.event_days else empty
        unscored = 0
        if standings[PAYMENTS, Standing.NEW]:
            # behind the push, so that no reader waits for it; and a figure fails no payment
            with suppress(Exception):
                readable_at = lake.clock()
                suspicious_from = rules.reasons.suspicious_from
                told = way.counted(figures.told_of(decided, suspicious_from, readable_at))
                lake.meter.take(figures.points(told, SILVER_LIVE_TRANSACTIONS.name, readable_at))
                unscored = figures.unscored(told)
    counts = {f"{table} {standing}": count for (table, standing), count in standings.items()}
    counts[f"{PAYMENTS} {ReasonCode.UNSCORED}"] = unscored
    counts |= {"oversized": pushed.oversized, "refused": pushed.refused}
    counts["throttled"] = pushed.throttled
    if pushed.turned_down:
        # each item is there nevertheless, for twice the time and the price
        warn("inserts turned down", job=lake.job, batch=batch.number, counts=pushed.turned_down)
    log("enriched", job=lake.job, batch=batch.number, rows=pushed.written, counts=counts)


@dataclass(frozen=True)
class _Tally:
    """What a parsed micro-batch holds: days of accepted rows, delivery days of all, refusals."""

    event_days: frozenset[date]
    payment_days: frozenset[date]
    delivery_days: frozenset[date]
    refused: int


def _of(source_table: str, rows: DataFrame) -> DataFrame:
    return rows.where(F.col("source_table") == source_table)


def _tallied(way: Way, deliveries: DataFrame) -> _Tally:
    is_good = is_accepted().alias("is_good")
    told = deliveries.select("source_table", is_good, "event_date", "quarantine_date")
    groups = way.counted(told)
    accepted = [(source, day) for source, stands, day, _ in groups if stands]
    return _Tally(
        event_days=frozenset(day for _, day in accepted),
        payment_days=frozenset(day for source, day in accepted if source == PAYMENTS),
        delivery_days=frozenset(day for *_, day in groups),
        refused=sum(count for (_, stands, *_), count in groups.items() if not stands),
    )


def _judged(lake: Lakehouse, deliveries: DataFrame, tally: _Tally) -> DataFrame:
    on_days = live.near("event_date", tally.event_days, 0)
    committed = [
        lake.read(table).where(on_days).select("identity", "content_hash")
        for table in (SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES)
    ]
    return live.judged(deliveries, reduce(DataFrame.unionByName, committed), _CONFLICT_RULES)


def _answers(
    lake: Lakehouse, known: Known, payments: DataFrame, scores: DataFrame, now: datetime
) -> DataFrame:
    """Answers of the API for new payments that have no score, committed or in this batch."""
    scored = known.scores.select("transaction_id").unionByName(scores.select("transaction_id"))
    return score_missing(live.unscored(payments, scored), lake.config.scoring, now)


def _contributions(rules: DecisionRules, scores: DataFrame, answers: DataFrame) -> DataFrame:
    """Rows of silver.fraud_scores."""
    both = scores.unionByName(live.api_scores(answers), allowMissingColumns=True)
    reason = reason_code(F.col("fraud_score"), F.col("explanations"), rules)
    return both.withColumns(
        {"fraud_reason_code": reason, "revision": F.lit(0), "withdrawn": F.lit(False)}
    ).select(*SILVER_FRAUD_SCORES.columns)


def _earlier(
    lake: Lakehouse, tally: _Tally, payments: DataFrame, policies: PolicyBook
) -> DataFrame:
    """What velocity counts beside these payments: committed ones of their users before them."""
    window = policies.longest_window_seconds
    first = payments.agg(F.min(F.unix_seconds("timestamp"))).collect()[0][0]
    if not window or first is None:
        return payments.limit(0)
    near_days = live.near("event_date", tally.payment_days, -(-window // _DAY_SECONDS))
    # files of before are passed over: what a micro-batch costs must not grow with the day
    is_late_enough = F.col("timestamp") >= F.timestamp_seconds(F.lit(first - window))
    committed = lake.read(SILVER_LIVE_TRANSACTIONS).where(near_days & is_late_enough)
    of_users = committed.join(payments.select("user_id"), "user_id", "left_semi")
    return of_users.select(*_COUNTED)


def _refused(lake: Lakehouse, tally: _Tally, judged: DataFrame) -> DataFrame:
    """Rows of silver.quarantine_live that it does not hold yet: refused ones, and conflicts.

    A correction that has come into conflict stands there beside what was first delivered.
    """
    found = quarantined(judged)
    on_days = live.near("quarantine_date", tally.delivery_days, 0)
    place = ["coordinates", "rule_ids"]
    held = lake.read(SILVER_QUARANTINE_LIVE).where(on_days).select(*place)
    return found.join(held, place, "left_anti")


def _push(lake: Lakehouse, known: Known, now: datetime, publish: Publish) -> PushReport:
    """Tell the Live Index of all transactions that the batch names, known ones included.

    The version of an item is the sum of both tables' versions: they have one writer and only
    rise, so a greater sum stands for newer tables. Of those tables it holds what lies within
    `gold.locate_window_days` of the batch's days: an older event or a later score is not in it.
    """
    version = lake.version(SILVER_LIVE_TRANSACTIONS) + lake.version(SILVER_FRAUD_SCORES)
    settings = lake.config.dynamodb
    items = live.live_items(
        known.payments,
        known.scores,
        version=version,
        retention=timedelta(days=settings.retention_days),
    ).withColumn(NEW, F.col("decided_at") == F.lit(now))  # else something was decided before
    # what has expired already would only be written to be deleted
    kept = items.where(F.col("expires_at") > F.lit(int(now.timestamp())))
    lake.lease.check()
    return publish(kept, "live", settings)


def _commit(lake: Lakehouse, batch: Batch, rows: DataFrame, to: Table) -> bool:
    """Append rows of a micro-batch; whether they are what the table has more now.

    Not so where the batch was appended before, by a run that died or that lost its lease since.
    """
    before = lake.version(to)
    lake.append(rows, to=to, batch=batch)
    return lake.version(to) == before + 1


if __name__ == "__main__":
    run(enrich_live)
