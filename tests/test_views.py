"""Views are single questions over declared tables, in Athena's dialect and in Spark's."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from lakehouse.config import Config
from lakehouse.errors import ConfigError, UnknownTableError
from lakehouse.tables import TABLES
from lakehouse.views import load_views, question, tables_read, views_read
from tests.conftest import LOCAL

Schema = dict[str, Any]
VIEWS = load_views(Config.load(LOCAL).rules.views)


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_each_view_parses_in_athena_and_says_what_a_row_is(view) -> None:  # type: ignore[no-untyped-def]
    (statement,) = sqlglot.parse(view.athena, read="athena")
    assert isinstance(statement, exp.Query)
    assert "One row:" in view.about


def test_no_view_gives_an_instant_with_a_time_zone() -> None:
    # Athena stores no such view; an instant of a Delta table has a time zone there
    known: Schema = {}
    for table in TABLES.values():
        layer, _, name = table.name.partition(".")
        known.setdefault(layer, {})[name] = {
            field.name: exp.DataType.build(field.dataType.simpleString(), dialect="spark")
            for field in table.schema
        }
    assert "TIME ZONE" in known["gold"]["transactions"]["timestamp"].sql("athena")
    for view in VIEWS.values():
        layer, _, own = view.name.partition(".")
        branches = _columns(view.athena, known)
        types = [(name, kind) for columns in branches for name, kind in columns.items()]
        unknown = [name for name, kind in types if not kind or "UNKNOWN" in kind.sql("athena")]
        zoned = [name for name, kind in types if kind and "TIME ZONE" in kind.sql("athena")]
        assert (view.name, unknown, zoned) == (view.name, [], [])
        known[layer][own] = branches[0]


def _columns(athena: str, known: Schema) -> list[dict[str, exp.DataType | None]]:
    """The types of what a query gives, in Athena: of each branch of a UNION."""
    query = qualify(sqlglot.parse_one(athena, read="athena"), schema=known, dialect="athena")
    typed = annotate_types(query, schema=known, dialect="athena")
    branches = [typed.left, typed.right] if isinstance(typed, exp.Union) else [typed]
    selects = [branch.selects for branch in branches if isinstance(branch, exp.Query)]
    return [{each.alias_or_name: each.type for each in columns} for columns in selects]


def test_a_view_stands_behind_those_that_it_reads() -> None:
    order = list(VIEWS)
    for view in VIEWS.values():
        assert all(
            order.index(read) < order.index(view.name) for read in view.reads if read in order
        )


def test_a_view_over_views_reads_their_tables() -> None:
    assert tables_read(["gold.fraud_by_day"], VIEWS) == ["gold.transactions"]
    created = [view.name for view in views_read(["gold.fraud_by_day"], VIEWS)]
    assert created == ["gold.current_transactions", "gold.outcomes", "gold.fraud_by_day"]


def test_a_question_is_one_statement_over_what_stands_in_by_a_day() -> None:
    asked = question(
        "gold.fraud_by_day", VIEWS, {"gold.transactions": "gold_then"}, date(2026, 3, 9)
    )
    statement = sqlglot.parse_one(asked, read="spark")
    read = {table.sql() for table in statement.find_all(exp.Table)}
    own = {"gold__current_transactions", "gold__outcomes", "gold__fraud_by_day"}
    assert read == {"gold_then", *own}
    assert "'2026-03-09'" in asked and "CURRENT_DATE" not in asked.upper()


def test_a_question_keeps_what_is_joined_to_what_stands_in() -> None:
    asked = question("gold.exceptions", VIEWS, {"gold.transactions": "gold_then"}, date(2026, 3, 9))
    assert "FROM gold_then AS t LATERAL VIEW EXPLODE(t.exceptions)" in asked


def test_a_question_about_no_view_is_refused() -> None:
    with pytest.raises(UnknownTableError, match=r"gold\.nothing"):
        question("gold.nothing", VIEWS, {}, date(2026, 3, 9))


def test_a_name_that_is_neither_is_named() -> None:
    with pytest.raises(UnknownTableError, match=r"gold\.nothing"):
        tables_read(["gold.nothing"], VIEWS)


def test_a_view_may_name_parts_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "gold.by_parts.sql").write_text(
        "-- Payments. One row: a currency.\n"
        "-- Whole smallest units.\n"
        "WITH paid AS (\n  -- not what waits\n"
        "  SELECT currency, amount FROM gold.transactions WHERE amount > 0\n"
        ")\nSELECT currency, sum(amount) AS amount FROM paid GROUP BY currency\n"
    )
    view = load_views(tmp_path)["gold.by_parts"]
    assert view.about == "Payments. One row: a currency. Whole smallest units."
    assert view.reads == ("gold.transactions",)
    asked = question(
        view.name, {view.name: view}, {"gold.transactions": "gold_then"}, date(2026, 3, 9)
    )
    read = {table.sql() for table in sqlglot.parse_one(asked, read="spark").find_all(exp.Table)}
    assert read == {"gold_then", "paid", "gold__by_parts"}


@pytest.mark.parametrize(
    "name, text, problem",
    [
        ("gold.two", "SELECT 1 FROM gold.transactions; SELECT 2", "one SELECT"),
        ("gold.doing", "DROP TABLE gold.transactions", "one SELECT"),
        ("gold.broken", "SELECT FROM WHERE (", "gold.broken"),
        ("gold.unknown", "SELECT 1 FROM gold.nothing", r"there is no gold\.nothing"),
        ("gold.bare", "WITH a AS (SELECT 1) SELECT 1 FROM b", "there is no b"),
        ("gold.self", "SELECT 1 FROM gold.self", "reads itself"),
        ("Mine", "SELECT 1 FROM gold.transactions", "such as"),
    ],
)
def test_a_file_that_is_no_view_is_named(
    tmp_path: Path, name: str, text: str, problem: str
) -> None:
    (tmp_path / f"{name}.sql").write_text(text)
    with pytest.raises(ConfigError, match=problem):
        load_views(tmp_path)
