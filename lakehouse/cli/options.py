"""Options and arguments that several commands share."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from lakehouse.config import DEFAULT_CONFIG


def _uuid(text: str) -> str:
    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a UUID") from None


def _instant(text: str) -> datetime:
    wanted = f"{text!r} is neither a day nor ISO 8601 with an offset, as in 2026-03-09T14:03:00Z"
    try:
        if len(text) == len("2026-03-09"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(wanted) from None
    if instant.tzinfo is None:
        raise typer.BadParameter(wanted)
    return instant.astimezone(UTC)


def some_text(text: str) -> str:
    """A text that says something, without the blanks around it."""
    if not text.strip():
        raise typer.BadParameter("expected some text, got a blank")
    return text.strip()


ConfigPath = Annotated[Path, typer.Option("--config", help="The one config file.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]
TransactionId = Annotated[str, typer.Argument(parser=_uuid, metavar="UUID", help="Which payment.")]
SomeTransactionId = Annotated[
    str | None, typer.Argument(parser=_uuid, metavar="UUID", help="Which payment.")
]
SomeUserId = Annotated[
    str | None, typer.Option("--user", parser=some_text, metavar="ID", help="Whose payments.")
]
Since = Annotated[
    datetime | None,
    typer.Option(parser=_instant, metavar="TIME", help="From this instant or day (UTC) on."),
]

__all__ = [
    "DEFAULT_CONFIG",
    "AsJson",
    "ConfigPath",
    "Since",
    "SomeTransactionId",
    "SomeUserId",
    "TransactionId",
]
