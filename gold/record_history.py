"""Change feed of gold.transactions -> gold.transaction_history and gold.history_chain."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.chain import (
    GENESIS,
    Commit,
    Content,
    commit_of,
    contents_of,
    is_of,
    link,
    links_of,
)
from gold.following import (
    NOTHING_YET,
    Span,
    changes_in,
    commit_lines,
    follow,
    gold_table_id,
    newest_gold_version,
    span_behind,
)
from gold.history import field_groups, history_as_of, history_rows
from lakehouse.config import read_yaml
from lakehouse.context import Batch, Lakehouse
from lakehouse.errors import BeyondKnownHistoryError, FollowerAheadError, VersionNotFoundError
from lakehouse.job import run
from lakehouse.records.gold import ChainLink
from lakehouse.schema import spark_schema
from lakehouse.tables import (
    GOLD_HISTORY_CHAIN,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
)


def record_history(lake: Lakehouse) -> None:
    """Record what each new version of Gold changed, exactly once, and chain the versions."""
    follow(lake, _record_new_versions)


def complete_through(lake: Lakehouse) -> int:
    """The Gold version up to which history is complete; -1 where nothing is recorded."""
    newest = _newest_link(lake)
    return newest.gold_version if newest else NOTHING_YET


def gold_as_of(lake: Lakehouse, version: int) -> DataFrame:
    """Gold at one of its versions, from history alone: its columns without the payer.

    Raises:
        BeyondKnownHistoryError: history is not complete through this version yet.
    """
    known = complete_through(lake)
    if version > known:
        raise BeyondKnownHistoryError(f"version {version}", f"version {known}")
    return history_as_of(lake.read(GOLD_TRANSACTION_HISTORY), version)


def _record_new_versions(lake: Lakehouse) -> None:
    newest = _newest_link(lake)
    position = newest.gold_version if newest else NOTHING_YET
    span = span_behind(lake, position)
    if newest:
        _check_follows(lake, newest)
    if span is None:
        return
    commits = [commit_of(v, _lines(lake, v)) for v in range(span.after + 1, span.upto + 1)]
    # a run that is not alone any more writes the same batch: Delta skips the second
    batch = Batch(gold_table_id(lake), span.upto)
    _append_history(lake, span, batch)
    contents = contents_of(_recorded_behind(lake, span.after))
    links = _links(newest.hash if newest else GENESIS, commits, contents)
    rows = lake.spark.createDataFrame([one.model_dump() for one in links], spark_schema(ChainLink))
    lake.append(rows, GOLD_HISTORY_CHAIN, batch)


def _check_follows(lake: Lakehouse, newest: ChainLink) -> None:
    """Refuse a Gold in which the last chained version is not the one that was chained."""
    version = newest.gold_version
    lines = commit_lines(lake, version)
    # Delta cleans its log behind the audit horizon: then nothing contradicts
    if lines is not None and not is_of(newest, commit_of(version, lines)):
        newest_version = newest_gold_version(lake)
        raise FollowerAheadError(GOLD_TRANSACTIONS.name, version, newest_version)


def _lines(lake: Lakehouse, version: int) -> list[str]:
    lines = commit_lines(lake, version)
    if lines is None:
        newest = newest_gold_version(lake)
        raise VersionNotFoundError(GOLD_TRANSACTIONS.name, version, newest)
    return lines


def _append_history(lake: Lakehouse, span: Span, batch: Batch) -> None:
    # a run that died between its two appends left history ahead of the chain; what it appended
    # is complete up to its last version, and the rest begins behind that
    recorded = max(_recorded_through(lake), span.after)
    if recorded == span.upto:
        return
    groups = field_groups(read_yaml(lake.config.rules.precedence))
    rows = changes_in(lake, Span(recorded, span.upto)).transform(history_rows(groups))
    lake.append(rows, GOLD_TRANSACTION_HISTORY, batch)


def _recorded_through(lake: Lakehouse) -> int:
    # of the whole table, so that Delta answers from its statistics
    greatest = lake.read(GOLD_TRANSACTION_HISTORY).agg(F.max("gold_version")).first()
    return NOTHING_YET if greatest is None or greatest[0] is None else int(greatest[0])


def _links(
    previous_hash: str, commits: list[Commit], contents: dict[int, Content]
) -> list[ChainLink]:
    links: list[ChainLink] = []
    for commit in commits:
        content = contents.get(commit.gold_version, Content())
        links.append(link(links[-1].hash if links else previous_hash, commit, content))
    return links


def _recorded_behind(lake: Lakehouse, version: int) -> DataFrame:
    history = lake.read(GOLD_TRANSACTION_HISTORY)
    return history.where(F.col("gold_version") > version)


def _newest_link(lake: Lakehouse) -> ChainLink | None:
    chain = lake.read(GOLD_HISTORY_CHAIN)
    newest = links_of(chain.orderBy(F.desc("gold_version")).limit(1))
    return newest[0] if newest else None


if __name__ == "__main__":
    run(record_history)
