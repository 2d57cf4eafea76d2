"""Gold's jobs over a lake on S3, in one process and one session: what they found, as JSON.

`python -m tests.long.gold_on_s3 CONFIG` runs what `test_gold_lies_on_s3.py` looks at.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any

from gold.audit import audit
from gold.consolidate import consolidate
from gold.maintain import maintain
from gold.prove_history import prove_history
from gold.record_history import complete_through, record_history
from lakehouse.cli.lineage import traced
from lakehouse.config import Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.delta import path_of
from lakehouse.job import execute
from lakehouse.lease import held_lease
from lakehouse.session import open_session
from lakehouse.tables import (
    GOLD_TRANSACTIONS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    SILVER_POLICIES,
)
from tests.conftest import NOON
from tests.gold.as_of import remembered, travelled
from tests.gold.rows import append
from tests.gold.test_audit_recomputes_decisions import GEO_BLOCK, a_live_row
from tests.long.test_consolidate_folds_silver_into_gold import a_batch_row, a_settlement


def ran(config: Config) -> dict[str, Any]:
    """Fold, follow, audit and maintain; again after corrections. Times are UTC, counts are rows."""
    spark = open_session(config, "gold-on-s3")

    def as_job(name: str, do: Callable[[Lakehouse], Any]) -> Any:
        with held_lease(config, name) as lease:
            return do(Lakehouse(config, spark, name, Trigger("once", 1), lease, lambda: NOON))

    def first(lake: Lakehouse) -> None:
        append(lake, SILVER_POLICIES, GEO_BLOCK)
        append(lake, SILVER_LIVE_TRANSACTIONS, a_live_row("1"), a_live_row("2"))
        append(lake, SILVER_BATCH_TRANSACTIONS, a_batch_row("t-1", amount="1100"))
        append(lake, SILVER_MONEY_EVENTS, a_settlement("early"))

    def then(lake: Lakehouse) -> None:
        append(lake, SILVER_BATCH_TRANSACTIONS, a_batch_row("t-1", revision=1, amount="900"))
        append(lake, SILVER_BATCH_TRANSACTIONS, a_batch_row("early"))

    def gold(lake: Lakehouse) -> dict[str, Any]:
        rows = lake.read(GOLD_TRANSACTIONS).collect()
        return {
            row.transaction_id: [str(row.amount), row.settlement_status, str(row.event_date)]
            for row in rows
        }

    def as_of(lake: Lakehouse) -> bool:
        versions = range(lake.version(GOLD_TRANSACTIONS) + 1)
        return remembered(lake, versions) == travelled(lake, versions)

    found: dict[str, Any] = {}
    as_job("seed", first)
    execute(consolidate, config, trigger="once")
    execute(record_history, config, trigger="once")
    found["before"] = as_job("look", gold)
    as_job("seed", then)
    execute(consolidate, config, trigger="once")
    found["after"] = as_job("look", gold)
    version = as_job("look", lambda lake: lake.version(GOLD_TRANSACTIONS))
    execute(consolidate, config, trigger="once")
    found["commits_of_nothing_new"] = (
        as_job("look", lambda lake: lake.version(GOLD_TRANSACTIONS)) - version
    )
    execute(record_history, config, trigger="once")
    decisions = execute(audit, config, trigger="once")
    found["decisions"] = [decisions.decisions, decisions.equal]
    before = execute(audit, config, trigger="once", table="gold.transactions", version=1)
    found["rows_at_version_1"] = before.rows
    stood = execute(audit, config, trigger="once", as_of="1", quiet=True)
    found["known_at_version_1"] = stood.transactions
    changed = execute(
        audit, config, trigger="once", diff_from="1", diff_to=str(version), quiet=True
    )
    found["changed_since"] = [each.transaction_id for each in changed.shown]
    lineage = traced(spark, config, "t-1")
    found["seen"] = sorted({each.table for each in lineage.sightings})
    found["version_before_maintenance"] = version
    found["states"] = [state.version for state in lineage.states]
    kept = execute(maintain, config, trigger="once")
    found["maintained"] = {one.table: [one.partitions, one.vacuumed] for one in kept}
    execute(record_history, config, trigger="once")
    execute(prove_history, config, trigger="once")
    found["history_is_time_travel"] = as_job("look", as_of)
    found["complete_through"] = as_job("look", complete_through)
    found["version"] = as_job("look", lambda lake: lake.version(GOLD_TRANSACTIONS))
    found["after_maintenance"] = as_job("look", gold)
    found["gold"] = path_of(config, GOLD_TRANSACTIONS)
    return found


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        result = ran(Config.load(sys.argv[1]))
    print(json.dumps(result))
