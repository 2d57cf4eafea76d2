"""Bronze, Silver, Gold and the senders' totals -> gold.reconciliation: the account of every record.

Each step of the flow is counted, and added up per day and currency, in smallest units. What differs
is named down to its transactions, and fails the run unless it is explained; the account is
published either way.
"""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

import typer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.account import Account
from gold.lines import Run, differences_of, published, reported_in, sums_of
from gold.unread import steps_with_missing, with_unread
from gold.waiting import waiting_by_age
from lakehouse.context import Lakehouse
from lakehouse.errors import NotAccountedForError
from lakehouse.frames import keeping
from lakehouse.job import run
from lakehouse.metrics.hearing import WAITING
from lakehouse.monitoring import log
from lakehouse.records.gold import Reconciliation
from lakehouse.tables import GOLD_RECONCILIATION, GOLD_TRANSACTIONS


def reconcile(
    lake: Lakehouse,
    only_report: Annotated[
        bool, typer.Option("--only-report", help="Publish what differs, and do not fail for it.")
    ] = False,
) -> list[Reconciliation]:
    """Account for every record and every amount; publish the lines of this run in one commit.

    Raises:
        NotAccountedForError: something differs that nothing explains; the account is published.
    """
    account = Account.opened(lake)
    run_at = lake.clock()
    this_run = Run(str(uuid4()), run_at, account.versions[GOLD_TRANSACTIONS.name], account.versions)
    with keeping() as keep:
        found = keep(account.items())
        asked = {step: account.read(step) for step in steps_with_missing(found)}
        read = {step: keys for step, keys in asked.items() if keys is not None}
        items = keep(with_unread(found, read))
        sums, differences = sums_of(items).collect(), differences_of(items).collect()
    reported = reported_in(_last_run(lake).collect())
    lines = published(this_run, account.steps(), sums, differences, reported)
    rows = [line.model_dump() for line in lines]
    lake.append(lake.spark.createDataFrame(rows, GOLD_RECONCILIATION.schema), GOLD_RECONCILIATION)
    told = [each for line in lines for each in line.told]
    counts = {"lines": len(lines), "unexplained": sum(line.unexplained for line in lines)}
    waiting = waiting_by_age(lines, run_at.date())
    counts |= {f"{WAITING}{age}": records for age, records in waiting.items()}
    log("reconciled", job=lake.job, version=this_run.gold_version, counts=counts)
    if told and not only_report:
        raise NotAccountedForError(told)
    return lines


def _last_run(lake: Lakehouse) -> DataFrame:
    known = lake.read(GOLD_RECONCILIATION)
    newest = known.groupBy("run_id").agg(F.max("run_at").alias("at")).orderBy(F.desc("at")).limit(1)
    return known.join(F.broadcast(newest.select("run_id")), "run_id", "left_semi").select(
        "step", "day", "currency", "event_type", "differences"
    )


if __name__ == "__main__":
    run(reconcile)
