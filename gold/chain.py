"""The hash chain over Gold's versions: each link holds the hash of the one before; pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.records.gold import ChainLink, HashedFile

GENESIS = "0" * 64
"""The previous hash of the first link."""
NO_ROWS = ""
"""The digest of a version without rows of history."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIGN = {"insert": 1, "update_postimage": 1, "update_preimage": -1, "delete": -1}


@dataclass(frozen=True)
class Commit:
    """What the Delta log says of one version of Gold: its time in UTC, paths as they stand."""

    gold_version: int
    committed_at: datetime
    operation: str
    commit_hash: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class Content:
    """So many rows, and the sum of their `amount` by currency; no currency with a sum of 0."""

    rows: int = 0
    amounts: Mapping[str, Decimal] = field(default_factory=dict)

    def __add__(self, other: Content) -> Content:
        """Both together."""
        mine, others = self.amounts, other.amounts
        sums = {
            one: mine.get(one, Decimal()) + others.get(one, Decimal())
            for one in sorted({*mine, *others})
        }
        return Content(self.rows + other.rows, {one: total for one, total in sums.items() if total})

    @property
    def as_json(self) -> str:
        """The amounts, always as the same text."""
        return json.dumps({one: str(total) for one, total in self.amounts.items()},
                          sort_keys=True)  # fmt: skip


@dataclass(frozen=True)
class Break:
    """Where a chain does not hold, and why."""

    gold_version: int
    reason: str

    def __str__(self) -> str:
        """As a person reads it."""
        return f"version {self.gold_version} {self.reason}"


def link(
    previous_hash: str,
    commit: Commit,
    files: Mapping[str, str],
    changed: Content,
    digest: str,
    gold: Content,
) -> ChainLink:
    """The link of one version behind the link with `previous_hash`.

    `files` are the hashes of what it added, `changed` its rows of history and `digest` theirs,
    `gold` all rows of Gold.
    """
    unsigned = ChainLink(
        gold_version=commit.gold_version,
        committed_at=commit.committed_at,
        operation=commit.operation,
        commit_hash=commit.commit_hash,
        added=[HashedFile(path=path, sha256=files[path]) for path in sorted(commit.added)],
        removed=sorted(commit.removed),
        rows_changed=changed.rows,
        amounts=changed.as_json,
        rows_digest=digest,
        gold_rows=gold.rows,
        gold_amounts=gold.as_json,
        previous_hash=previous_hash,
        hash="",
    )
    return unsigned.model_copy(update={"hash": hash_of(unsigned)})


