"""A command that asks a question: over in seconds, and most of those are the start of Java."""

from __future__ import annotations

import os

BRIEF = "-XX:TieredStopAtLevel=1"
"""Java compiles quickly rather than well: its other compiler takes a core, and pays off later."""


def be_brief() -> None:
    """Start Java so in this process, unless the environment says how."""
    os.environ.setdefault("SPARK_SUBMIT_OPTS", BRIEF)
