"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.job import DEFAULT_CONFIG

ConfigPath = Annotated[Path, typer.Option("--config", help="The one config file.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]

__all__ = ["DEFAULT_CONFIG", "AsJson", "ConfigPath"]
