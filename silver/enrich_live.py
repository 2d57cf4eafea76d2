"""bronze.transactions and bronze.fraud_scores -> decided payments, scores, and the Live Index.

Corrections of quarantined records (silver.corrections) come in as the records they correct.

A micro-batch may be seen again after a crash at any instant, and all of them again without a
checkpoint: what is committed stands, is asked for and decided no second time, and is pushed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial, reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from lakehouse.config import DynamoDbSettings
from lakehouse.context import Batch, Lakehouse
from lakehouse.decision import (
    DecisionRules,
    decide,
    load_rules,
    reason_code,
)
from lakehouse.dynamodb import NEW, PushReport, ensure_table, push
from lakehouse.frames import Way, keeping
from lakehouse.job import run
from lakehouse.meanwhile import meanwhile
from lakehouse.monitoring import log, warn
from lakehouse.quality import quarantined
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
from silver.known import Known, Policies, is_torn, read_again
from silver.live import Standing
from silver.scoring import score_missing
from silver.seen import Past, Seen, Tally, Turn, seen_beside, tallied

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
    deliveries = deliveries_of(
        lake.config, *[lake.stream(table, is_bounded=True) for table in sources]
    )
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
    with keeping() as keep, meanwhile() as start:
        way, delivered = Way.of(deliveries, keep)
        tally = tallied(way, delivered)
        if not tally.delivery_days:
            return
        turn = Turn(lake, rules, batch, now, way, start)
        seen = seen_beside(turn, delivered, tally, policies)
        known, decided = _scored_and_decided(turn, seen)
        if decided is not None:
            items = _items_of_committed(turn, seen, known, decided)
        elif tally.event_days:
            items = _items(turn, seen, known)
        standings = seen.standings
        conflicts = standings[PAYMENTS, Standing.CONFLICT] + standings[SCORES, Standing.CONFLICT]
        if tally.refused or conflicts:
            refused = _refused(lake, tally, seen.judged)
            lake.append(refused, to=SILVER_QUARANTINE_LIVE, batch=batch)
        pushed = _pushed(turn, seen, items, publish) if tally.event_days else PushReport(0, 0)
        # behind the push, so that no reader waits for it
        unscored = 0 if decided is None else _told_of(turn, decided)
    counts = counts_of(standings, pushed, unscored)
    if pushed.turned_down:
        # each item is there nevertheless, for twice the time and the price
        warn("inserts turned down", job=lake.job, batch=batch.number, counts=pushed.turned_down)
    log("enriched", job=lake.job, batch=batch.number, rows=pushed.written, counts=counts)


def counts_of(
    standings: Mapping[tuple[str, ...], int], pushed: PushReport, unscored: int | None
) -> dict[str, int]:
    """What is logged of a micro-batch; nothing of unscored payments where they were not counted."""
    counts = {f"{table} {standing}": count for (table, standing), count in standings.items()}
    if unscored is not None:
        counts[f"{PAYMENTS} {ReasonCode.UNSCORED}"] = unscored
    counts |= {"oversized": pushed.oversized, "refused": pushed.refused}
    return counts | {"throttled": pushed.throttled}


def _told_of(turn: Turn, decided: DataFrame) -> int | None:
    """Give the figures of decided payments; how many have no score, None if nobody knows."""
    # a figure fails no payment
    with suppress(Exception):
        lake, readable_at = turn.lake, turn.lake.clock()
        suspicious_from = turn.rules.reasons.suspicious_from
        told = turn.way.counted(figures.told_of(decided, suspicious_from, readable_at))
        lake.meter.take(figures.points(told, SILVER_LIVE_TRANSACTIONS.name, readable_at))
        return figures.unscored(told)
    return None


def _scored_and_decided(turn: Turn, seen: Seen) -> tuple[Known, DataFrame | None]:
    """Commit scores, and decide new payments by them, which begins while they are committed."""
    known, payments, scores = seen.known, seen.new(PAYMENTS), seen.new(SCORES)
    if payments is None and scores is None:
        return known, None
    deciding = partial(_decided, turn, payments, seen.past)
    contributed = turn.way.keep(_contributed(turn, known, payments, scores))
    if scores is None and contributed.isEmpty():
        return known, deciding(known)
    committing = turn.start(partial(_commit, turn, contributed, SILVER_FRAUD_SCORES))
    with_these = known.with_scores(contributed)
    decided = deciding(with_these)
    if committing():
        return with_these, decided
    # of a batch that is seen again, what the API answers now is not committed
    known = seen.known_now()
    return known, deciding(known)


def _items_of_committed(turn: Turn, seen: Seen, known: Known, decided: DataFrame) -> DataFrame:
    """Commit decided payments, and make their items meanwhile."""
    committing = turn.start(partial(_commit, turn, decided, SILVER_LIVE_TRANSACTIONS))
    items = _items(turn, seen, known.with_payments(decided))
    return items if committing() else _items(turn, seen, seen.known_now())


def _contributed(
    turn: Turn, known: Known, payments: DataFrame | None, scores: DataFrame | None
) -> DataFrame:
    """New rows of silver.fraud_scores: of the topic, and answers of the API.

    The API is asked for new payments that have no score: committed, used by a committed decision,
    or in this batch.
    """
    reason = reason_code(F.col("fraud_score"), F.col("explanations"), turn.rules)
    found = []
    scored = known.all_scores().select("transaction_id")
    if scores is not None:
        found.append(scores)
        scored = scored.unionByName(scores.select("transaction_id"))
    if payments is not None:
        missing = live.unscored(payments, scored)
        answers = score_missing(missing, turn.lake.config.scoring, turn.now)
        found.append(live.api_scores(answers))
    both = reduce(partial(DataFrame.unionByName, allowMissingColumns=True), found)
    return both.withColumns(
        {"fraud_reason_code": reason, "revision": F.lit(0), "withdrawn": F.lit(False)}
    ).select(*SILVER_FRAUD_SCORES.columns)


def _decided(
    turn: Turn, payments: DataFrame | None, past: Past | None, known: Known
) -> DataFrame | None:
    """New rows of silver.live_transactions; None where there are no payments."""
    if payments is None or past is None:
        return None
    way = turn.way
    decisions = decide(
        way.gathered(payments),
        earlier=way.gathered(past.earlier),
        scores=way.gathered(known.all_scores()),
        policies=past.policies,
        rules=turn.rules,
    )
    rows = way.keep(live.as_decided(decisions))
    # of rows at hand this needs no query: one with another instant in it would be compiled anew
    return rows.withColumn("decided_at", F.lit(turn.now)).select(*SILVER_LIVE_TRANSACTIONS.columns)


def _refused(lake: Lakehouse, tally: Tally, judged: DataFrame) -> DataFrame:
    """Rows of silver.quarantine_live that it does not hold yet: refused ones, and conflicts.

    A correction that has come into conflict stands there beside what was first delivered.
    """
    found = quarantined(judged)
    on_days = live.near("quarantine_date", tally.delivery_days, 0)
    place = ["coordinates", "rule_ids"]
    held = lake.read(SILVER_QUARANTINE_LIVE).where(on_days).select(*place)
    return found.join(held, place, "left_anti")


def _items(turn: Turn, seen: Seen, known: Known) -> DataFrame:
    """What the Live Index is told: all transactions that the batch names, known ones included.

    Of the tables it holds what lies within `gold.locate_window_days` of the batch's days, and says
    so: an older event or a later score may not be in it.
    """
    is_new = F.col("decided_at") == F.lit(turn.now)  # else something was decided before
    items = live.with_days_read(_folded(turn, known), seen.days.spans())
    return items.withColumn(NEW, is_new)


def _folded(turn: Turn, known: Known) -> DataFrame:
    """An item of each transaction from its rows at hand."""
    rows, now = known.gathered(turn.way), turn.now
    retention = timedelta(days=turn.lake.config.dynamodb.retention_days)
    items = turn.way.early(live.live_items(rows.payments, rows.scores, retention))
    # what has expired already would only be written to be deleted
    is_kept = F.col("expires_at") > F.lit(int(now.timestamp()))
    return items.where(is_kept)


def _pushed(turn: Turn, seen: Seen, items: DataFrame, publish: Publish) -> PushReport:
    """Push items; those that stand with more than was read, made again from all there is of them.

    A batch that is seen again meets the same items, whatever of them was pushed before. So does one
    that adds nothing to Silver, for an index that is made anew: versions are then all the same.
    """
    pushed = _push(turn.lake, items, publish)
    if not pushed.met:
        return pushed
    lake, number = turn.lake, turn.batch.number
    log("read again", job=lake.job, batch=number, rows=len(pushed.met))
    if torn := sum(is_torn(each, lake.config.gold) for each in pushed.met):
        # what lies in the middle of them is in no item
        warn("items reach too far back", job=lake.job, batch=number, counts={"items": torn})
    again = read_again(lake, turn.way, pushed.met, seen.days)
    whole = _push(lake, live.with_days_read(_folded(turn, again), [live.ALWAYS]), publish)
    return replace(pushed, met=()) + whole


def _push(lake: Lakehouse, items: DataFrame, publish: Publish) -> PushReport:
    """Tell the Live Index of what is committed now.

    The version of an item is the sum of both tables' versions: they have one writer and only
    rise, so a greater sum stands for newer tables.
    """
    tables = (SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES)
    # a rival's commit since then is in no item of this push: its own push has a greater version
    version = sum(lake.known_version(table) for table in tables)
    lake.lease.check()
    versioned = items.withColumn("version", F.lit(version).cast("long"))
    return publish(versioned, "live", lake.config.dynamodb)


def _commit(turn: Turn, rows: DataFrame, to: Table) -> bool:
    """Append rows of a micro-batch; whether they are what the table has more now.

    Not so where the batch was appended before, by a run that died or that lost its lease since.
    """
    before = turn.lake.version(to)
    turn.lake.append(turn.way.gathered(rows), to=to, batch=turn.batch)
    # Delta has looked at the log as it committed, or found that the batch stands there
    return turn.lake.known_version(to) == before + 1


if __name__ == "__main__":
    run(enrich_live)
