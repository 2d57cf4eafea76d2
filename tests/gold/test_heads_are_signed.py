"""A head vouches for one link of one table: anything else under its name is found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest import param

from gold.chain import GENESIS, Break
from gold.head import Head, contradiction, read_head, signed, verify_heads, written
from lakehouse.records.gold import ChainLink
from tests.gold.test_chain_names_every_break import a_link

KEY, OTHER_KEY = b"key", b"another key"
TABLE = "table-1"


@pytest.fixture
def links() -> list[ChainLink]:
    first = a_link(GENESIS, 0)
    return [first, a_link(first.hash, 1)]


def test_a_head_comes_back_as_it_was_written(links: list[ChainLink]) -> None:
    head = signed(TABLE, links[1], KEY)
    assert read_head(written(head)) == head
    assert contradiction(written(head), links[1], TABLE, KEY) is None


def test_a_chain_with_its_heads_holds(links: list[ChainLink]) -> None:
    stored = {one.gold_version: written(signed(TABLE, one, KEY)) for one in links}
    assert verify_heads(stored, links, TABLE, KEY) == []
    # a run may take several versions under one head
    assert verify_heads({1: stored[1]}, links, TABLE, KEY) == []


def test_a_chain_rewritten_from_its_start_is_not_the_signed_one(links: list[ChainLink]) -> None:
    stored = {one.gold_version: written(signed(TABLE, one, KEY)) for one in links}
    first = a_link(GENESIS, 0, rows=9)
    rewritten = [first, a_link(first.hash, 1)]
    found = verify_heads(stored, rewritten, TABLE, KEY)
    assert found == [Break(v, "is not the link that was signed") for v in (0, 1)]
    # and who has no key cannot sign it
    forged = {one.gold_version: written(signed(TABLE, one, OTHER_KEY)) for one in rewritten}
    found = verify_heads(forged, rewritten, TABLE, KEY)
    assert found == [Break(v, "its head is not signed by this key") for v in (0, 1)]


def test_an_end_without_a_head_and_a_head_beyond_the_end_are_found(links: list[ChainLink]) -> None:
    stored = {one.gold_version: written(signed(TABLE, one, KEY)) for one in links}
    (unsigned,) = verify_heads({0: stored[0]}, links, TABLE, KEY)
    assert unsigned == Break(1, "ends the chain, and no head was signed of it")
    (cut,) = verify_heads(stored, links[:1], TABLE, KEY)
    assert cut.gold_version == 1 and "was signed, but is not in the chain" in cut.reason


@pytest.mark.parametrize(
    "change, told",
    [
        param({"gold_version": 0}, "not signed by this key", id="another number"),
        param({"hash": "f" * 64}, "not signed by this key", id="another hash"),
        param({"table_id": "table-2"}, "not signed by this key", id="another table"),
        param({"signature": "0" * 64}, "not signed by this key", id="another signature"),
    ],
)
def test_no_field_of_a_head_can_change(
    links: list[ChainLink], change: dict[str, object], told: str
) -> None:
    head = replace(signed(TABLE, links[1], KEY), **change)  # type: ignore[arg-type]
    assert told in str(contradiction(written(head), links[1], TABLE, KEY))


def test_a_genuine_head_in_another_place_is_found(links: list[ChainLink]) -> None:
    first = written(signed(TABLE, links[0], KEY))
    assert contradiction(first, links[1], TABLE, KEY) == "its head is that of version 0"
    assert contradiction(first, links[0], "rebuilt", KEY) == "its head is of another Gold table"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b"\xff", b'{"table_id": 1, "gold_version": 1}',
     written(Head("t", "1", "h", "s"))],  # type: ignore[arg-type]
)  # fmt: skip
def test_what_is_no_head_is_called_so(links: list[ChainLink], content: bytes) -> None:
    assert contradiction(content, links[0], TABLE, KEY) == "its head cannot be read"
