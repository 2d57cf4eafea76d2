"""The hash chain: what holds, and what each kind of tampering is called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gold.chain import GENESIS, Break, Commit, Content, link, verify
from lakehouse.records.gold import ChainLink


def a_commit(version: int) -> Commit:
    return Commit(version, datetime(2026, 3, 9, 12, version, tzinfo=UTC), "MERGE", "f" * 64)


@pytest.fixture
def links() -> list[ChainLink]:
    chain: list[ChainLink] = []
    for version in range(4):
        previous = chain[-1].hash if chain else GENESIS
        content = Content(rows_changed=version, amounts='{"EUR": "1200.00"}')
        chain.append(link(previous, a_commit(version), content))
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
        {"files_hash": "0" * 64},
        {"operation": "WRITE"},
        {"committed_at": datetime(2026, 3, 9, 12, 2, 0, 1, tzinfo=UTC)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_field_is_found(links: list[ChainLink], change: dict[str, object]) -> None:
    links[2] = links[2].model_copy(update=change)
    assert verify(links) == [Break(2, "content differs from its hash")]


def test_a_link_hashed_anew_no_longer_carries_the_next_one(links: list[ChainLink]) -> None:
    links[1] = link(links[0].hash, a_commit(1), Content(rows_changed=9))
    assert verify(links) == [Break(2, "does not follow from the link before it")]


def test_a_dropped_version_is_found(links: list[ChainLink]) -> None:
    del links[1]
    assert verify(links) == [
        Break(2, "version 1 should stand here"),
        Break(2, "does not follow from the link before it"),
    ]


def test_versions_in_another_order_are_found(links: list[ChainLink]) -> None:
    links[1], links[2] = links[2], links[1]
    assert [found.gold_version for found in verify(links)] == [2, 2, 1, 1, 3, 3]


def test_an_instant_hashes_alike_in_every_zone(links: list[ChainLink]) -> None:
    elsewhere = links[3].committed_at.astimezone(timezone(timedelta(hours=5)))
    links[3] = links[3].model_copy(update={"committed_at": elsewhere})
    assert verify(links) == []
