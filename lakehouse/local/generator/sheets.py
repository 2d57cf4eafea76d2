"""A sheet is one data file of a drop before it is bytes; a day is its sheets and its totals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby
from typing import NamedTuple

from lakehouse.local.generator.formats import Format, Row, encode
from lakehouse.local.generator.world import CURRENCIES

SUCCESS = "_SUCCESS"
CONTROL = "_CONTROL.json"


class DropFile(NamedTuple):
    """One file of the landing folder: path relative to it, with `/`, and its bytes."""

    path: str
    content: bytes


class Sheet(NamedTuple):
    """One data file: what lands under `kind`/date=`delivered` as `stem`.`file_format`.

    `controlled` says that the sender gives its own totals for that day; `planted` names the mess
    in it, by position of the row.
    """

    kind: str
    delivered: date
    stem: str
    file_format: Format
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    controlled: bool = False
    planted: tuple[tuple[int, str], ...] = ()

    @property
    def folder(self) -> str:
        """The folder of the day, relative to the landing folder."""
        return f"{self.kind}/date={self.delivered.isoformat()}"

    @property
    def path(self) -> str:
        """The file, relative to the landing folder."""
        return f"{self.folder}/{self.stem}.{self.file_format}"


def drop_files(sheets: Iterable[Sheet]) -> list[DropFile]:
    """Write each complete day: its data files, its totals where the sender gives them, `_SUCCESS`.

    In order of path, but `_SUCCESS` is the last of its folder.
    """
    ordered = sorted(sheets, key=lambda sheet: sheet.path)
    files: list[DropFile] = []
    for folder, group in groupby(ordered, key=lambda sheet: sheet.folder):
        day = list(group)
        files += [
            DropFile(sheet.path, encode(sheet.rows, sheet.columns, sheet.file_format))
            for sheet in day
        ]
        rows = [row for sheet in day for row in sheet.rows]
        if all(sheet.controlled for sheet in day) and all(map(_can_be_totalled, rows)):
            has_money = any("amount" in sheet.columns for sheet in day)
            files.append(DropFile(f"{folder}/{CONTROL}", control_totals(rows, money=has_money)))
        files.append(DropFile(f"{folder}/{SUCCESS}", b""))
    return files


def control_totals(rows: Sequence[Row], *, money: bool) -> bytes:
    """Count the rows of a day and sum its amounts per currency: whole smallest units, as text."""
    totals: dict[str, object] = {"rows": len(rows)}
    if money:
        sums: dict[str, int] = {}
        for row in rows:
            whole = int(str(row["amount"]).partition(".")[0])
            sums[row["currency"]] = sums.get(row["currency"], 0) + whole
        totals["amount"] = {currency: str(sums[currency]) for currency in sorted(sums)}
    return json.dumps(totals).encode() + b"\n"


def _can_be_totalled(row: Row) -> bool:
    """Say whether the sender could have added this row up: no total covers an unreadable amount."""
    if "amount" not in row:
        return True
    whole, _, decimals = str(row["amount"]).partition(".")
    return whole.isdigit() and decimals in ("", "00") and row["currency"] in CURRENCIES
