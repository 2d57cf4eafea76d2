"""How long things take beside each other in one process: the best of some rounds each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

Work = Callable[[], None]


def best_of(
    works: Mapping[str, Work], rounds: int, afterwards: Work | None = None
) -> dict[str, float]:
    """Seconds of each; they take turns, so that a slow spell of the machine meets all of them.

    What is done `afterwards`, behind each, is not timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            begun = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - begun)
            if afterwards is not None:
                afterwards()
    return {name: min(found) for name, found in seconds.items()}


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    grid = Table(*columns, title=title, title_justify="left")
    for row in rows:
        grid.add_row(*row)
    Console(width=120).print(grid)
