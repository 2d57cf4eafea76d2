"""What bytes are that are no text, by the first few of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

_SIGNATURES: Mapping[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a ZIP archive, as .xlsx is one",
    b"PAR1": "Parquet",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"Obj\x01": "Avro",
    b"\xd0\xcf\x11\xe0": "an old Office document, as .xls is one",
    b"%PDF": "PDF",
}


def format_of(head: bytes) -> str | None:
    """The format that begins like this; None if it may be a text."""
    return next((name for first, name in _SIGNATURES.items() if head.startswith(first)), None)
