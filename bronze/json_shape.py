"""Whether a text is JSON lines, one object per line, as its beginning tells. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

_EXPECTED = "expected one object per line, each line ended by LF or CRLF"


def objects_of(lines: Iterable[str]) -> list[Mapping[str, object]]:
    """The objects that stand in a line of their own; any other line is refused as a row."""
    return [value for line in lines if isinstance(value := _value(line), dict)]


def misshape(text: str, lines: Sequence[str]) -> str | None:
    """Why `text` is not JSON lines if none of its whole `lines` is an object.

    None if nobody can say, since the first line goes on behind the text.
    """
    if text.lstrip().startswith("["):
        return f"it is one JSON array: {_EXPECTED}"
    if _is_object_over_lines(text):
        return f"its objects go over several lines: {_EXPECTED}"
    if objects_of(text.split("\r")):
        return f"its lines end in CR alone: {_EXPECTED}"
    tried = sum(1 for line in lines if line.strip())
    return f"none of its first {tried} lines is a JSON object: {_EXPECTED}" if tried else None


def _is_object_over_lines(text: str) -> bool:
    whole = text.strip()
    try:
        _, end = json.JSONDecoder().raw_decode(whole)
    except (ValueError, RecursionError):
        return False
    return whole.startswith("{") and "\n" in whole[:end]


def _value(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