def hash_of(one: ChainLink) -> str:
    """SHA-256 over all fields but the hash itself, as JSON; instants as epoch micros."""
    micros = (one.committed_at.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    said = one.model_dump(exclude={"hash", "committed_at"}) | {"committed_at": micros}
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def verify(links: Iterable[ChainLink]) -> list[Break]:
    """Every place where the links, in the order given, are no chain from version 0 on."""
    breaks = []
    previous_hash, expected = GENESIS, 0
    for one in links:
        if one.gold_version != expected:
            breaks.append(Break(one.gold_version, f"stands where version {expected} should"))
        if one.previous_hash != previous_hash:
            breaks.append(Break(one.gold_version, "does not follow from the link before it"))
        if one.hash != hash_of(one):
            breaks.append(Break(one.gold_version, "differs from its hash"))
        previous_hash, expected = one.hash, one.gold_version + 1
    return breaks


def live_files(links: Iterable[ChainLink]) -> dict[str, str]:
    """The files that the last link leaves in Gold, with their hashes."""
    live: dict[str, str] = {}
    for one in links:
        for path in one.removed:
            live.pop(path, None)
        live |= {file.path: file.sha256 for file in one.added}
    return live


def files_kept(links: Iterable[ChainLink], since: datetime) -> dict[str, tuple[int, str]]:
    """Files that must still be there, with the version that added each, and its hash.

    That is what is live, and what was removed at or after `since`: time travel reads it.
    """
    kept: dict[str, tuple[int, str]] = {}
    for one in links:
        if one.committed_at < since:
            for path in one.removed:
                kept.pop(path, None)
        kept |= {file.path: (one.gold_version, file.sha256) for file in one.added}
    return kept


def is_of(one: ChainLink, commit_file: bytes) -> bool:
    """Whether a link was made of this very commit, not of one with its number in another table."""
    return one.commit_hash == hashlib.sha256(commit_file).hexdigest()


def links_of(chain: DataFrame) -> list[ChainLink]:
    """Rows of gold.history_chain by version, their instants in UTC."""
    rows = chain.orderBy("gold_version").collect()
    # Spark hands out instants without a zone, in that of this machine
    return [
        ChainLink(
            **row.asDict(recursive=True) | {"committed_at": row["committed_at"].astimezone(UTC)}
        )
        for row in rows
    ]


def committed_times(chain: DataFrame) -> dict[int, datetime]:
    """When each chained version of Gold was committed, UTC."""
    rows = chain.select("gold_version", "committed_at").collect()
    return {row["gold_version"]: row["committed_at"].astimezone(UTC) for row in rows}


def commit_of(version: int, content: bytes) -> Commit:
    """What a commit file of Delta's log says of its version."""
    info: dict[str, Any] = {}
    added, removed = [], []
    # nothing but a line feed ends a line: a text of Delta's may hold other separators
    for line in filter(None, content.decode("utf-8").split("\n")):
        action = json.loads(line)
        info = action.get("commitInfo", info)
        if "add" in action:
            added.append(action["add"]["path"])
        elif "remove" in action:
            removed.append(action["remove"]["path"])
    return Commit(
        gold_version=version,
        committed_at=_EPOCH + timedelta(milliseconds=info["inCommitTimestamp"]),
        operation=info["operation"],
        commit_hash=hashlib.sha256(content).hexdigest(),
        added=tuple(added),
        removed=tuple(removed),
    )


def contents_of(history: DataFrame) -> dict[int, Content]:
    """What each Gold version changed, from its history rows; a version without rows is absent."""
    return _by_version(history, "gold_version", F.lit(1))


def digests_of(history: DataFrame) -> dict[int, str]:
    """What each Gold version's history rows say, in whichever order; without rows: absent.

    The SHA-256 of each row in four parts, and each part summed up. A null counts for nothing, so
    that a column which comes later leaves the digests of before as they were.
    """
    row = F.sha2(F.to_json(F.struct("*")), 256)
    hashed = history.select("gold_version", row.alias("row"))
    parts = [F.conv(F.substring("row", 1 + 16 * n, 16), 16, 10) for n in range(4)]
    sums = [F.sum(part.cast("decimal(20,0)")).alias(f"part{n}") for n, part in enumerate(parts)]
    return {
        row["gold_version"]: "-".join(f"{int(row[f'part{n}']):x}" for n in range(4))
        for row in hashed.groupBy("gold_version").agg(*sums).collect()
    }


def differences_of(changes: DataFrame) -> dict[int, Content]:
    """How much more each version of Gold's change feed left in Gold than the one before it."""
    kinds = F.create_map(*[F.lit(each) for pair in _SIGN.items() for each in pair])
    return _by_version(changes, "_commit_version", F.element_at(kinds, F.col("_change_type")))


def content_of(gold: DataFrame) -> Content:
    """All rows of a frame with an amount and a currency, Gold's or history's."""
    one_version = gold.withColumn("version", F.lit(0))
    return _by_version(one_version, "version", F.lit(1)).get(0, Content())


def running(before: Content, differences: Sequence[Content]) -> list[Content]:
    """What there is behind each of the differences."""
    totals = [before]
    for difference in differences:
        totals.append(totals[-1] + difference)
    return totals[1:]


def gold_content(one: ChainLink) -> Content:
    """What a link says of all of Gold."""
    amounts = {each: Decimal(total) for each, total in json.loads(one.gold_amounts).items()}
    return Content(one.gold_rows, amounts)


def _by_version(rows: DataFrame, version: str, sign: Column) -> dict[int, Content]:
    sums = rows.groupBy(F.col(version).alias("version"), "currency").agg(
        F.sum(sign).alias("rows"), F.sum(sign * F.col("amount")).cast("decimal(25,2)").alias("sum")
    )
    found: dict[int, Content] = {}
    for row in sums.collect():
        has_amount = row["currency"] is not None and row["sum"] is not None
        amounts = {row["currency"]: row["sum"]} if has_amount else {}
        # added to nothing, so that sums of 0 are left out everywhere
        part = Content() + Content(row["rows"], amounts)
        found[row["version"]] = found.get(row["version"], Content()) + part
    return found
