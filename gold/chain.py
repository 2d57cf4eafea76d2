"""The hash chain over Gold's versions: each link holds the hash of the one before; pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.records.gold import ChainLink

GENESIS = "0" * 64
"""The previous hash of the first link."""

_ACTIONS = """
    add struct<path: string>, remove struct<path: string>,
    commitInfo struct<operation: string, inCommitTimestamp: bigint>"""
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


def links_of(chain: DataFrame) -> list[ChainLink]:
    """Rows of gold.history_chain by version, their instants in UTC."""
    rows = chain.orderBy("gold_version").collect()
    # Spark hands out instants without a zone, in that of this machine
    return [
        ChainLink(**row.asDict() | {"committed_at": row["committed_at"].astimezone(UTC)})
        for row in rows
    ]


def commits_of(log_lines: DataFrame) -> list[Commit]:
    """Commits from lines (`value`) of Delta's commit files (`file_name`), by version.

    `files_hash` is the SHA-256 over the sorted SHA-256s of the lines that add or remove a file.
    """
    action = F.from_json("value", _ACTIONS)
    is_file = F.col("action.add.path").isNotNull() | F.col("action.remove.path").isNotNull()
    version = F.substring_index("file_name", ".", 1).cast("long")
    commits = (
        log_lines.select(version.alias("version"), "value", action.alias("action"))
        .groupBy("version")
        .agg(
            F.first("action.commitInfo.operation", ignorenulls=True).alias("operation"),
            F.first("action.commitInfo.inCommitTimestamp", ignorenulls=True).alias("millis"),
            F.sha2(
                F.concat_ws(
                    "", F.sort_array(F.collect_list(F.when(is_file, F.sha2("value", 256))))
                ),
                256,
            ).alias("files_hash"),
        )
        .orderBy("version")
    )
    return [
        Commit(
            gold_version=row["version"],
            committed_at=_EPOCH + timedelta(milliseconds=row["millis"]),
            operation=row["operation"],
            files_hash=row["files_hash"],
        )
        for row in commits.collect()
    ]


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
