"""What the chain says of Gold, its files and its history, held against what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from gold.chain import (
    NO_ROWS,
    Break,
    Content,
    content_of,
    contents_of,
    digests_of,
    files_kept,
    gold_content,
    is_of,
    live_files,
)
from gold.file_hashes import hashes_of
from gold.following import commit_file
from gold.history import without_payer
from lakehouse.context import Lakehouse
from lakehouse.history import GOLD_WITHOUT_PAYER, history_as_of
from lakehouse.records.gold import ChainLink
from lakehouse.tables import GOLD_TRANSACTION_HISTORY, GOLD_TRANSACTIONS

UNREADABLE = (PySparkException, Py4JJavaError)
"""What reading a table raises whose log or files are not whole."""

# how Spark and Delta say that a version's log or files are gone
_GONE = (
    "FileNotFound", "FILE_NOT_EXIST", "FILE_NOT_FOUND", "Cannot time travel", "VersionNotFound",
    "LOG_FILE_NOT_FOUND", "TRUNCATED_TRANSACTION_LOG", "VERSION_NOT_CONTIGUOUS",
    "VERSIONS_NOT_CONTIGUOUS",
)  # fmt: skip

_MOST_NAMED = 5
_AT_ONCE = 8  # on S3 each is a matter of waiting


def is_gone(fault: Exception) -> bool:
    """Whether one of `UNREADABLE` says that the log or the files of a version are gone."""
    return any(sign in str(fault) for sign in _GONE)


def commit_breaks(lake: Lakehouse, links: Sequence[ChainLink], since: datetime) -> Iterator[Break]:
    """Commits of Gold that are not the chained ones, or are gone though not older than `since`."""

    def is_same(one: ChainLink) -> bool | None:
        content = commit_file(lake, one.gold_version)
        return None if content is None else is_of(one, content)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(is_same, links))
    for one, same in zip(links, found, strict=True):
        if same is None and one.committed_at >= since:
            yield Break(one.gold_version, "is gone from Delta's log")
        if same is False:
            yield Break(one.gold_version, "is another commit in Delta's log")


def file_breaks(
    lake: Lakehouse, kept: Mapping[str, tuple[int, str]], live: Mapping[str, str]
) -> Iterator[Break]:
    """Data files that are gone, or hold other bytes than when their version was chained."""
    found = hashes_of(lake, kept)
    for path, (version, digest) in kept.items():
        if found[path] is None:
            what = "live" if path in live else "still in the time-travel horizon"
            yield Break(version, f"added {path}, which is {what} and gone")
        elif found[path] != digest:
            yield Break(version, f"added {path}, which holds other bytes now")


def snapshot_breaks(lake: Lakehouse, last: ChainLink, live: Mapping[str, str]) -> Iterator[Break]:
    """Files that a reader of Gold is sent to and the chain does not know, or the other way round.

    A checkpoint of Delta's log can say something else than the commits that it sums up.
    """
    read = {_name_of(each) for each in lake.read(GOLD_TRANSACTIONS, last.gold_version).inputFiles()}
    chained = {_name_of(path) for path in live}
    for name in sorted(read - chained):
        yield Break(last.gold_version, f"is read with {name}, which no version added")
    for name in sorted(chained - read):
        yield Break(last.gold_version, f"is read without {name}, which the chain has")


def history_breaks(history: DataFrame, links: Sequence[ChainLink]) -> Iterator[Break]:
    """Versions whose rows of history are not those that were chained."""
    known = history.where(F.col("gold_version") <= links[-1].gold_version)
    contents, digests = contents_of(known), digests_of(known)
    for one in links:
        content = contents.get(one.gold_version, Content())
        if (content.rows, content.as_json) != (one.rows_changed, one.amounts):
            yield Break(
                one.gold_version,
                f"changed {one.rows_changed} rows with {one.amounts}, and history has "
                f"{content.rows} with {content.as_json}",
            )
        elif digests.get(one.gold_version, NO_ROWS) != one.rows_digest:
            yield Break(one.gold_version, "has other rows of history than those that were chained")


def as_of_breaks(gold: DataFrame, remembered: DataFrame, last: ChainLink) -> Iterator[Break]:
    """Where Gold by time travel, Gold from history, and the chain's totals are not one.

    `gold` and `remembered` have the columns GOLD_WITHOUT_PAYER, as of the version of `last`.
    """
    version, expected = last.gold_version, gold_content(last)
    for name, rows in (("Gold", gold), ("history as of it", remembered)):
        content = content_of(rows)
        if content != expected:
            yield Break(
                version,
                f"left {expected.rows} rows with {expected.as_json}, and {name} has "
                f"{content.rows} with {content.as_json}",
            )
    differing = _differing(gold, remembered)
    count = differing.count()
    if count:
        some = [row[0] for row in differing.orderBy("transaction_id").limit(_MOST_NAMED).collect()]
        more = f" and {count - len(some)} more" if count > len(some) else ""
        yield Break(version, f"differs from history as of it in {', '.join(some)}{more}")


def evidence_breaks(lake: Lakehouse, links: Sequence[ChainLink], since: datetime) -> list[Break]:
    """Everything that is there and contradicts the chain, whose own hashes hold."""
    last, live = links[-1], live_files(links)
    breaks = list(commit_breaks(lake, links, since))
    breaks += file_breaks(lake, files_kept(links, since), live)
    history = lake.read(GOLD_TRANSACTION_HISTORY)
    breaks += history_breaks(history, links)
    if breaks:
        # a file that is gone or broken cannot be read: its version is named already
        return breaks
    try:
        breaks += snapshot_breaks(lake, last, live)
        gold = without_payer(lake.read(GOLD_TRANSACTIONS, last.gold_version))
        remembered = history_as_of(history, last.gold_version)
        breaks += as_of_breaks(
            gold.select(*GOLD_WITHOUT_PAYER), remembered.select(*GOLD_WITHOUT_PAYER), last
        )
    except UNREADABLE:
        breaks.append(Break(last.gold_version, "cannot be read by time travel any more"))
    return breaks


def _differing(gold: DataFrame, remembered: DataFrame) -> DataFrame:
    """Transactions that are in one only, or not the same in both."""
    row = F.sha2(F.to_json(F.struct(*GOLD_WITHOUT_PAYER)), 256)
    ours = gold.select("transaction_id", row.alias("ours"))
    theirs = remembered.select("transaction_id", row.alias("theirs"))
    both = ours.join(theirs, "transaction_id", "full_outer")
    return both.where(~F.col("ours").eqNullSafe(F.col("theirs"))).select("transaction_id")


def _name_of(path: str) -> str:
    return unquote(path).rpartition("/")[2]
