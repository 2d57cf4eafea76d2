"""How results reach people (rich on a terminal, plain lines elsewhere) and programs (JSON)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table as Grid

_PLAIN_WIDTH = 160


def console() -> Console:
    """Standard output; wide enough for a table where it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)


def show_json(value: Any) -> None:
    """Print one JSON document: decimals as strings, instants as ISO-8601 UTC."""
    print(json.dumps(value, default=_plain, indent=2))


def show_grid(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; numbers stand right."""
    kept = [list(row) for row in rows]
    grid = Grid(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        numeric = all(isinstance(row[number], int | float | Decimal | None) for row in kept)
        grid.add_column(column, justify="right" if numeric and kept else "left", overflow="fold")
    for row in kept:
        grid.add_row(*[_cell(value) for value in row])
    console().print(grid)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show that long work is under way: a spinner on a terminal, a line elsewhere."""
    if not sys.stdout.isatty():
        print(f"- {title}", flush=True)
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console()) as progress:
        task = progress.add_task(title, total=1)
        yield
        progress.update(task, completed=1)


@contextmanager
def progress_of(title: str) -> Iterator[Callable[[int, int], None]]:
    """Give a callback `(done, total)`: a bar on a terminal, a first and a last line elsewhere."""
    if not sys.stdout.isatty():
        print(f"- {title}", flush=True)
        yield lambda _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console()) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, default=_plain)
    return _plain(value) if isinstance(value, datetime | date) else str(value)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "")
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", errors="replace")
    return str(value)
