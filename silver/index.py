"""The Batch Index: which of its rows a run concerns, and their next revisions."""

from __future__ import annotations

from datetime import date, timedelta
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.context import Lakehouse
from lakehouse.decision import PolicyBook, decide, load_rules, with_base_amount
from lakehouse.frames import Keep, is_few, keeping, nothing_if_empty
from lakehouse.monitoring import log as log_line
from lakehouse.quality import is_accepted
from lakehouse.tables import (
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FX_RATES,
    SILVER_OFFLINE_SCORES,
    SILVER_POLICIES,
)
from silver import batch
from silver.appending import append_if_any, append_sorted
from silver.drops import Drops
from silver.live import near
from silver.revisions import first_revisions, next_revisions
from silver.standing import days_of, standing_of, standing_on


def append_log_changes(lake: Lakehouse, keep: Keep, drops: dict[str, Drops]) -> None:
    """Append the next revisions of all log rows that the new files can have changed.

    Those are the rows delivered, the rows whose score or rate is other now, and later payments
    of the same users whose velocity windows reach back to a row that was delivered.
    """
    rates, policies = lake.read(SILVER_FX_RATES), PolicyBook.of(lake.read(SILVER_POLICIES))
    window = timedelta(seconds=policies.longest_window_seconds)
    stored = keep(_concerned(lake, drops, window))
    if stored.isEmpty():
        if "transactions" in drops:
            _append_first(lake, drops["transactions"], policies)
        return
    log = stored.where(~F.col("withdrawn")).select(*batch.FACTS)
    delivered, touched = log.limit(0), stored.limit(0).select("identity")
    affected = []
    if "transactions" in drops:
        found = drops["transactions"]
        delivered = keep(_chosen(found))
        touched = keep(found.touched())
        before = stored.join(touched, "identity", "left_semi").select(*batch.FACTS)
        log = log.join(touched, "identity", "left_anti")
        affected.append(batch.neighbours(log, delivered.unionByName(before), window))
    if "fraud_scores" in drops:
        rescored = drops["fraud_scores"].new().select("transaction_id")
        affected.append(log.join(rescored, "transaction_id", "left_semi").select("identity"))
    if "fx_rates" in drops:
        restated = batch.restated(stored.where(~F.col("withdrawn")), rates, lake.config.money)
        affected.append(restated)
    others = nothing_if_empty(
        keep(log.join(reduce(DataFrame.union, affected), "identity", "left_semi"))
    )
    payments = delivered.unionByName(others)
    identities = touched.union(others.select("identity"))
    known = nothing_if_empty(keep(stored.join(identities, "identity", "left_semi")))
    earlier = log.join(payments.select("user_id"), "user_id", "left_semi")
    scored = payments.select("transaction_id")
    if known.isEmpty():
        # all of them are new: to look for a first one would compute them twice, or keep them
        if not payments.isEmpty():
            rows = first_revisions(_decided(lake, payments, scored, earlier, policies))
            append_sorted(lake, rows, SILVER_BATCH_TRANSACTIONS)
        return
    # only a command restates by policies that changed since
    recorded = batch.with_recorded_policies(payments, known)
    wanted = _decided(lake, recorded, scored, earlier, policies)
    rows = next_revisions(wanted, known, batch.inputs_differ(), SILVER_BATCH_TRANSACTIONS)
    append_if_any(lake, keep, rows, SILVER_BATCH_TRANSACTIONS)


def _append_first(lake: Lakehouse, found: Drops, policies: PolicyBook) -> None:
    """Append the rows delivered where nothing is stored that they could change, or that could
    change them: one query computes them and writes them.
    """
    standing = found.standing().select("transaction_id")
    if standing.isEmpty():
        return
    payments = _chosen(found)
    rows = first_revisions(_decided(lake, payments, standing, payments.limit(0), policies))
    append_sorted(lake, rows, SILVER_BATCH_TRANSACTIONS)


def _chosen(found: Drops) -> DataFrame:
    """The facts of each transaction that the new files touch, as they stand."""
    return found.chosen(batch.LOG_ORDER, "transaction_id").select(*batch.FACTS)


