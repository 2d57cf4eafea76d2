"""bronze.drops_* -> the batch tables of Silver: what changed since the last run, as revisions.

The query's position in the manifest of files says what is new. Only work depends on it: without
a checkpoint everything is computed again, and rows that come out equal add nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import partial, reduce
from typing import Annotated

import typer
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from lakehouse.context import Batch, Lakehouse, Trigger
from lakehouse.decision import (
    PolicyBook,
    decide,
    load_regions,
    load_rules,
    reason_code,
    region_of,
    with_base_amount,
)
from lakehouse.delta import latest_version, path_of
from lakehouse.frames import Keep, keeping
from lakehouse.job import run
from lakehouse.monitoring import log as log_line
from lakehouse.records.codes import ScoreSource, Verdict
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
from silver.contract import (
    parsed_fx_rates,
    parsed_money_events,
    parsed_payments,
    parsed_policies,
    parsed_scores,
)
from silver.days import DAYS, days_named
from silver.drops import Content, Drops, Manifest, Parse
from silver.gates import Gates, Round
from silver.live import near
from silver.revisions import differs, latest, next_revisions
from silver.scd2 import check_intervals, policy_versions, standing_rates


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
    verdicts come last: until then, what a gate held before still counts as held.
    """
    with keeping() as keep:
        at_gates = gates.round()
        drops = _drops(lake, files, at_gates, keep)
        if "fx_rates" in drops:
            rates = standing_rates(drops["fx_rates"].standing())
            _replace(lake, keep, rates, SILVER_FX_RATES)
        if "policies" in drops:
            published = lake.read(SILVER_POLICIES)
            versions = keep(policy_versions(drops["policies"].standing(), published))
            check_intervals(versions)
            _replace(lake, keep, versions, SILVER_POLICIES)
        if "fraud_scores" in drops:
            _append(lake, keep, _new_scores(lake, drops["fraud_scores"]), SILVER_OFFLINE_SCORES)
        if "money_events" in drops:
            _append(lake, keep, _new_money(lake, drops["money_events"]), SILVER_MONEY_EVENTS)
        if _concern_log(lake, drops):
            rows = _new_transactions(lake, keep, drops)
            _append(lake, keep, rows, SILVER_BATCH_TRANSACTIONS)
        if drops:
            _append(lake, keep, _new_refusals(lake, drops), SILVER_QUARANTINE_BATCH)
            _append(lake, keep, _new_warnings(lake, drops), SILVER_WARNINGS_BATCH)
        at_gates.record()


def _drops(lake: Lakehouse, files: DataFrame, gates: Round, keep: Keep) -> dict[str, Drops]:
    """Delivered rows of the kinds of which `files` has loaded ones, or ones that waited, by kind.

    Without those that a gate holds.
    """
    columns = ("kind", "path", "file_revision", "verdict")
    manifest = (
        files.select(*columns, F.lit(True).alias("is_new"))
        .unionByName(lake.read(BRONZE_DROP_FILES).select(*columns, F.lit(False).alias("is_new")))
        .where(F.col("verdict") == Verdict.LOADED.value)
        .collect()
    )
    held_back, drops = gates.ledger.held_back, {}
    for kind in DROPS:
        own = [file for file in manifest if file["kind"] == kind]
        loaded = _contents(own)
        new = _contents([file for file in own if file["is_new"]]) | (held_back & loaded)
        if not new:
            continue
        found = Drops.of(
            lake.read(DROPS[kind]),
            Manifest(loaded),
            frozenset(path for path, _ in new),
            gates.contracts[kind],
            keep,
        )
        passed = found.without(gates.held(kind, found, new))
        if passed.new_paths:
            drops[kind] = passed
    return drops


def _contents(files: list[Row]) -> frozenset[Content]:
    return frozenset((file["path"], file["file_revision"]) for file in files)


def contracts_of(lake: Lakehouse) -> dict[str, Parse]:
    """How each kind of drop is read."""
    newest = batch.latest_plausible(lake.config.ingest.max_clock_ahead_hours)
    regions = load_regions(lake.config.rules.regions)
    region = partial(region_of, regions=regions)
    return {
        "fx_rates": parsed_fx_rates,
        # a refused policy is found in quarantine by its policy_id
        "policies": lambda rows: parsed_policies(rows).withColumn("identity", F.col("policy_id")),
        "fraud_scores": partial(parsed_scores, latest=newest, score_source=ScoreSource.OFFLINE),
        "money_events": partial(parsed_money_events, latest=newest),
        "transactions": partial(
            parsed_payments, latest=newest, regions=region, with_event_id=False
        ),
    }


def _new_scores(lake: Lakehouse, drops: Drops) -> DataFrame:
    rules = load_rules(lake.config.rules.decision)
    reason = reason_code(F.col("fraud_score"), F.col("explanations"), rules)
    scores = drops.chosen(batch.SCORE_ORDER).withColumn("fraud_reason_code", reason)
    return _changes(lake, scores, drops.touched(), SILVER_OFFLINE_SCORES)


def _new_money(lake: Lakehouse, drops: Drops) -> DataFrame:
    events = drops.chosen(batch.MONEY_ORDER)
    return _changes(lake, events, drops.touched(), SILVER_MONEY_EVENTS)


def _changes(lake: Lakehouse, wanted: DataFrame, touched: DataFrame, table: Table) -> DataFrame:
    known = latest(lake.read(table).join(touched, "identity", "left_semi"))
    return next_revisions(wanted, known, differs("content_hash"), table)


