"""Analysts' views: one SELECT in Athena's dialect per file of conf/athena, named as the view.

Each is registered in Athena as it is written, and runs here translated to Spark's dialect. What a
row is stands at the head of its file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lakehouse.errors import ConfigError, UnknownTableError
from lakehouse.tables import TABLES

_NAME = re.compile(r"(silver|gold)\.[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class View:
    """A name for a question over tables and other views."""

    name: str
    about: str  # what one row is, and in which units: the head of its file
    athena: str
    reads: tuple[str, ...]  # tables and views, sorted

    @property
    def spark(self) -> str:
        """The same question in Spark's dialect."""
        return sqlglot.transpile(self.athena, read="athena", write="spark", comments=False)[0]


def load_views(folder: Path | str) -> dict[str, View]:
    """Read all views; each stands behind those that it reads.

    Raises:
        ConfigError: a file is no single SELECT, reads what does not exist, or itself.
    """
    views = {path.stem: _read(path) for path in sorted(Path(folder).glob("*.sql"))}
    for view in views.values():
        unknown = [name for name in view.reads if name not in TABLES and name not in views]
        if unknown:
            raise ConfigError(f"{view.name}.sql", [f"there is no {', '.join(unknown)}"])
    return _ordered(views)


def tables_read(names: list[str], views: Mapping[str, View]) -> list[str]:
    """The tables behind these tables and views, each once.

    Raises:
        UnknownTableError: a name is neither.
    """
    found: dict[str, None] = {}
    for name in names:
        if name in views:
            found |= dict.fromkeys(tables_read(list(views[name].reads), views))
        elif name in TABLES:
            found[name] = None
        else:
            raise UnknownTableError(name, sorted((*TABLES, *views)))
    return list(found)


def views_read(names: list[str], views: Mapping[str, View]) -> list[View]:
    """These views and those that they read, in the order in which they can be created."""
    wanted = [name for name in names if name in views]
    for name in wanted:
        wanted += [read for read in views[name].reads if read in views]
    return [view for name, view in views.items() if name in wanted]


def question(
    name: str, views: Mapping[str, View], stand_ins: Mapping[str, str], today: date
) -> str:
    """All rows of a view as one statement of Spark's, which needs no other view to be created.

    `stand_ins` are read instead of the tables that they are given for: names in the session.
    `today` (UTC) is the day by which the view counts ages.

    Raises:
        UnknownTableError: there is no such view.
    """
    if name not in views:
        raise UnknownTableError(name, sorted(views))
    wanted = [view.name for view in views_read([name], views)]
    read = {**stand_ins, **{each: _as_part(each) for each in wanted}}
    parts = [f"{read[each]} AS ({_asked(views[each], read, today)})" for each in wanted]
    return f"WITH {', '.join(parts)} SELECT * FROM {read[name]}"


def _as_part(name: str) -> str:
    return name.replace(".", "__")


def _asked(view: View, read: Mapping[str, str], today: date) -> str:
    def other(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.CurrentDate):
            return exp.cast(exp.Literal.string(today.isoformat()), "date")
        if isinstance(node, exp.Table) and f"{node.db}.{node.name}" in read:
            stand_in = exp.to_table(read[f"{node.db}.{node.name}"])
            stand_in.set("alias", node.args.get("alias"))
            # a join hangs on the table that it follows
            for part in ("joins", "laterals"):
                if node.args.get(part):
                    stand_in.set(part, [each.transform(other) for each in node.args[part]])
            return stand_in
        return node

    return (
        sqlglot.parse_one(view.athena, read="athena").transform(other).sql("spark", comments=False)
    )


def _read(path: Path) -> View:
    if not _NAME.fullmatch(path.stem):
        raise ConfigError(path, ["expected a name such as gold.disputes.sql"])
    text = path.read_text("utf-8")
    head = text.partition("\nSELECT")[0]
    about = " ".join(line.removeprefix("--").strip() for line in head.splitlines())
    try:
        found = [one for one in sqlglot.parse(text, read="athena") if one is not None]
    except SqlglotError as error:
        raise ConfigError(path, [str(error).splitlines()[0]]) from error
    if len(found) != 1 or not isinstance(found[0], exp.Query):
        raise ConfigError(path, ["expected one SELECT"])
    reads = {f"{table.db}.{table.name}" for table in found[0].find_all(exp.Table)}
    return View(path.stem, about, text.strip(), tuple(sorted(reads)))


def _ordered(views: Mapping[str, View]) -> dict[str, View]:
    ordered: dict[str, View] = {}

    def place(name: str, behind: tuple[str, ...]) -> None:
        if name in behind:
            raise ConfigError(f"{name}.sql", [f"reads itself: {' -> '.join((*behind, name))}"])
        if name in views and name not in ordered:
            for read in views[name].reads:
                place(read, (*behind, name))
            ordered[name] = views[name]

    for name in views:
        place(name, ())
    return ordered
