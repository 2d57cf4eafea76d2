"""Change feed of gold.transactions -> gold.transaction_history, gold.history_chain and its head."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.chain import (
    GENESIS,
    NO_ROWS,
    Commit,
    Content,
    commit_of,
    contents_of,
    differences_of,
    digests_of,
    gold_content,
    is_of,
    link,
    links_of,
    running,
)
from gold.file_hashes import hashes_of
from gold.following import (
    NOTHING_YET,
    Span,
    changes_in,
    commit_file,
    follow,
    gold_table_id,
    newest_gold_version,
    span_behind,
)
from gold.head import contradiction, signed, written
from gold.history import counts_of, field_groups, history_rows
from lakehouse.context import Lakehouse
from lakehouse.errors import (
    BeyondKnownHistoryError,
    FollowerAheadError,
    HeadContradictsError,
    HistoryBrokenError,
    VersionNotFoundError,
)
from lakehouse.fold.precedence import load_precedence
from lakehouse.heads import heads_of
from lakehouse.history import history_as_of
from lakehouse.job import run
from lakehouse.monitoring import log
from lakehouse.records.gold import ChainLink
from lakehouse.secret_stores import secret
from lakehouse.tables import (
    GOLD_HISTORY_CHAIN,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
)


def record_history(lake: Lakehouse) -> None:
    """Record what each new version of Gold changed, exactly once; chain the versions, and sign.

    Raises:
        FollowerAheadError: Gold is not the table, or not as new, as the one that was chained.
        HeadContradictsError: the chain is not the one that was signed.
        HistoryBrokenError: history has other rows of a new version than Gold's change feed.
        HeadNotKeptError: the place of signed heads does not answer.
        OvertakenError: another run has recorded meanwhile; the next one goes on behind it.
    """
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
    # before anything is read: of runs that are not alone any more, one appends what both have read
    of_history, of_chain = lake.turn(GOLD_TRANSACTION_HISTORY), lake.turn(GOLD_HISTORY_CHAIN)
    newest = _newest_link(lake)
    position = newest.gold_version if newest else NOTHING_YET
    span = span_behind(lake, position)
    if newest:
        _check_follows(lake, newest)
    if span is None:
        return
    table_id = gold_table_id(lake)
    if newest:
        _check_signed(lake, newest, table_id)
    found_rows = _append_history(lake, span, of_history)
    _check_recorded(lake, span, found_rows)
    links = _links(lake, span, newest)
    # the head first: the chain never has an end that nobody signed, whenever this run dies
    _sign(lake, links[-1], table_id)
    rows = [one.model_dump() for one in links]
    chained = lake.spark.createDataFrame(rows, GOLD_HISTORY_CHAIN.schema)
    lake.append(chained, GOLD_HISTORY_CHAIN, behind=of_chain)
    changed = sum(one.rows_changed for one in links)
    log("recorded", job=lake.job, version=span.upto, rows=changed)


def _check_follows(lake: Lakehouse, newest: ChainLink) -> None:
    """Refuse a Gold in which the last chained version is not the one that was chained."""
    version = newest.gold_version
    content = commit_file(lake, version)
    # Delta cleans its log behind the audit horizon: then nothing contradicts
    if content is not None and not is_of(newest, content):
        newest_version = newest_gold_version(lake)
        raise FollowerAheadError(GOLD_TRANSACTIONS.name, version, newest_version)


def _check_signed(lake: Lakehouse, newest: ChainLink, table_id: str) -> None:
    """Refuse to go on behind a link that is not the signed one: what follows would vouch for it."""
    head = heads_of(lake.config.history.heads).get(newest.gold_version)
    fault = contradiction(head, newest, table_id, _key(lake))
    if fault:
        raise HeadContradictsError(newest.gold_version, fault)


def _sign(lake: Lakehouse, last: ChainLink, table_id: str) -> None:
    """Keep the head of the chain that will end with `last`; a run that died may have done so."""
    key = _key(lake)
    lake.lease.check()
    kept = heads_of(lake.config.history.heads).put(
        last.gold_version, written(signed(table_id, last, key))
    )
    fault = contradiction(kept, last, table_id, key)
    if fault:
        raise HeadContradictsError(last.gold_version, fault)


def _key(lake: Lakehouse) -> bytes:
    return secret(lake.config.history.signing_key).encode("utf-8")


def _append_history(lake: Lakehouse, span: Span, behind: int) -> bool:
    """Append what history lacks of the span; whether it had rows of it, or of later, before."""
    # a run that died between its two appends left history ahead of the chain; what it appended
    # is complete up to its last version, and the rest begins behind that
    found = _recorded_through(lake)
    recorded = max(found, span.after)
    if recorded < span.upto:
        rows = _history_of(lake, Span(recorded, span.upto))
        lake.append(rows, GOLD_TRANSACTION_HISTORY, behind=behind)
    return found > span.after


def _history_of(lake: Lakehouse, span: Span) -> DataFrame:
    groups = field_groups(load_precedence(lake.config.rules.precedence))
    return changes_in(lake, span).transform(history_rows(groups))


def _check_recorded(lake: Lakehouse, span: Span, found_rows: bool) -> None:
    """Refuse to sign rows of history that Gold's change feed does not tell, or lacks in history.

    Rows that were found there may be those of a run that died, or somebody's: all of their content
    is compared. Of what this run appended itself, the number.
    """
    recorded = _recorded_in(lake, span)
    wanted, there = counts_of(changes_in(lake, span)), contents_of(recorded)
    known = {version: content.rows for version, content in there.items()}
    breaks = [
        f"version {version} changed {wanted.get(version, 0)} rows, and history has "
        f"{known.get(version, 0)}"
        for version in sorted({*wanted, *known})
        if wanted.get(version, 0) != known.get(version, 0)
    ]
    if found_rows and not breaks:
        # of a double that was healed, either row may have told what changed
        told, stored = (
            digests_of(rows.drop("changed_groups")) for rows in (_history_of(lake, span), recorded)
        )
        breaks = [
            f"version {version} has other rows of history than Gold's change feed"
            for version in sorted(told)
            if told[version] != stored.get(version)
        ]
    if breaks:
        raise HistoryBrokenError(breaks)


def _recorded_through(lake: Lakehouse) -> int:
    # of the whole table, so that Delta answers from its statistics
    greatest = lake.read(GOLD_TRANSACTION_HISTORY).agg(F.max("gold_version")).first()
    return NOTHING_YET if greatest is None or greatest[0] is None else int(greatest[0])


def _links(lake: Lakehouse, span: Span, newest: ChainLink | None) -> list[ChainLink]:
    """One link for each version of the span, from Gold's log, its files and what was recorded."""
    commits = [_commit(lake, version) for version in range(span.after + 1, span.upto + 1)]
    recorded = _recorded_in(lake, span)
    changed, digests = contents_of(recorded), digests_of(recorded)
    grown = differences_of(changes_in(lake, span))
    before = gold_content(newest) if newest else Content()
    totals = running(before, [grown.get(one.gold_version, Content()) for one in commits])
    links: list[ChainLink] = []
    for commit, gold in zip(commits, totals, strict=True):
        previous = links[-1].hash if links else newest.hash if newest else GENESIS
        content = changed.get(commit.gold_version, Content())
        digest = digests.get(commit.gold_version, NO_ROWS)
        links.append(link(previous, commit, _files(lake, commit), content, digest, gold))
    return links


def _commit(lake: Lakehouse, version: int) -> Commit:
    content = commit_file(lake, version)
    if content is None:
        newest = newest_gold_version(lake)
        raise VersionNotFoundError(GOLD_TRANSACTIONS.name, version, newest)
    return commit_of(version, content)


def _files(lake: Lakehouse, commit: Commit) -> dict[str, str]:
    hashes = hashes_of(lake, commit.added)
    present = {path: digest for path, digest in hashes.items() if digest is not None}
    if len(present) < len(hashes):
        newest = newest_gold_version(lake)
        raise VersionNotFoundError(GOLD_TRANSACTIONS.name, commit.gold_version, newest)
    return present


def _recorded_in(lake: Lakehouse, span: Span) -> DataFrame:
    history = lake.read(GOLD_TRANSACTION_HISTORY)
    return history.where(F.col("gold_version").between(span.after + 1, span.upto))


def _newest_link(lake: Lakehouse) -> ChainLink | None:
    chain = lake.read(GOLD_HISTORY_CHAIN)
    newest = links_of(chain.orderBy(F.desc("gold_version")).limit(1))
    return newest[0] if newest else None


if __name__ == "__main__":
    run(record_history)