def _concerned(lake: Lakehouse, drops: dict[str, Drops], window: timedelta) -> DataFrame:
    """Rows of the Batch Index as they stand on all days that the new files can concern.

    These are the days of the rows delivered, as they are and as they were, of payments that are
    scored, and all from the first new rate on; with what is within a velocity window of them.
    """
    index, days = lake.read(SILVER_BATCH_TRANSACTIONS), set[date]()
    if index.isEmpty():
        # the files bring its first rows: what they touch is not there
        return index
    if "transactions" in drops:
        found = drops["transactions"]
        days |= days_of(index, found.touched())
        accepted = found.new().where(is_accepted()).select("event_date").distinct()
        days |= {row["event_date"] for row in accepted.collect()}
    if "fraud_scores" in drops:
        days |= days_of(index, drops["fraud_scores"].new().select("transaction_id"))
    is_near = near("event_date", days, window.days + 1, window.days + 1)
    if "fx_rates" in drops:
        # a rate is for its day and those behind it
        # refused ones too: a run that died may have published them under other rules
        rates = drops["fx_rates"].new()
        first = rates.agg(F.min("rate_date").alias("day")).first()
        if first is not None and first["day"] is not None:
            look_back = timedelta(days=window.days + 1)
            is_near = is_near | (F.col("event_date") >= F.lit(first["day"] - look_back))
    return standing_on(index, is_near)


def _decided(
    lake: Lakehouse,
    payments: DataFrame,
    transactions: DataFrame,
    earlier: DataFrame,
    policies: PolicyBook,
) -> DataFrame:
    """Rows of the log but for revision and withdrawn: FACTS, and all that follows from them.

    Where `payments` names the policy versions that apply, in `policies`, those do. `transactions`
    are the ids of them all, and perhaps of others: what is scored. `earlier` are further payments
    that velocity may count.
    """
    rates, money = lake.read(SILVER_FX_RATES), lake.config.money
    scores = _scores_of(lake, transactions).where(~F.col("withdrawn"))
    decided = decide(
        with_base_amount(payments, rates, money),
        earlier=earlier,
        scores=scores,
        policies=policies,
        rules=load_rules(lake.config.rules.decision),
        recorded_policies="policies" in payments.columns,
    ).transform(batch.with_updated_at)
    # only money events settle, and Gold sums them
    return decided.withColumn("settlement_status", F.lit(None).cast("string"))


def _scores_of(lake: Lakehouse, transactions: DataFrame) -> DataFrame:
    """Greatest revisions of the offline scores of these transactions, and perhaps of others."""
    scores = lake.read(SILVER_OFFLINE_SCORES)
    if is_few(transactions):
        return standing_of(scores, transactions)
    return standing_on(scores, F.lit(True))


def restate_days(lake: Lakehouse, days: frozenset[date]) -> None:
    """Decide payments of these UTC days again, by the policies and rules of now, in one commit.

    What comes out otherwise, or by other policy versions, is the next revision of its row; a
    second time adds nothing. Decisions of the live path are never rewritten.
    """
    policies, revisions = PolicyBook.of(lake.read(SILVER_POLICIES)), SILVER_BATCH_TRANSACTIONS
    look_back = timedelta(seconds=policies.longest_window_seconds).days + 1
    with keeping() as keep:
        stored = keep(standing_on(lake.read(revisions), near("event_date", days, look_back)))
        counted = stored.where(~F.col("withdrawn"))
        known = counted.where(near("event_date", days, 0))
        scored, earlier = known.select("transaction_id"), counted.select(*batch.FACTS)
        wanted = _decided(lake, known.select(*batch.FACTS), scored, earlier, policies)
        changed = batch.decision_differs()
        rows = keep(next_revisions(wanted, known, changed, SILVER_BATCH_TRANSACTIONS))
        append_if_any(lake, keep, rows, SILVER_BATCH_TRANSACTIONS)
        log_line("restated", job=lake.job, table=SILVER_BATCH_TRANSACTIONS.name, rows=rows.count())
