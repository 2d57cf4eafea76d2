"""The hash chain: what holds, and what each kind of tampering is called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from gold.chain import (
    GENESIS,
    Break,
    Commit,
    Content,
    commit_of,
    files_kept,
    gold_content,
    is_of,
    link,
    live_files,
    running,
    verify,
)
from lakehouse.records.gold import ChainLink, HashedFile


def a_commit(version: int) -> Commit:
    """Each version replaces the file of the one before."""
    removed = (f"f{version - 1}",) if version else ()
    at = datetime(2026, 3, 9, 12, version, tzinfo=UTC)
    return Commit(version, at, "MERGE", "f" * 64, (f"f{version}",), removed)


def a_link(previous: str, version: int, rows: int = 1) -> ChainLink:
    content = Content(rows, {"EUR": Decimal("1200.00")})
    return link(previous, a_commit(version), {f"f{version}": "a" * 64}, content, "d", content)


@pytest.fixture
def links() -> list[ChainLink]:
    chain: list[ChainLink] = []
    for version in range(4):
        previous = chain[-1].hash if chain else GENESIS
        chain.append(a_link(previous, version, rows=version))
    return chain


def test_a_chain_as_it_was_written_holds(links: list[ChainLink]) -> None:
    assert verify(links) == []


def test_an_empty_chain_holds() -> None:
    assert verify([]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"amounts": '{"EUR": "1.00"}'},
        {"rows_changed": 7},
        {"rows_digest": "e"},
        {"gold_rows": 7},
        {"gold_amounts": "{}"},
        {"commit_hash": "0" * 64},
        {"added": [HashedFile(path="f2", sha256="0" * 64)]},
        {"removed": []},
        {"operation": "WRITE"},
        {"committed_at": datetime(2026, 3, 9, 12, 2, 0, 1, tzinfo=UTC)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_field_is_found(links: list[ChainLink], change: dict[str, object]) -> None:
    links[2] = links[2].model_copy(update=change)
    assert verify(links) == [Break(2, "differs from its hash")]


def test_a_link_hashed_anew_no_longer_carries_the_next_one(links: list[ChainLink]) -> None:
    links[1] = a_link(links[0].hash, 1, rows=9)
    assert verify(links) == [Break(2, "does not follow from the link before it")]


def test_a_dropped_version_is_found(links: list[ChainLink]) -> None:
    del links[1]
    assert verify(links) == [
        Break(2, "stands where version 1 should"),
        Break(2, "does not follow from the link before it"),
    ]


def test_versions_in_another_order_are_found(links: list[ChainLink]) -> None:
    links[1], links[2] = links[2], links[1]
    assert [found.gold_version for found in verify(links)] == [2, 2, 1, 1, 3, 3]


def test_an_instant_hashes_alike_in_every_zone(links: list[ChainLink]) -> None:
    elsewhere = links[3].committed_at.astimezone(timezone(timedelta(hours=5)))
    links[3] = links[3].model_copy(update={"committed_at": elsewhere})
    assert verify(links) == []


def test_a_file_is_kept_while_it_is_live_or_was_removed_within_the_horizon(
    links: list[ChainLink],
) -> None:
    assert live_files(links) == {"f3": "a" * 64}
    # version 2 removed f1 at 12:02, version 1 removed f0 at 12:01
    assert set(files_kept(links, links[2].committed_at)) == {"f1", "f2", "f3"}
    assert set(files_kept(links, links[3].committed_at + timedelta(seconds=1))) == {"f3"}


def test_a_file_of_the_change_feed_is_kept_by_its_age_and_is_never_live(
    links: list[ChainLink],
) -> None:
    path, when = "_change_data/c.parquet", links[1].committed_at
    changes = HashedFile(path=path, sha256="b" * 64)
    links[1] = links[1].model_copy(update={"added": [*links[1].added, changes]})
    assert path not in live_files(links)
    assert path in files_kept(links, when - timedelta(days=1))
    # what is as old as the horizon may have gone a moment before its commit had that age
    assert path not in files_kept(links, when - timedelta(hours=23))


def test_what_a_version_leaves_is_what_was_there_and_its_difference() -> None:
    eur, none = {"EUR": Decimal("5.00")}, {"EUR": Decimal("-5.00")}
    behind = running(Content(), [Content(2, eur), Content(0, none | {"JPY": Decimal(1)})])
    assert behind == [Content(2, eur), Content(2, {"JPY": Decimal(1)})]
    assert gold_content(a_link(GENESIS, 0)) == Content(1, {"EUR": Decimal("1200.00")})


def test_a_commit_file_tells_its_files_and_every_byte_of_it_counts() -> None:
    content = (
        b'{"commitInfo":{"inCommitTimestamp":1773057600000,"operation":"MERGE"}}\n'
        b'{"add":{"path":"event_date=2026-03-08/region=EU/b.parquet"}}\n'
        b'{"add":{"path":"a.parquet"}}\n{"remove":{"path":"c.parquet"}}\n'
        b'{"cdc":{"path":"_change_data/d.parquet"}}\n'
    )
    commit = commit_of(7, content)
    assert (commit.gold_version, commit.operation) == (7, "MERGE")
    assert commit.committed_at == datetime(2026, 3, 9, 12, tzinfo=UTC)
    assert commit.added == (
        "event_date=2026-03-08/region=EU/b.parquet", "a.parquet", "_change_data/d.parquet"
    )  # fmt: skip
    assert commit.removed == ("c.parquet",)
    made_of_it = a_link(GENESIS, 7).model_copy(update={"commit_hash": commit.commit_hash})
    assert is_of(made_of_it, content)
    assert not is_of(made_of_it, content + b"\n")