def _concern_log(lake: Lakehouse, drops: dict[str, Drops]) -> bool:
    """Whether the files bring log rows, or what the log rows that are there depend on."""
    # version 0 is an empty table
    is_empty = latest_version(lake.spark, path_of(lake.config, SILVER_BATCH_TRANSACTIONS)) < 1
    inputs = {"transactions"} if is_empty else {"transactions", "fraud_scores", "fx_rates"}
    return bool(drops.keys() & inputs)


def _new_transactions(lake: Lakehouse, keep: Keep, drops: dict[str, Drops]) -> DataFrame:
    """Next revisions of all log rows that the new files can have changed.

    Those are the rows delivered, the rows whose score or rate is other now, and later payments
    of the same users whose velocity windows reach back to a row that was delivered.
    """
    rates, policies = lake.read(SILVER_FX_RATES), PolicyBook.of(lake.read(SILVER_POLICIES))
    stored = keep(latest(lake.read(SILVER_BATCH_TRANSACTIONS)))
    counted = stored.where(~F.col("withdrawn"))

    log, affected = counted.select(*batch.FACTS), []
    if "transactions" in drops:
        touched = drops["transactions"].touched()
        delivered = keep(drops["transactions"].chosen(batch.LOG_ORDER).select(*batch.FACTS))
        untouched = log.join(touched, "identity", "left_anti")
        log = keep(delivered.unionByName(untouched))
        before = stored.join(touched, "identity", "left_semi").select(*batch.FACTS)
        near = batch.neighbours(log, delivered.unionByName(before), policies.longest_window_seconds)
        affected += [touched, near]
    if "fraud_scores" in drops:
        rescored = drops["fraud_scores"].new().select("transaction_id")
        affected.append(log.join(rescored, "transaction_id", "left_semi").select("identity"))
    if "fx_rates" in drops:
        affected.append(batch.restated(counted, rates, lake.config.money))
    identities = keep(reduce(DataFrame.union, affected).distinct())

    payments = log.join(identities, "identity", "left_semi")
    known = stored.join(identities, "identity", "left_semi")
    # only a command restates by policies that changed since
    wanted = _decided(lake, batch.with_recorded_policies(payments, known), log, policies)
    return next_revisions(wanted, known, batch.inputs_differ(), SILVER_BATCH_TRANSACTIONS)


def _decided(
    lake: Lakehouse, payments: DataFrame, log: DataFrame, policies: PolicyBook
) -> DataFrame:
    """Rows of the log but for revision and withdrawn: FACTS, and all that follows from them.

    Where `payments` names the policy versions that apply, in `policies`, those do.
    """
    rates, money = lake.read(SILVER_FX_RATES), lake.config.money
    scores = latest(lake.read(SILVER_OFFLINE_SCORES)).where(~F.col("withdrawn"))
    decided = decide(
        with_base_amount(payments, rates, money),
        earlier=log.join(payments.select("user_id"), "user_id", "left_semi"),
        scores=scores,
        policies=policies,
        rules=load_rules(lake.config.rules.decision),
        recorded_policies="policies" in payments.columns,
    ).transform(batch.with_updated_at)
    # only money events settle, and Gold sums them
    return decided.withColumn("settlement_status", F.lit(None).cast("string"))


def restate_days(lake: Lakehouse, days: frozenset[date]) -> None:
    """Decide payments of these UTC days again, by the policies and rules of now, in one commit.

    What comes out otherwise, or by other policy versions, is the next revision of its row; a
    second time adds nothing. Decisions of the live path are never rewritten.
    """
    policies, revisions = PolicyBook.of(lake.read(SILVER_POLICIES)), SILVER_BATCH_TRANSACTIONS
    look_back = timedelta(seconds=policies.longest_window_seconds).days + 1
    with keeping() as keep:
        around = lake.read(revisions).where(near("event_date", days, look_back))
        # a correction may have moved a row to any other day: its revisions there count too
        stored = keep(latest(_of_same_rows(lake.read(revisions), around)))
        counted = stored.where(~F.col("withdrawn"))
        known = counted.where(near("event_date", days, 0))
        wanted = _decided(lake, known.select(*batch.FACTS), counted.select(*batch.FACTS), policies)
        changed = batch.decision_differs()
        rows = keep(next_revisions(wanted, known, changed, SILVER_BATCH_TRANSACTIONS))
        _append(lake, keep, rows, SILVER_BATCH_TRANSACTIONS)
        log_line("restated", job=lake.job, table=SILVER_BATCH_TRANSACTIONS.name, rows=rows.count())


def _of_same_rows(revisions: DataFrame, some: DataFrame) -> DataFrame:
    """All revisions of the rows of which there are `some`."""
    return revisions.join(some.select("identity").distinct(), "identity", "left_semi")


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


def _append(lake: Lakehouse, keep: Keep, rows: DataFrame, to: Table) -> None:
    """Append rows in one commit, one file per partition; without rows there is no commit."""
    found = keep(rows)
    if not found.isEmpty():
        order = (*to.partitioned_by, "coordinates")
        lake.append(found.repartition(*to.partitioned_by).sortWithinPartitions(*order), to)


def _replace(lake: Lakehouse, keep: Keep, rows: DataFrame, table: Table) -> None:
    """Make a table hold exactly `rows`, in one commit; where it does already, in none."""
    wanted = keep(rows.coalesce(1))
    if not batch.same_rows(wanted, lake.read(table)):
        lake.writable(table)
        overwriting = wanted.write.format("delta").mode("overwrite")
        overwriting.save(path_of(lake.config, table))


if __name__ == "__main__":
    run(build_batch)
