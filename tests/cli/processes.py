"""`lakehouse` as a shell runs it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import ROOT

LAKEHOUSE = Path(sys.executable).parent / "lakehouse"


def lakehouse(
    *words: str, overrides: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `overrides` are settings, as in `GOLD__LOCATE_WINDOW_DAYS`."""
    own = {f"LAKEHOUSE__{key}": value for key, value in (overrides or {}).items()}
    return subprocess.run(
        [LAKEHOUSE, *words],
        cwd=ROOT,
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
