"""Options and arguments that several commands share."""

from __future__ import annotations

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


ConfigPath = Annotated[Path, typer.Option("--config", help="The one config file.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]
TransactionId = Annotated[str, typer.Argument(parser=_uuid, metavar="UUID", help="Which payment.")]

__all__ = ["DEFAULT_CONFIG", "AsJson", "ConfigPath", "TransactionId"]
