"""A stretch of days as an operator names it."""

from __future__ import annotations

from datetime import date, timedelta

import typer

DAYS = "DAY[:LAST]"


def days_named(text: str, option: str) -> frozenset[date]:
    """The days of `2026-03-02` or `2026-03-02:2026-03-08`, both ends included.

    Raises:
        BadParameter: it is no such text, or ends before it begins.
    """
    first, colon, last = text.partition(":")
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last if colon else first)
    except ValueError:
        raise typer.BadParameter(
            f"expected a day, or two as FIRST:LAST (YYYY-MM-DD), got {text!r}", param_hint=option
        ) from None
    if end < begin:
        raise typer.BadParameter(f"{text} ends before it begins", param_hint=option)
    return frozenset(begin + timedelta(days=n) for n in range((end - begin).days + 1))
