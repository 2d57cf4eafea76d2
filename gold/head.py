"""A signed head: that the chain ended so at a version, by whoever holds the key; pure."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter, ValidationError

from gold.chain import Break
from lakehouse.records.gold import ChainLink

# a key may sign other things too: a signature of those is none of a head
_PURPOSE = "lakehouse gold.history_chain head 1"
_UNCHAINED = "was signed, but is not in the chain; `lakehouse run record_history` adds it"


@dataclass(frozen=True)
class Head:
    """The last link of the chain of one Gold table, by Delta's id of the table, and a signature."""

    table_id: str
    gold_version: int
    hash: str
    signature: str  # HMAC-SHA256, hex


_HEAD = TypeAdapter(Head)


def signed(table_id: str, link: ChainLink, key: bytes) -> Head:
    """Sign that the chain ends with this link."""
    unsigned = Head(table_id, link.gold_version, link.hash, "")
    return Head(table_id, link.gold_version, link.hash, _signature(unsigned, key))


def is_genuine(head: Head, key: bytes) -> bool:
    """Whether this key signed it."""
    return hmac.compare_digest(head.signature.encode(), _signature(head, key).encode())


def written(head: Head) -> bytes:
    """A head as it is stored: JSON, always the same bytes."""
    return json.dumps(asdict(head), sort_keys=True).encode("ascii")


def read_head(content: bytes) -> Head | None:
    """A stored head; None where it is not one."""
    try:
        return _HEAD.validate_json(content, strict=True)
    except ValidationError:
        return None


def verify_heads(
    stored: Mapping[int, bytes], links: Sequence[ChainLink], table_id: str | None, key: bytes
) -> list[Break]:
    """Every head that contradicts the chain, and an end of the chain that nobody signed.

    Without a table id, heads of any table are taken.
    """
    chained = {link.gold_version: link for link in links}
    breaks = []
    for version, content in sorted(stored.items()):
        if version in chained:
            fault = contradiction(content, chained[version], table_id, key)
        else:
            fault = _fault_of(read_head(content), version, table_id, key) or _UNCHAINED
        if fault:
            breaks.append(Break(version, fault))
    if links and links[-1].gold_version not in stored:
        breaks.append(Break(links[-1].gold_version, "ends the chain, and no head was signed of it"))
    return breaks


def contradiction(
    head: bytes | None, link: ChainLink, table_id: str | None, key: bytes
) -> str | None:
    """Why a stored head is not the one of this link; None where it is."""
    if head is None:
        return "no head was signed of it"
    known = read_head(head)
    fault = _fault_of(known, link.gold_version, table_id, key)
    if fault is None and known is not None and known.hash != link.hash:
        fault = "is not the link that was signed"
    return fault


def _fault_of(head: Head | None, version: int, table_id: str | None, key: bytes) -> str | None:
    if head is None:
        return "its head cannot be read"
    if not is_genuine(head, key):
        return "its head is not signed by this key"
    if head.gold_version != version:
        return f"its head is that of version {head.gold_version}"
    if table_id is not None and head.table_id != table_id:
        return "its head is of another Gold table"
    return None


def _signature(head: Head, key: bytes) -> str:
    said = json.dumps([_PURPOSE, head.table_id, head.gold_version, head.hash])
    return hmac.new(key, said.encode("utf-8"), hashlib.sha256).hexdigest()
