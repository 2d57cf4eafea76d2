"""bronze.drops_* -> the batch tables of Silver: what changed since the last run, as revisions.

The query's position in the manifest of files says what is new. Only work depends on it: without
a checkpoint everything is computed again, and rows that come out equal add nothing.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial, reduce

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.context import Lakehouse, Trigger
from lakehouse.decision import (
    decide,
    load_regions,
    load_rules,
    longest_window_seconds,
    reason_code,
    region_of,
    with_base_amount,
)
from lakehouse.job import run
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
from silver.drops import Drops, Parse
from silver.revisions import differs, latest, next_revisions
from silver.scd2 import policy_versions, standing_rates


def build_batch(lake: Lakehouse) -> None:
    """Bring Silver's batch tables up to all files loaded so far, and end, whatever the trigger."""
    daily = replace(lake, trigger=Trigger("once", lake.trigger.interval_seconds))
    query = daily.each_batch(lake.stream(BRONZE_DROP_FILES), lambda files, _: absorb(lake, files))
    try:
        query.awaitTermination()
    except StreamingQueryException as error:
        # the JVM knows a fault of a micro-batch as text only
        raise (lake.faults[-1] if lake.faults else error) from error


def absorb(lake: Lakehouse, files: DataFrame) -> None:
    """Append what newly loaded files (rows of bronze.drop_files) change, table by table.

    Stopped between two tables and started again with the same files, it does the rest: what a
    table needs of another is derived from the files, not from what that table lacked before.
    """
    with ExitStack() as held:
        new_paths = _paths(files)
        arrived = {kind for kind, paths in new_paths.items() if paths}
        drops = _drops(lake, new_paths, held)
        if "fx_rates" in arrived:
            rates = standing_rates(drops["fx_rates"].standing())
            _replace(lake, rates, SILVER_FX_RATES, ("rate_date", "base", "currency"))
        if "policies" in arrived:
            policies = policy_versions(drops["policies"].standing())
            _replace(lake, policies, SILVER_POLICIES, ("policy_id", "version"))
        if "fraud_scores" in arrived:
            _append(lake, _new_scores(lake, drops["fraud_scores"]), SILVER_OFFLINE_SCORES)
        if "money_events" in arrived:
            _append(lake, _new_money(lake, drops["money_events"]), SILVER_MONEY_EVENTS)
        if arrived & {"transactions", "fraud_scores", "fx_rates"}:
            _append(lake, _new_transactions(lake, drops, held), SILVER_BATCH_TRANSACTIONS)
        if arrived:
            refusals = _new_refusals(lake, drops, arrived)
            _append(lake, refusals, SILVER_QUARANTINE_BATCH)


def _paths(files: DataFrame) -> dict[str, set[str]]:
    """Paths of loaded files, by kind."""
    paths: dict[str, set[str]] = {kind: set() for kind in DROPS}
    is_loaded = F.col("verdict") == Verdict.LOADED.value
    for file in files.where(is_loaded).select("kind", "path").distinct().collect():
        paths[file.kind].add(file.path)
    return paths


def _drops(lake: Lakehouse, arrived: dict[str, set[str]], held: ExitStack) -> dict[str, Drops]:
    manifest = lake.read(BRONZE_DROP_FILES)
    all_paths = _paths(manifest)
    return {
        kind: Drops.of(
            lake.read(DROPS[kind]),
            manifest.where(F.col("kind") == kind),
            arrived[kind],
            all_paths[kind],
            parse,
            held,
        )
        for kind, parse in _contracts(lake).items()
        if arrived[kind] or kind in ("transactions", "fraud_scores")
    }


def _contracts(lake: Lakehouse) -> dict[str, Parse]:
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


def _new_transactions(lake: Lakehouse, drops: dict[str, Drops], held: ExitStack) -> DataFrame:
    """Next revisions of all log rows that the new files can have changed.

    Those are the rows delivered, the rows whose score or rate is other now, and later payments
    of the same users whose velocity windows reach back to a row that was delivered.
    """
    money, decision = lake.config.money, load_rules(lake.config.rules.decision)
    rates, policies = lake.read(SILVER_FX_RATES), lake.read(SILVER_POLICIES)
    stored = batch.held_in_memory(latest(lake.read(SILVER_BATCH_TRANSACTIONS)), held)
    counted = stored.where(~F.col("withdrawn"))

    touched = drops["transactions"].touched()
    delivered = drops["transactions"].chosen(batch.LOG_ORDER).select(*batch.FACTS)
    untouched = counted.select(*batch.FACTS).join(touched, "identity", "left_anti")
    log = batch.held_in_memory(delivered.unionByName(untouched), held)

    rescored = drops["fraud_scores"].new.select("transaction_id")
    before = stored.join(touched, "identity", "left_semi")
    moved = delivered.unionByName(before.select(*batch.FACTS))
    affected = [
        touched,
        log.join(rescored, "transaction_id", "left_semi").select("identity"),
        batch.neighbours(log, moved, longest_window_seconds(policies)),
    ]
    if "fx_rates" in drops:
        affected.append(batch.restated(counted, rates, money))
    identities = reduce(DataFrame.union, affected).distinct()

    payments = log.join(identities, "identity", "left_semi")
    scores = latest(lake.read(SILVER_OFFLINE_SCORES)).where(~F.col("withdrawn"))
    wanted = decide(
        with_base_amount(payments, rates, money),
        earlier=log.join(payments.select("user_id"), "user_id", "left_semi"),
        scores=scores,
        policies=policies,
        rules=decision,
    ).transform(batch.with_updated_at, scores)
    known = stored.join(identities, "identity", "left_semi")
    return next_revisions(
        # only money events settle, and Gold sums them
        wanted.withColumn("settlement_status", F.lit(None).cast("string")),
        known,
        batch.inputs_differ(),
        SILVER_BATCH_TRANSACTIONS,
    )


def _new_refusals(lake: Lakehouse, drops: dict[str, Drops], arrived: set[str]) -> DataFrame:
    refused = [drops[kind].refused(DROPS[kind].name) for kind in sorted(arrived)]
    known = lake.read(SILVER_QUARANTINE_BATCH).select("coordinates")
    return reduce(DataFrame.unionByName, refused).join(known, "coordinates", "left_anti")


def _append(lake: Lakehouse, rows: DataFrame, to: Table) -> None:
    """Append rows in one commit, one file per partition; without rows there is no commit."""
    with ExitStack() as held:
        found = batch.held_in_memory(rows, held)
        if not found.isEmpty():
            order = (*to.partitioned_by, "coordinates")
            lake.append(found.repartition(*to.partitioned_by).sortWithinPartitions(*order), to)


def _replace(lake: Lakehouse, rows: DataFrame, table: Table, key: tuple[str, ...]) -> None:
    """Make a table hold exactly `rows`, in one commit; where it does already, in none."""
    with ExitStack() as held:
        wanted, stored = batch.held_in_memory(rows, held), lake.read(table)
        changes = wanted.exceptAll(stored).unionAll(stored.exceptAll(wanted))
        if changes.isEmpty():
            return
        same_key = " AND ".join(f"stored.{name} = wanted.{name}" for name in key)
        same = " AND ".join(f"stored.{name} <=> wanted.{name}" for name in table.columns)
        (
            lake.writable(table)
            .alias("stored")
            .merge(wanted.alias("wanted"), same_key)
            .whenMatchedUpdateAll(condition=f"NOT ({same})")
            .whenNotMatchedInsertAll()
            .whenNotMatchedBySourceDelete()
            .execute()
        )


if __name__ == "__main__":
    run(build_batch)
