"""Options and arguments that several commands share."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from lakehouse.config import DEFAULT_CONFIG


def some_uuid(text: str) -> str:
    """A UUID, in lower case.

    Raises:
        BadParameter: it is none.
    """
    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a UUID") from None


def _instant(text: str) -> datetime:
    # Spark takes a second to import, with the texts of tables
    from lakehouse.texts import typed_instant

    try:
        return typed_instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def some_moment(text: str) -> str:
    """A version of Gold, or an instant or day (UTC), as it was typed.

    Raises:
        BadParameter: it is none of them.
    """
    if not text.strip().isdecimal():
        _instant(text.strip())
    return text.strip()


def some_text(text: str) -> str:
    """A text that says something, without the blanks around it."""
    if not text.strip():
        raise typer.BadParameter("expected some text, got a blank")
    return text.strip()


MOMENT_HELP = "a version of Gold, an instant, or a day: its beginning, 00:00 UTC."
ConfigPath = Annotated[Path, typer.Option("--config", help="The one config file.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]
TransactionId = Annotated[
    str, typer.Argument(parser=some_uuid, metavar="UUID", help="Which payment.")
]
SomeTransactionId = Annotated[
    str | None, typer.Argument(parser=some_uuid, metavar="UUID", help="Which payment.")
]
SomeUserId = Annotated[
    str | None, typer.Option("--user", parser=some_text, metavar="ID", help="Whose payments.")
]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=_instant,
        metavar="TIME",
        help="From this instant on, or the beginning of this day, 00:00 UTC.",
    ),
]

__all__ = [
    "DEFAULT_CONFIG",
    "AsJson",
    "ConfigPath",
    "Since",
    "SomeTransactionId",
    "SomeUserId",
    "TransactionId",
    "some_moment",
    "some_uuid",
]
