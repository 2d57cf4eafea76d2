"""Change feed of gold.transactions -> group `gold` of the DynamoDB items."""

from __future__ import annotations

from pyspark.sql import DataFrame

from gold.following import NOTHING_YET, Span, changes_in, follow, gold_table_id, span_behind
from gold.position import move_position, position_of
from gold.serving import latest_rows, pushed_items, rows_as_of
from lakehouse.context import Lakehouse
from lakehouse.dynamodb import ensure_table, push
from lakehouse.job import run
from lakehouse.monitoring import log
from lakehouse.tables import GOLD_TRANSACTIONS


def sync_dynamodb(lake: Lakehouse) -> None:
    """Push each changed transaction that is hot, or was: at least once, and only forwards.

    Within a run each gets one write, of its newest version. An older version never overwrites a
    newer one, nor the tombstone of one.
    """
    ensure_table(lake.config.dynamodb)
    follow(lake, _push_new_versions)


def _push_new_versions(lake: Lakehouse) -> None:
    table_id = gold_table_id(lake)
    span = span_behind(lake, position_of(lake, table_id))
    if span is None:
        return
    rows = _rows_behind(lake, span)
    lake.lease.check()
    report = push(pushed_items(rows, lake.config, lake.clock()), "gold", lake.config.dynamodb)
    move_position(lake, table_id, span.upto)
    # refused: an equal or newer version stood there already
    counts = {
        "refused": report.refused, "oversized": report.oversized, "throttled": report.throttled,
    }  # fmt: skip
    log("pushed", job=lake.job, version=span.upto, rows=report.written, counts=counts)


def _rows_behind(lake: Lakehouse, span: Span) -> DataFrame:
    """Rows that changed; all of Gold where nobody knows how far this job has come, and Gold's
    change feed does not reach back to its beginning.
    """
    if span.after == NOTHING_YET and not lake.has_all_versions(GOLD_TRANSACTIONS):
        return rows_as_of(lake.read(GOLD_TRANSACTIONS, span.upto), span.upto, lake.config)
    return changes_in(lake, span).transform(latest_rows, lake.config)


if __name__ == "__main__":
    run(sync_dynamodb)
