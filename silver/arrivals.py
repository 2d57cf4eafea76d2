"""What became of the rows that a build has let through, from what it has at hand: for figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from pyspark.sql import DataFrame

from lakehouse.context import Lakehouse
from lakehouse.delta import commit_info, path_of
from lakehouse.metrics.commits import Commit
from lakehouse.tables import DROPS, SILVER_MONEY_EVENTS, SILVER_OFFLINE_SCORES, Table
from silver.drops import Drops
from silver.round import Round

_ADDED_TO = {"fraud_scores": SILVER_OFFLINE_SCORES, "money_events": SILVER_MONEY_EVENTS}
"""Kinds of which a row that adds nothing is a duplicate. A row of the log is decided again for a
score or a rate that came, so that its table says nothing of what came."""


def counts_of(
    lake: Lakehouse,
    at_gates: Round,
    drops: Mapping[str, Drops],
    refused: DataFrame,
    appended: Collection[Table],
) -> dict[str, int]:
    """Rows by the table of Bronze that they are of and what became of them; no row is read again.

    `refused` are rows that were appended to silver.quarantine_batch, kept; they alone are counted.
    Of the others the manifest says how many came, and the commit of each table in `appended` how
    many of them it took; where a build was killed behind that commit, the next one adds none.
    """
    held_out = _by_table(refused)
    counts: dict[str, int] = {}
    for kind, found in drops.items():
        name = DROPS[kind].name
        came = at_gates.rows_in(found.passing)
        accepted = max(0, came - held_out[name])
        if kind in _ADDED_TO:
            table = _ADDED_TO[kind]
            added = min(accepted, _last_added(lake, table) if table in appended else 0)
            counts[f"{name} DUPLICATE"], accepted = accepted - added, added
        counts |= {f"{name} ACCEPTED": accepted, f"{name} REFUSED": held_out[name]}
    return counts


def _by_table(refused: DataFrame) -> Counter[str]:
    if refused.isEmpty():
        return Counter()
    rows = refused.groupBy("source_table").count().collect()
    return Counter({row["source_table"]: row["count"] for row in rows})


def _last_added(lake: Lakehouse, table: Table) -> int:
    """Rows of the newest commit: a table has one writer."""
    commit = Commit.of(commit_info(lake.spark, path_of(lake.config, table), lake.version(table)))
    return commit.rows if commit else 0
