"""How results reach people (rich) and programs (JSON) on standard output.

What is under way goes to standard error: a bar on a terminal, plain lines elsewhere.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table as Grid
from rich.text import Text

_PLAIN_WIDTH = 160
_PLAIN_SECONDS = 10.0  # from line to line
_NAME, _BAR = TextColumn("{task.description}", markup=False), BarColumn()

# a terminal has one place for bars: what starts inside another work joins it
_shown: ContextVar[Progress | None] = ContextVar("_shown", default=None)


def console() -> Console:
    """Standard output; wide enough for a table where it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)


def say(text: str) -> None:
    """Print one line about the result, as it is."""
    console().print(Text(text))


def note(text: str) -> None:
    """Print one line about the work on standard error."""
    print(f"- {text}", file=sys.stderr, flush=True)


def show_json(value: Any) -> None:
    """Print one JSON document: decimals as strings, instants as ISO-8601 with `Z`."""
    print(json.dumps(value, default=_for_programs, indent=2))


def show_grid(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; numbers stand right, and nothing in a cell is taken for markup."""
    console().print(_grid(title, columns, rows))


def _grid(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Grid:
    kept = [list(row) for row in rows]
    grid = Grid(title=Text(title), title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        numeric = all(isinstance(row[number], int | float | Decimal | None) for row in kept)
        grid.add_column(
            Text(column), justify="right" if numeric and kept else "left", overflow="fold"
        )
    for row in kept:
        grid.add_row(*[Text(_cell(value)) for value in row])
    return grid


@dataclass(frozen=True)
class Picture:
    """Work without an end at one moment: a table and lines below it; `line` says it in one."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    below: Sequence[str]
    line: str


@contextmanager
def pictures() -> Iterator[Callable[[Picture], None]]:
    """Give a callback that shows a picture in place of the last; elsewhere its line, now and then.

    A terminal that was closed shows nothing more, and the work goes on.
    """
    if not sys.stderr.isatty():
        with _lines() as tell:
            yield tell
        return
    with Live(console=Console(stderr=True, highlight=False), auto_refresh=False) as live:

        def show(picture: Picture) -> None:
            grid = _grid(picture.title, picture.columns, picture.rows)
            with suppress(OSError):
                live.update(Group(grid, *map(Text, picture.below)), refresh=True)

        yield show


@contextmanager
def _lines() -> Iterator[Callable[[Picture], None]]:
    due, untold = time.monotonic(), ""

    def tell(picture: Picture) -> None:
        nonlocal due, untold
        untold = picture.line
        if time.monotonic() >= due:
            tell_now()

    def tell_now() -> None:
        nonlocal due, untold
        with suppress(OSError):
            note(untold)
        due, untold = time.monotonic() + _PLAIN_SECONDS, ""

    try:
        yield tell
    finally:
        if untold:
            tell_now()  # how it ended


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show that work of unknown length is under way: a spinner, or a line."""
    if not sys.stderr.isatty():
        note(title)
        yield
        return
    with _bars(SpinnerColumn(), _NAME, TimeElapsedColumn()) as bars:
        task = bars.add_task(title, total=1)
        yield
        bars.update(task, completed=1)


@contextmanager
def steps(total: int) -> Iterator[Callable[[str], None]]:
    """Give a callback that names the next of `total` steps: one bar over all, or a line each."""
    if not sys.stderr.isatty():
        yield note
        return
    with _bars(SpinnerColumn(), _BAR, MofNCompleteColumn(), TimeElapsedColumn(), _NAME) as bars:
        task, begun = bars.add_task("", total=total), 0

        def next_one(title: str) -> None:
            nonlocal begun
            bars.update(task, completed=begun, description=title)
            begun += 1

        yield next_one
        bars.update(task, completed=total, description="done")


@contextmanager
def progress_of(title: str) -> Iterator[Callable[[int, int], None]]:
    """Give a callback `(done, total)` for work of known length: a bar, or a line."""
    if not sys.stderr.isatty():
        note(title)
        yield lambda _done, _total: None
        return
    with _bars(_NAME, _BAR, MofNCompleteColumn()) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
        bars.remove_task(task)


@contextmanager
def _bars(*columns: ProgressColumn) -> Iterator[Progress]:
    outer = _shown.get()
    if outer is not None:
        yield outer
        return
    with Progress(*columns, console=Console(stderr=True)) as bars:
        token = _shown.set(bars)
        try:
            yield bars
        finally:
            _shown.reset(token)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, default=_for_people)
    return _for_people(value)


def _for_people(value: Any) -> str:
    if isinstance(value, datetime):
        # a column's title says that it is UTC
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
    return _for_programs(value)


def _for_programs(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", errors="replace")
    return str(value)
