"""How delivered texts are read, in every layer alike: JSON objects, CSV cells, instants."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from pyspark.sql import Column
from pyspark.sql import functions as F

# quoted (with "" for a quote) or plain; with a comma before the first too, no match is empty
_CELL = r',("(?:[^"]|"")*+"(?=,|$)|[^,]*+)'
_STRICT = {"allowSingleQuotes": "false"}
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_INSTANT = (
    rf"^{_DAY}[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]{{1,9}})?)?"
    r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
)
_NO_SECONDS = r"^[0-9-]{10}[T ][0-9]{2}:[0-9]{2}(?=Z|[+-])"
_EPOCH_MILLIS = r"^-?[0-9]{1,15}$"


def only_object(text: Column) -> Column:
    """`map<string,string>` of a text that is exactly one JSON object; null of any other.

    Strings lose their quotes, nested values are JSON text, in which Spark writes numbers its own
    way. Of a field that occurs twice, both stay.
    """
    # a text that brings such company itself, and then goes on, is no value of an object
    has_company = text.rlike(r"null\s*+\]")
    named = F.concat(F.lit('{"":'), text, F.lit("}"))
    is_value = F.from_json(named, "map<string,map<string,string>>", _STRICT).isNotNull()

    def alone(values: Column) -> Column:
        is_alone = (F.size(values) == 2) & F.element_at(values, 2).isNull()
        return F.when(is_alone & (~has_company | is_value), F.element_at(values, 1))

    # Spark ignores what follows a complete value: only in company does it have to end
    in_company = F.concat(F.lit("["), text, F.lit(",null]"))
    values = F.from_json(in_company, "array<map<string,string>>", _STRICT)
    # a one-element array names the values, so that they are parsed once
    return F.element_at(F.transform(F.array(values), alone), 1)


def csv_pieces(line: Column) -> Column:
    """Cells of a CSV line as they stand there, a comma before each: joined, a comma and the line.

    Quotes as in RFC 4180, but a row is one line.
    """
    return F.regexp_extract_all(F.concat(F.lit(","), line), F.lit(_CELL), F.lit(0))


def csv_cells(line: Column) -> Column:
    """What each cell of a CSV line says, without its quotes."""
    # most lines are plain, and to split one takes a fraction of the time
    is_plain = ~line.contains('"') & ~line.contains("\r")
    return F.when(is_plain, F.split(line, ",")).otherwise(_quoted_cells(line))


def _quoted_cells(line: Column) -> Column:
    whole = F.concat(F.lit(","), F.regexp_replace(line, r"\r$", ""))
    written = F.regexp_extract_all(whole, F.lit(_CELL), F.lit(1))
    return F.transform(written, _unquoted)


def csv_cell(header: Column, line: Column, name: str) -> Column:
    """What the cell under `name` says; null where there is no such name or no such cell."""
    place = F.array_position(csv_cells(header), name)
    # no place is 0
    return F.get(csv_cells(line), F.when(place > 0, place - 1).cast("int"))


def instant_of(text: Column, *, or_day: bool = False) -> Column:
    """ISO-8601 with an offset, or epoch milliseconds; `or_day`: also a day, its midnight in UTC.

    Null for any other text. Blanks around it are the caller's matter.
    """
    # Spark reads no instant without seconds
    upper = F.upper(text)
    has_seconds = upper.substr(17, 1) == ":"
    whole = F.when(has_seconds, upper).otherwise(F.regexp_replace(upper, _NO_SECONDS, "$0:00"))
    is_iso = whole.rlike(f"{_INSTANT}|^{_DAY}$" if or_day else _INSTANT)
    is_millis = whole.rlike(_EPOCH_MILLIS)
    return F.when(is_iso, F.try_to_timestamp(whole)).when(
        is_millis, F.timestamp_millis(whole.cast("bigint"))
    )


def typed_instant(text: str) -> datetime:
    """ISO 8601 with an offset, or a day (its midnight in UTC), as a person types it; in UTC.

    Raises:
        ValueError: it is neither, and says what would be.
    """
    wanted = f"{text!r} is neither a day nor ISO 8601 with an offset, as in 2026-03-09T14:03:00Z"
    try:
        if len(text) == len("2026-03-09"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(wanted) from None
    if instant.tzinfo is None:
        raise ValueError(wanted)
    return instant.astimezone(UTC)


def _unquoted(cell: Column) -> Column:
    is_quoted = cell.startswith('"') & cell.endswith('"') & (F.length(cell) >= 2)
    inner = cell.substr(F.lit(2), F.length(cell) - 2)
    return F.when(is_quoted, F.replace(inner, F.lit('""'), F.lit('"'))).otherwise(cell)
