"""Whether SQL says something of one row, and says the same whenever it is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pyspark.sql import DataFrame

_OTHER_ROWS = {"ScalarSubquery", "Exists", "InSubquery", "ListQuery", "LateralSubquery"}
_CLOCKS = ("current_", "now", "localtimestamp")
# words that Spark reads as the day of the query, in a literal or in a text that becomes a date
_TODAY = r"'\s*(?:now|today|tomorrow|yesterday)\b[^']*'"
_TYPED_TODAY = re.compile(rf"\b(?:date|timestamp(?:_ntz|_ltz)?)\s*{_TODAY}", re.IGNORECASE)


def impurity_of(judged: DataFrame, sql: str) -> str | None:
    """Why the last column of `judged`, which `sql` is, is no pure expression of one row.

    None if it is one. Runs no query. `judged` is a selection of created rows, or of such a one.
    """
    frame: Any = judged
    plan = frame._jdf.queryExecution().analyzed()
    # a window, or a function that makes rows, is a step of its own below the selection
    if any(step != "Project" for step in _steps_of(plan)):
        return f"it looks at other rows, or makes some: {sql}"
    columns = plan.projectList()
    for expression in _parts_of(columns.apply(columns.size() - 1)):
        if fault := _fault(expression):
            return f"{fault}: {sql}"
    if found := _TYPED_TODAY.search(sql):
        return f"it reads the clock ({found.group()}): {sql}"
    return None


def _steps_of(plan: Any) -> Iterator[str]:
    """What a plan does to rows that were created."""
    for below in _children(plan):
        yield plan.getClass().getSimpleName()
        yield from _steps_of(below)


def _parts_of(expression: Any) -> Iterator[Any]:
    yield expression
    for child in _children(expression):
        yield from _parts_of(child)


def _fault(expression: Any) -> str | None:
    kind, name = expression.getClass().getSimpleName(), expression.prettyName()
    if kind in _OTHER_ROWS:
        return "it looks at other rows (a subquery)"
    if name.startswith(_CLOCKS):
        return f"it depends on when or where it is asked ({name})"
    # of an impure part, all around it is impure too: the part itself is to be named
    if not expression.deterministic() and all(p.deterministic() for p in _children(expression)):
        return f"it has another value each time it is asked ({name.lower()})"
    if kind == "Cast" and _is_today(expression):
        return "it reads the clock (a text that becomes the day of the query)"
    return None


def _children(node: Any) -> list[Any]:
    children = node.children()
    return [children.apply(place) for place in range(children.size())]


def _is_today(cast: Any) -> bool:
    to, text = cast.dataType().simpleString(), cast.child()
    if not to.startswith(("date", "timestamp")) or text.getClass().getSimpleName() != "Literal":
        return False
    return re.fullmatch(_TODAY, f"'{text.value()}'", re.IGNORECASE) is not None
