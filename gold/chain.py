"""The hash chain over Gold's versions: each link holds the hash of the one before; pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.records.gold import ChainLink

GENESIS = "0" * 64
"""The previous hash of the first link."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Commit:
    """What the Delta log says of one version of Gold; the time is UTC."""

    gold_version: int
    committed_at: datetime
    operation: str
    files_hash: str


@dataclass(frozen=True)
class Content:
    """What a version did to Gold's rows; `amounts` is JSON: sum of `amount` by currency."""

    rows_changed: int = 0
    amounts: str = "{}"


@dataclass(frozen=True)
class Break:
    """Where a chain does not hold, and why."""

    gold_version: int
    reason: str


def link(previous_hash: str, commit: Commit, content: Content) -> ChainLink:
    """The link of one version behind the link with `previous_hash`."""
    unsigned = ChainLink(
        gold_version=commit.gold_version,
        committed_at=commit.committed_at,
        operation=commit.operation,
        rows_changed=content.rows_changed,
        amounts=content.amounts,
        files_hash=commit.files_hash,
        previous_hash=previous_hash,
        hash="",
    )
    return unsigned.model_copy(update={"hash": hash_of(unsigned)})


def hash_of(one: ChainLink) -> str:
    """SHA-256 over all fields but the hash itself, as a JSON array; instants as epoch micros."""
    micros = (one.committed_at.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    canonical = json.dumps(
        [one.previous_hash, one.gold_version, micros, one.operation, one.rows_changed,
         one.amounts, one.files_hash],
        separators=(",", ":"),
    )  # fmt: skip
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def verify(links: Iterable[ChainLink]) -> list[Break]:
    """Every place where the links, in the order given, are no chain from version 0 on."""
    breaks = []
    previous_hash, expected = GENESIS, 0
    for one in links:
        if one.gold_version != expected:
            breaks.append(Break(one.gold_version, f"version {expected} should stand here"))
        if one.previous_hash != previous_hash:
            breaks.append(Break(one.gold_version, "does not follow from the link before it"))
        if one.hash != hash_of(one):
            breaks.append(Break(one.gold_version, "content differs from its hash"))
        previous_hash, expected = one.hash, one.gold_version + 1
    return breaks


def is_of(one: ChainLink, commit: Commit) -> bool:
    """Whether a link was made of this very commit, not of one with its number in another table."""
    return (one.committed_at, one.files_hash) == (commit.committed_at, commit.files_hash)


def links_of(chain: DataFrame) -> list[ChainLink]:
    """Rows of gold.history_chain by version, their instants in UTC."""
    rows = chain.orderBy("gold_version").collect()
    # Spark hands out instants without a zone, in that of this machine
    return [
        ChainLink(**row.asDict() | {"committed_at": row["committed_at"].astimezone(UTC)})
        for row in rows
    ]


def commit_of(version: int, lines: Iterable[str]) -> Commit:
    """What a commit file of Delta's log, line by line, says of its version.

    `files_hash` is the SHA-256 over the sorted SHA-256s of the lines that add or remove a file.
    """
    info: dict[str, Any] = {}
    of_files = []
    for line in lines:
        action = json.loads(line)
        info = action.get("commitInfo", info)
        if "add" in action or "remove" in action:
            of_files.append(hashlib.sha256(line.encode("utf-8")).hexdigest())
    return Commit(
        gold_version=version,
        committed_at=_EPOCH + timedelta(milliseconds=info["inCommitTimestamp"]),
        operation=info["operation"],
        files_hash=hashlib.sha256("".join(sorted(of_files)).encode("utf-8")).hexdigest(),
    )


def contents_of(history: DataFrame) -> dict[int, Content]:
    """What each Gold version changed, from its history rows; a version without rows is absent."""
    sums = history.groupBy("gold_version", "currency").agg(
        F.count(F.lit(1)).alias("rows"), F.sum("amount").cast("decimal(25,2)").alias("amount")
    )
    rows: dict[int, int] = {}
    amounts: dict[int, dict[str, str]] = {}
    for row in sums.collect():
        version = row["gold_version"]
        rows[version] = rows.get(version, 0) + row["rows"]
        if row["currency"] is not None and row["amount"] is not None:
            amounts.setdefault(version, {})[row["currency"]] = str(row["amount"])
    return {
        version: Content(count, json.dumps(amounts.get(version, {}), sort_keys=True))
        for version, count in rows.items()
    }
