"""`python -m lakehouse.cli`: the command line where no script of it can be found, or moved."""

from __future__ import annotations

from lakehouse.cli import main

main()
