"""bronze.drops_* -> the batch tables of Silver: what changed since the last run, as revisions.

The query's position in the manifest of files says what is new. Only work depends on it: without
a checkpoint everything is computed again, and rows that come out equal add nothing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import reduce
from typing import Annotated

import typer
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.context import Batch, Lakehouse, Trigger
from lakehouse.decision import load_rules, reason_code
from lakehouse.delta import latest_version, path_of
from lakehouse.frames import keeping, nothing_if_empty
from lakehouse.job import run
from lakehouse.monitoring import log
from lakehouse.tables import (
    BRONZE_DROP_FILES,
    DROPS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_FX_RATES,
    SILVER_MONEY_EVENTS,
    SILVER_OFFLINE_SCORES,
    SILVER_POLICIES,
    SILVER_QUARANTINE_BATCH,
    SILVER_WARNINGS_BATCH,
    Table,
)
from silver import batch
from silver.appending import append_if_any, append_sorted, replace_if_other
from silver.arrivals import counts_of
from silver.contracts import contracts_of
from silver.days import DAYS, days_named
from silver.drops import Drops
from silver.gates import Gates
from silver.index import append_log_changes, restate_days
from silver.passing import passing_drops
from silver.revisions import differs, next_revisions
from silver.scd2 import check_intervals, policy_versions, standing_rates
from silver.standing import standing_of


def build_batch(
    lake: Lakehouse,
    release: Annotated[
        str | None, typer.Option(help="Publish this held batch: KIND/date=DAY.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why it may go on; is recorded.")] = None,
    restate: Annotated[
        str | None,
        typer.Option(
            metavar=DAYS, help="Then decide payments of these days again, by the policies of now."
        ),
    ] = None,
) -> None:
    """Bring Silver's batch tables up to all files loaded so far, and end, whatever the trigger.

    Raises:
        ConfigError: a file of conf/quality is wrong.
        BatchNotHeldError: `release` names a batch that no gate holds.
        PolicyIntervalsError: versions of a policy would overlap, or leave a gap.
    """
    days = days_named(restate, "--restate") if restate is not None else frozenset()
    gates = Gates.opened(lake, contracts_of(lake))
    if release is not None:
        gates.release(release, reason)
    elif reason is not None:
        raise typer.BadParameter("says why a batch is released: --release", param_hint="--reason")
    daily = replace(lake, trigger=Trigger("once", lake.trigger.interval_seconds))
    runs: list[int] = []

    def run_on(files: DataFrame, micro_batch: Batch) -> None:
        runs.append(micro_batch.number)
        absorb(lake, files, gates)

    query = daily.each_batch(lake.stream(BRONZE_DROP_FILES), run_on)
    try:
        query.awaitTermination()
    except StreamingQueryException as error:
        # the JVM knows a fault of a micro-batch as text only
        raise (lake.faults[-1] if lake.faults else error) from error
    if not runs and gates.waiting():
        # nothing came, but what waits may go on by now
        absorb(lake, lake.read(BRONZE_DROP_FILES).limit(0), gates)
    if days:
        restate_days(lake, days)


def absorb(lake: Lakehouse, files: DataFrame, gates: Gates) -> None:
    """Append what newly loaded files (rows of bronze.drop_files) change, table by table.

    Stopped between two tables and started again with the same files, it does the rest: what a
    table needs of another is derived from the files, not from what that table lacked before. The
    verdicts come last: until then, what a gate held before still counts as held, and what such a
    run would hold now is taken back out of the tables.
    """
    with keeping() as keep:
        at_gates = gates.round(files)
        drops = passing_drops(lake, gates.contracts, at_gates, keep)
        at_gates.lift_holds()
        if "fx_rates" in drops:
            rates = standing_rates(drops["fx_rates"].standing())
            replace_if_other(lake, keep, rates, SILVER_FX_RATES)
        if "policies" in drops:
            published = lake.read(SILVER_POLICIES)
            versions = keep(policy_versions(drops["policies"].standing(), published))
            check_intervals(versions)
            replace_if_other(lake, keep, versions, SILVER_POLICIES)
        appended = []
        if "fraud_scores" in drops:
            scores = _new_scores(lake, drops["fraud_scores"])
            if append_if_any(lake, keep, scores, SILVER_OFFLINE_SCORES):
                appended.append(SILVER_OFFLINE_SCORES)
        if "money_events" in drops:
            money = _new_money(lake, drops["money_events"])
            if append_if_any(lake, keep, money, SILVER_MONEY_EVENTS):
                appended.append(SILVER_MONEY_EVENTS)
        if _concern_log(lake, drops):
            append_log_changes(lake, keep, drops)
        if drops:
            refused = keep(_new_refusals(lake, drops))
            if not refused.isEmpty():
                append_sorted(lake, refused, SILVER_QUARANTINE_BATCH)
            append_if_any(lake, keep, _new_warnings(lake, drops), SILVER_WARNINGS_BATCH)
        at_gates.record()
        if drops:
            # figures fail no build
            with suppress(Exception):
                counts = counts_of(lake, at_gates, drops, refused, appended)
                log("built", job=lake.job, counts=counts)


def _new_scores(lake: Lakehouse, drops: Drops) -> DataFrame:
    rules = load_rules(lake.config.rules.decision)
    reason = reason_code(F.col("fraud_score"), F.col("explanations"), rules)
    scores = drops.chosen(batch.SCORE_ORDER).withColumn("fraud_reason_code", reason)
    return _changes(lake, scores, drops.touched(), SILVER_OFFLINE_SCORES)


def _new_money(lake: Lakehouse, drops: Drops) -> DataFrame:
    events = drops.chosen(batch.MONEY_ORDER)
    # the one identity that does not follow from its transaction: a correction may name another
    return _changes(lake, events, drops.touched(), SILVER_MONEY_EVENTS, owner="transaction_id")


def _changes(
    lake: Lakehouse,
    wanted: DataFrame,
    touched: DataFrame,
    table: Table,
    owner: str | None = None,
) -> DataFrame:
    known = nothing_if_empty(standing_of(lake.read(table), touched))
    return next_revisions(wanted, known, differs("content_hash"), table, owner)


def _concern_log(lake: Lakehouse, drops: dict[str, Drops]) -> bool:
    """Whether the files bring log rows, or what the log rows that are there depend on."""
    # version 0 is an empty table
    is_empty = latest_version(lake.spark, path_of(lake.config, SILVER_BATCH_TRANSACTIONS)) < 1
    inputs = {"transactions"} if is_empty else {"transactions", "fraud_scores", "fx_rates"}
    return bool(drops.keys() & inputs)


def _new_refusals(lake: Lakehouse, drops: dict[str, Drops]) -> DataFrame:
    refused = [found.refused(DROPS[kind].name) for kind, found in drops.items()]
    return _not_yet_in(lake, SILVER_QUARANTINE_BATCH, refused)


def _new_warnings(lake: Lakehouse, drops: dict[str, Drops]) -> DataFrame:
    warned = [found.warned(DROPS[kind].name) for kind, found in drops.items()]
    return _not_yet_in(lake, SILVER_WARNINGS_BATCH, warned)


def _not_yet_in(lake: Lakehouse, table: Table, rows: list[DataFrame]) -> DataFrame:
    known = lake.read(table).select("coordinates")
    # a file that was replaced and put back has its coordinates twice
    found = reduce(DataFrame.unionByName, rows).dropDuplicates(["coordinates"])
    return found.join(known, "coordinates", "left_anti")


if __name__ == "__main__":
    run(build_batch)
