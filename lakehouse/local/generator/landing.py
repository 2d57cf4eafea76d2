"""Write drops to a local landing folder: each file at once, a complete day marked last."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path, PurePosixPath

from lakehouse.local.generator.sheets import SUCCESS, DropFile


def write_drops(drops: Iterable[DropFile], landing_dir: Path | str) -> list[Path]:
    """Write drop files; return those that were new or different, in the order written.

    An unchanged file is left alone. A day that changes loses its `_SUCCESS` first and gets it
    back last, so that no reader takes a half-written day for a complete one.
    """
    landing = Path(landing_dir)
    written: list[Path] = []
    by_folder = sorted(drops, key=_folder)
    for folder, group in groupby(by_folder, key=_folder):
        day = list(group)
        changed = [drop for drop in day if _differs(landing / drop.path, drop.content)]
        if not changed:
            continue
        marker = landing / folder / SUCCESS
        marker.unlink(missing_ok=True)
        marks = [drop for drop in day if PurePosixPath(drop.path).name == SUCCESS]
        data = [drop for drop in changed if drop not in marks]
        for drop in data + marks:
            _replace(landing / drop.path, drop.content)
            written.append(landing / drop.path)
    return written


def _folder(drop: DropFile) -> str:
    return str(PurePosixPath(drop.path).parent)


def _differs(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() != content
    except FileNotFoundError:
        return True


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # a leading dot: loaders skip it if the process dies before the rename
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
