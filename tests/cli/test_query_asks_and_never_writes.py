"""`lakehouse query`: questions over declared tables, found by Spark's own parser."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pytest import param
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.cli.questions import answered, named_faults
from lakehouse.cli.rows import records_of, rows_of
from lakehouse.config import Config
from lakehouse.context import Lakehouse
from lakehouse.errors import LakehouseError, QueryError, TableNotFoundError, UnknownTableError
from lakehouse.tables import GOLD_RECONCILIATION

Ask = Callable[[str], list[list[object]]]


@pytest.fixture
def ask(spark: SparkSession, config: Config) -> Ask:
    def asked(sql: str) -> list[list[object]]:
        with named_faults():
            return rows_of(answered(spark, config, sql))

    return asked


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine far from UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM gold.transactions",
        "WITH x AS (SELECT 1) DELETE FROM gold.transactions",
        "INSERT INTO gold.transactions SELECT * FROM gold.transactions",
        "FROM gold.transactions INSERT INTO gold.a SELECT 1 INSERT INTO gold.b SELECT 2",
        "/* SELECT */ DROP TABLE gold.transactions",
        "CREATE TABLE gold.mine AS SELECT 1",
        "MERGE INTO gold.transactions t USING gold.x s ON true WHEN MATCHED THEN DELETE",
        "VACUUM gold.transactions RETAIN 0 HOURS",
        "OPTIMIZE gold.transactions",
        "SET spark.sql.ansi.enabled=false",
    ],
)
def test_what_is_no_question_is_refused(ask: Ask, sql: str) -> None:
    with pytest.raises(QueryError, match="only reads"):
        ask(sql)


@pytest.mark.parametrize(
    "sql, answer",
    [
        param("\n-- why?\nSELECT\n  1\n", [[1]], id="lines and comments"),
        param("SELECT 1 AS a, 2 AS a", [[1, 2]], id="one name twice"),
        param("SELECT 'gold.nothing' AS `silver.alias`", [["gold.nothing"]], id="text and alias"),
        param("WITH x AS (SELECT 3 AS n) SELECT n FROM x", [[3]], id="its own table"),
        param("VALUES (4)", [[4]], id="values"),
    ],
)
def test_a_question_is_answered(ask: Ask, sql: str, answer: list[list[object]]) -> None:
    assert ask(sql) == answer


@pytest.mark.parametrize(
    "sql, error, told",
    [
        param("SELECT * FROM gold.nothing", UnknownTableError, "'gold.nothing'.*gold.transactions",
              id="unknown"),
        param("SELECT (SELECT max(1) FROM nothing)", UnknownTableError, "'nothing'",
              id="inside a subquery"),
        param("WITH x AS (SELECT * FROM silver.nothing) SELECT * FROM x", UnknownTableError,
              "'silver.nothing'", id="inside WITH"),
        param("SELECT * FROM gold.transactions VERSION AS OF 3", TableNotFoundError,
              "Run `lakehouse run consolidate`", id="not written yet"),
        param("SELECT * FORM gold.transactions", QueryError, "PARSE_SYNTAX_ERROR", id="no SQL"),
        param("SELECT nothing FROM VALUES (1) AS t(n)", QueryError, "UNRESOLVED_COLUMN",
              id="unknown column"),
        param("SELECT 1 / n FROM VALUES (0) AS t(n)", QueryError, "DIVIDE_BY_ZERO",
              id="fails as it runs"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line(ask: Ask, sql: str, error: type[LakehouseError], told: str) -> None:
    with pytest.raises(error, match=told) as fault:
        ask(sql)
    assert "\n" not in str(fault.value)


def test_an_earlier_version_answers_as_it_was(
    lake_for: Callable[[str], Lakehouse], ask: Ask
) -> None:
    lake = lake_for("reconcile")
    lake.append(lake.spark.createDataFrame([a_line()], GOLD_RECONCILIATION.schema),
                GOLD_RECONCILIATION)  # fmt: skip
    question = "SELECT count(*) FROM gold.reconciliation VERSION AS OF {}"
    assert [ask(question.format(version)) for version in (0, 1)] == [[[0]], [[1]]]
    with pytest.raises(QueryError, match="version"):
        ask(question.format(9))


def a_line() -> dict[str, Any]:
    needed = [field.name for field in GOLD_RECONCILIATION.schema if not field.nullable]
    texts = {"run_id": "a run", "step": "a step", "run_at": datetime(2026, 3, 9, tzinfo=UTC)}
    return dict.fromkeys(needed, 0) | texts | {"inputs": [], "differences": []}


@pytest.mark.usefixtures("tokyo")
def test_an_instant_is_utc_wherever_the_machine_stands(ask: Ask) -> None:
    noon = datetime(2026, 3, 9, 12, tzinfo=UTC)
    asked = ask("SELECT TIMESTAMP'2026-03-09 12:00:00', array(TIMESTAMP'2026-03-09 12:00:00')")
    assert asked == [[noon, [noon]]]
    assert asked[0][0].utcoffset() == noon.utcoffset()  # type: ignore[attr-defined]


def test_of_columns_that_share_a_name_programs_get_each(
    spark: SparkSession, config: Config
) -> None:
    twice = answered(spark, config, "SELECT 1 AS a, 2 AS a, 3 AS a")
    assert records_of(twice) == [{"a": 1, "a_2": 2, "a_3": 3}]


def test_the_command_prints_json_and_nothing_else(spark: SparkSession, config: Config) -> None:
    sql = "SELECT '[red]x[/red]' AS text, TIMESTAMP'2026-03-09 12:00:00' AS at, 1.50 AS amount"
    shown = CliRunner().invoke(app, ["query", sql, "--json"])
    assert json.loads(shown.stdout) == [
        {"text": "[red]x[/red]", "at": "2026-03-09T12:00:00.000000Z", "amount": "1.50"}
    ]


def test_markup_in_a_cell_is_shown_and_not_obeyed(spark: SparkSession, config: Config) -> None:
    shown = CliRunner().invoke(app, ["query", "SELECT '[red]x[/red]' AS text"])
    assert "[red]x[/red]" in shown.stdout
