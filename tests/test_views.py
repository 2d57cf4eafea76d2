"""Views are single questions over declared tables, in Athena's dialect and in Spark's."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import sqlglot

from lakehouse.config import Config
from lakehouse.errors import ConfigError, UnknownTableError
from lakehouse.views import load_views, question, tables_read, views_read
from tests.conftest import LOCAL

VIEWS = load_views(Config.load(LOCAL).rules.views)


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_each_view_parses_in_athena_and_says_what_a_row_is(view) -> None:  # type: ignore[no-untyped-def]
    (statement,) = sqlglot.parse(view.athena, read="athena")
    assert isinstance(statement, sqlglot.exp.Query)
    assert "One row:" in view.about


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
    read = {table.sql() for table in statement.find_all(sqlglot.exp.Table)}
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


@pytest.mark.parametrize(
    "name, text, problem",
    [
        ("gold.two", "SELECT 1 FROM gold.transactions; SELECT 2", "one SELECT"),
        ("gold.doing", "DROP TABLE gold.transactions", "one SELECT"),
        ("gold.broken", "SELECT FROM WHERE (", "gold.broken"),
        ("gold.unknown", "SELECT 1 FROM gold.nothing", r"there is no gold\.nothing"),
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
