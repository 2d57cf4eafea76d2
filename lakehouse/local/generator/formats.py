"""How a drop's rows become the bytes of a file: CSV, gzipped CSV, JSON lines or Parquet.

Equal rows give equal bytes: no clock, no host and no file name goes into a file.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from typing import Any, Literal

from lakehouse.local.generator.mess import to_json

Format = Literal["csv", "csv.gz", "jsonl", "parquet"]
Row = dict[str, Any]

INTEGER_COLUMNS = frozenset(("amount", "sequence"))


def encode(rows: Sequence[Row], columns: Sequence[str], file_format: Format) -> bytes:
    """Write rows in one format; an absent or None value is an empty field, or no key at all."""
    if file_format == "csv":
        return _csv(rows, columns)
    if file_format == "csv.gz":
        return _gzip(_csv(rows, columns))
    if file_format == "jsonl":
        return _json_lines(rows, columns)
    return _parquet(rows, columns)


def _csv(rows: Sequence[Row], columns: Sequence[str]) -> bytes:
    """RFC 4180 with a header: a quote inside a quoted field is doubled."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _gzip(content: bytes) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(content)
    return packed.getvalue()


def _json_lines(rows: Sequence[Row], columns: Sequence[str]) -> bytes:
    lines = [
        to_json({name: row[name] for name in columns if row.get(name) is not None}) for row in rows
    ]
    return b"".join(line + b"\n" for line in lines)


def _parquet(rows: Sequence[Row], columns: Sequence[str]) -> bytes:
    """Uncompressed; amount and sequence are 64-bit integers, everything else is text."""
    # a third of a second that only this format pays
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {}
    for name in columns:
        kind = pa.int64() if name in INTEGER_COLUMNS else pa.string()
        convert = _whole if name in INTEGER_COLUMNS else str
        values = [None if row.get(name) is None else convert(row[name]) for row in rows]
        arrays[name] = pa.array(values, kind)
    sink = io.BytesIO()
    pq.write_table(
        pa.table(arrays),
        sink,
        compression="NONE",
        use_dictionary=False,
        version="2.6",
        data_page_version="1.0",
        row_group_size=1_000_000,
    )
    return sink.getvalue()


def _whole(amount: int | str) -> int:
    return int(str(amount).partition(".")[0])
