"""A landing folder to put files into."""

from __future__ import annotations

from pathlib import Path

HEADER = "event_id,amount,currency,note,transaction_id,event_type,timestamp"


def a_row(cells: str) -> str:
    """A line of a money events file: its first four cells are given, the others are empty."""
    return f"{cells},,,"


def csv(*rows: str) -> str:
    """A money events file; each row is its first four cells, or a blank line."""
    return "\n".join((HEADER, *(row and a_row(row) for row in rows))) + "\n"


def deliver(
    landing: str,
    name: str,
    content: str | bytes,
    *,
    kind: str = "money_events",
    day: str = "2026-03-08",
    done: bool = True,
) -> Path:
    """Put a file there; `done` marks the day as complete."""
    folder = Path(landing) / kind / f"date={day}"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    if done:
        (folder / "_SUCCESS").touch()
    return folder / name
