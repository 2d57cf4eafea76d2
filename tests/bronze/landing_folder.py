"""A landing folder to put files into."""

from __future__ import annotations

from pathlib import Path

HEADER = "event_id,amount,currency,note"


def csv(*lines: str) -> str:
    return "\n".join((HEADER, *lines)) + "\n"


def deliver(
    landing: str, name: str, content: str | bytes, *, day: str = "2026-03-08", done: bool = True
) -> Path:
    """Put a money events file there; `done` marks the day as complete."""
    folder = Path(landing) / "money_events" / f"date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    if done:
        (folder / "_SUCCESS").touch()
    return folder / name
