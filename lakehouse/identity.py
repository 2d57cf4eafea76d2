"""Who a record is and where it came from: coordinates, content hashes, and UUIDs by name."""

from __future__ import annotations

from uuid import UUID, uuid5

from pyspark.sql import Column
from pyspark.sql import functions as F

NAMESPACE = UUID("6f0a8f6e-6f5b-5c39-9e0c-2f6f5d9b6a11")
"""Fixed for ever: every identity of a batch row and of a score is derived from it."""


def named_uuid(*parts: Column | str) -> Column:
    """UUID version 5 (RFC 9562, section 5.5) of the parts joined by `|`, as Spark expressions."""
    digest = F.sha1(
        F.concat(F.unhex(F.lit(NAMESPACE.hex)), F.encode(F.concat_ws("|", *parts), "UTF-8"))
    )
    # bytes: Spark would count the characters of a text for each piece of it
    digits, hyphen = digest.cast("binary"), F.lit(bytearray(b"-"))
    # two bits of the digit stay, behind 10
    variant = F.translate(
        F.substring(digits, 17, 1).cast("string"), "0123456789abcdef", "89ab" * 4
    ).cast("binary")
    return F.concat(
        F.substring(digits, 1, 8), hyphen,
        F.substring(digits, 9, 4), hyphen, F.lit(bytearray(b"5")),
        F.substring(digits, 14, 3), hyphen,
        variant, F.substring(digits, 18, 3), hyphen,
        F.substring(digits, 21, 12),
    ).cast("string")  # fmt: skip


def named_uuid_of(*parts: str) -> str:
    """The same in plain Python."""
    return str(uuid5(NAMESPACE, "|".join(parts)))


def kafka_coordinates() -> Column:
    """`kafka:TOPIC/PARTITION/OFFSET@TOPIC_ID` of a Bronze row.

    A topic that was deleted and created again counts its offsets from 0: the first eight
    characters of its id tell the two apart.
    """
    place = F.concat_ws(
        "/", "topic", F.col("partition").cast("string"), F.col("offset").cast("string")
    )
    return F.concat(F.lit("kafka:"), place, F.lit("@"), F.substring("topic_id", 1, 8))


def drop_coordinates() -> Column:
    """`file:PATH@SHA256#ROW` of a Bronze row, with the first 12 digits of the file's hash."""
    return F.concat(
        F.lit("file:"), "path", F.lit("@"), F.substring("file_sha256", 1, 12),
        F.lit("#"), F.col("row_number").cast("string"),
    )  # fmt: skip
