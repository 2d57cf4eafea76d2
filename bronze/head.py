"""What the first bytes of a delivered file say of it: encoding, header, kind. Pure.

A UTF-8 byte order mark is allowed, and no part of the text.
"""

from __future__ import annotations

import csv
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from bronze.faults import Fault
from bronze.json_shape import misshape, objects_of
from bronze.signatures import format_of
from lakehouse.records.codes import DropFault

HEAD_BYTES = 65_536
"""How much of a file is its head."""

REQUIRED: Mapping[str, frozenset[str]] = {
    "transactions": frozenset(
        {"transaction_id", "user_id", "timestamp", "amount", "currency", "country",
         "transaction_status"}
    ),
    "money_events": frozenset(
        {"event_id", "transaction_id", "event_type", "amount", "currency", "timestamp"}
    ),
    "policies": frozenset({"policy_id", "policy_name", "policy_data", "effective_date"}),
    "fraud_scores": frozenset({"model_version", "transaction_id", "fraud_score", "inference_time"}),
    "fx_rates": frozenset({"rate_date", "base", "currency", "rate"}),
}  # fmt: skip
"""Fields without which Silver refuses every row of a kind."""


def head_fault(kind: str, file_format: str, head: bytes) -> Fault | None:
    """What is wrong with a CSV or JSON lines file by its first HEAD_BYTES; None if nothing."""
    if not head.removeprefix(BOM_UTF8).strip() and len(head) < HEAD_BYTES:
        return Fault(DropFault.EMPTY, "there is nothing in the file but blanks, if anything")
    if found := format_of(head):
        reason = f"the file looks like {found}: its name promises {file_format}, as text"
        return Fault(DropFault.UNKNOWN_FORMAT, reason)
    first, is_whole, rest = _first_line(head)
    if foreign := _foreign(head, first if is_whole else b""):
        return Fault(DropFault.FOREIGN_ENCODING, foreign)
    if file_format == "json":
        text = head.removeprefix(BOM_UTF8).decode(errors="replace")
        lines = [line.decode(errors="replace") for line in (first, *rest)] if is_whole else []
        return _fault_of_json(kind, text, lines)
    if not is_whole:
        return Fault(DropFault.WRONG_HEADER, f"the first line has more than {HEAD_BYTES} bytes")
    header = first.decode().removesuffix("\r")
    if "\r" in header:
        return Fault(DropFault.WRONG_HEADER, "its lines end in CR alone: expected LF or CRLF")
    # as in `lakehouse.texts`, a row is read where its quotes are
    return columns_fault(kind, next(csv.reader([header]), []))


def columns_fault(kind: str, columns: Collection[str]) -> Fault | None:
    """What is wrong with the columns of a CSV or Parquet file; None if nothing."""
    if (missing := REQUIRED[kind] - {*columns}) and (other := _other_kind(kind, columns)):
        return _wrong_kind(kind, other)
    if missing:
        names = ", ".join(sorted(missing))
        return Fault(DropFault.WRONG_HEADER, f"a file of {kind} needs the columns {names}")
    if repeated := sorted(name for name, times in Counter(columns).items() if times > 1):
        return Fault(DropFault.WRONG_HEADER, f"the header names {', '.join(repeated)} twice")
    return None


def _fault_of_json(kind: str, text: str, lines: Sequence[str]) -> Fault | None:
    objects = [value.keys() for value in objects_of(lines)]
    if objects:
        return _fault_of_objects(kind, objects)
    wrong = misshape(text, lines)
    return Fault(DropFault.WRONG_FORMAT, wrong) if wrong else None


def _fault_of_objects(kind: str, objects: Sequence[Collection[str]]) -> Fault | None:
    # an object that lacks what it needs is refused as a row: a file is told by those that do not
    others = Counter(filter(None, (_other_kind(kind, fields) for fields in objects)))
    if others and not any(REQUIRED[kind] <= {*fields} for fields in objects):
        return _wrong_kind(kind, others.most_common(1)[0][0])
    if not any(REQUIRED[kind] & {*fields} for fields in objects):
        names = ", ".join(sorted(REQUIRED[kind]))
        reason = f"a file of {kind} needs the fields {names}; its first rows have none of them"
        return Fault(DropFault.WRONG_HEADER, reason)
    return None


def _other_kind(kind: str, columns: Collection[str]) -> str | None:
    """The kind whose fields these are, if they are not those of `kind`."""
    fitting = [name for name, required in REQUIRED.items() if required <= {*columns}]
    return None if kind in fitting or not fitting else fitting[0]


def _wrong_kind(kind: str, other: str) -> Fault:
    reason = f"these are {other}, but it lies under {kind}/: deliver it under {other}/"
    return Fault(DropFault.WRONG_KIND, reason)


def _first_line(head: bytes) -> tuple[bytes, bool, list[bytes]]:
    """The first line, whether it ends here, and the whole lines behind it."""
    text = head.removeprefix(BOM_UTF8)
    lines = text.split(b"\n")
    is_end = len(head) < HEAD_BYTES
    whole = lines if is_end else lines[:-1]
    return lines[0], bool(whole), whole[1:]


def _foreign(head: bytes, first: bytes) -> str | None:
    if head.startswith((BOM_UTF16_BE, BOM_UTF16_LE)):
        return "the file is UTF-16 by its byte order mark: expected UTF-8"
    if b"\0" in first:
        return "the first line has zero bytes, as UTF-16 has: expected UTF-8"
    try:
        first.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} of the first line is not UTF-8"
    return None
