"""A bad rule file is refused before a row is read, by the names of the file and the rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, StructType
from pytest import param

from lakehouse.config import Config
from lakehouse.errors import ConfigError
from lakehouse.quality.expressions import verify
from lakehouse.quality.rules import load_rule_book
from lakehouse.records.codes import RowSeverity
from lakehouse.tables import DROPS
from tests.conftest import LOCAL
from tests.quality.builders import a_gate, a_row_rule, an_anomaly, write_rules

VIOLATION = StructType().add("rule_id", "string").add("reason", "string")
COLUMNS = (
    StructType()
    .add("transaction_id", "string")
    .add("amount", "decimal(15,2)")
    .add("event_date", "date")
    .add("violations", ArrayType(VIOLATION))
)


@pytest.mark.parametrize(
    "sections, named",
    [
        param({"rows": [a_row_rule(surprise=1)]}, r"rule rule: .*surprise", id="unknown"),
        param({"rows": [a_row_rule(severity="fatal")]}, "rule rule: .*quarantine", id="severity"),
        param({"rows": [{"severity": "warn"}]}, "rule 1 of rows: .*id", id="no id"),
        param({"rows": ["amount > 0"]}, "rule 1 of rows: ", id="no rule at all"),
        param({"rows": [a_row_rule(message="")]}, "rule rule: .*message", id="says nothing"),
        param({"rules": []}, "rules: ", id="unknown section"),
        param({"rows": [a_row_rule(), a_row_rule()]}, "rule rule: .*taken.* here", id="twice"),
        param({"rows": [a_row_rule("x")], "gates": [a_gate("x")]}, "rule x: ", id="row and gate"),
        param(
            {"gates": [{**a_gate(), "at_least": 2, "at_most": 1}]}, "rule gate: .*above", id="none"
        ),
        param(
            {"gates": [{k: v for k, v in a_gate().items() if k != "at_least"}]},
            "rule gate: .*at_least, at_most or both",
            id="no bounds",
        ),
        param(
            {"gates": [a_gate(measure={"kind": "entropy"})]}, "rule gate: .*entropy", id="measure"
        ),
        param(
            {"anomalies": [an_anomaly(min_days=9, last_days=3)]},
            "rule anomaly: .*last_days",
            id="forgets too early",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_named(
    tmp_path: Path, sections: dict[str, Any], named: str
) -> None:
    file = write_rules(tmp_path, **sections)
    with pytest.raises(ConfigError, match=named) as refused:
        load_rule_book(tmp_path, DROPS)
    assert str(file) in str(refused.value)


def test_an_id_may_not_be_in_two_files_of_a_kind(tmp_path: Path) -> None:
    write_rules(tmp_path, rows=[a_row_rule("mine")], name="a.yaml")
    write_rules(tmp_path, rows=[a_row_rule("mine")], name="b.yaml")
    with pytest.raises(ConfigError, match=r"b\.yaml: rule mine: .*in a\.yaml"):
        load_rule_book(tmp_path, DROPS)


def test_two_files_may_be_of_one_kind_and_two_kinds_may_share_an_id(tmp_path: Path) -> None:
    write_rules(tmp_path, rows=[a_row_rule("one")], name="a.yaml")
    write_rules(tmp_path, rows=[a_row_rule("two")], name="b.yaml")
    write_rules(tmp_path, "money_events", rows=[a_row_rule("one")])
    book = load_rule_book(tmp_path, DROPS)
    assert [rule.id for rule in book.of("transactions").rows] == ["one", "two"]
    assert [rule.id for rule in book.of("money_events").rows] == ["one"]
    assert book.of("policies").checks == ()


@pytest.mark.parametrize(
    "text, named",
    [
        param("kind: [", "not YAML", id="no YAML"),
        param("- kind: transactions", "expected a mapping", id="no mapping"),
        param("kind: payments", "kind: expected one of .*money_events", id="unknown kind"),
        param("rows: []", "kind: ", id="no kind"),
        param(
            "kind: transactions\nkind: policies", "not YAML: the key kind is .*twice", id="twice"
        ),
        param(
            "kind: transactions\nrows: [{id: a, severity: warn, message: m, check: x, id: b}]",
            "not YAML: the key id is there twice, first in line 2",
            id="twice in a rule",
        ),
    ],
)
def test_a_file_that_is_no_rule_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"odd\.yaml: {named}"):
        load_rule_book(tmp_path, DROPS)


@pytest.mark.parametrize("name", ["transactions.yml", "transactions.YAML"])
def test_a_rule_file_that_would_not_be_read_is_named(tmp_path: Path, name: str) -> None:
    write_rules(tmp_path, rows=[a_row_rule()], name=name)
    with pytest.raises(ConfigError, match=rf"{name}: would not be read.* \.yaml"):
        load_rule_book(tmp_path, DROPS)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: no such folder"):
        load_rule_book(tmp_path / "nowhere", DROPS)


@pytest.fixture
def checked(tmp_path: Path, spark: SparkSession) -> Callable[..., None]:
    """Load and verify one file of rules over COLUMNS."""

    def check(**sections: Any) -> None:
        write_rules(tmp_path, **sections)
        verify(load_rule_book(tmp_path, DROPS), spark, {"transactions": COLUMNS})

    return check


@pytest.mark.parametrize(
    "sql, fault",
    [
        param("amount >", "PARSE_SYNTAX_ERROR", id="does not parse"),
        param("amounts > 0", "amounts", id="unknown column"),
        param("no_such_function(amount)", "no_such_function", id="unknown function"),
        param("amount + 1", r"expected a condition, got decimal", id="a number"),
        param("count(*) > 1", "MISSING_GROUP_BY|MISSING_AGGREGATION|GROUP", id="of many rows"),
        param("event_date > 'x' + 1", "", id="types that do not fit"),
        param("count(*) OVER () > 1", "looks at other rows", id="a window"),
        param("explode(array(true, false))", "makes some", id="a function that makes rows"),
        param("amount IN (SELECT 1)", "subquery", id="in a subquery"),
        param("EXISTS (SELECT 1)", "subquery", id="exists"),
        param("amount > (SELECT max(id) FROM range(3))", "subquery", id="a value of a subquery"),
        param("amount > rand()", r"another value each time .*\(rand\)", id="chance"),
        param("transaction_id <> uuid()", r"\(uuid\)", id="another name for it"),
        param("input_file_name() <> transaction_id", r"\(input_file_name\)", id="where it lies"),
        param("event_date <= current_date()", r"asked \(current_date\)", id="today"),
        param("event_date < date_sub(now(), 1)", r"asked \(now\)", id="now"),
        param("amount < unix_timestamp()", r"asked \(current_timestamp\)", id="hidden now"),
        param("event_date <= localtimestamp()", r"asked \(localtimestamp\)", id="local now"),
        param("event_date <= 'today'", "clock", id="a text that becomes today"),
        param("event_date <= date 'Tomorrow UTC'", "clock", id="a literal that does"),
        param("transaction_id <> current_user()", r"\(current_user\)", id="who asks"),
        param("amount > 1 / 0", "cannot be computed .DIVIDE_BY_ZERO", id="fails for every row"),
    ],
)
def test_a_rule_whose_sql_is_no_condition_of_a_row_is_named(
    checked: Callable[..., None], sql: str, fault: str
) -> None:
    with pytest.raises(ConfigError, match=rf"transactions\.yaml: rule broken: check: .*{fault}"):
        checked(rows=[a_row_rule("fine"), a_row_rule("broken", sql)])


@pytest.mark.parametrize(
    "measure, fault",
    [
        param({"kind": "completeness", "column": "amounts"}, "no column amounts", id="column"),
        param({"kind": "uniqueness", "columns": ["amount", "x"]}, "no column x", id="columns"),
        param({"kind": "mean", "column": "event_date"}, ".*got event_date date", id="date"),
        param({"kind": "compliance", "predicate": "amount"}, "expected a condition", id="number"),
        param({"kind": "compliance", "predicate": "amount > rand()"}, ".*rand", id="chance"),
    ],
)
def test_a_check_whose_figure_cannot_be_measured_is_named(
    checked: Callable[..., None], measure: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ConfigError, match=rf"transactions\.yaml: rule odd: measure: {fault}"):
        checked(gates=[a_gate("odd", measure=measure)])


def test_what_only_looks_like_it_is_a_pure_condition(checked: Callable[..., None]) -> None:
    checked(
        rows=[
            a_row_rule("lambda", "exists(violations, v -> v.rule_id = 'now')"),
            a_row_rule("words", "transaction_id NOT IN ('today', 'now', 'select')"),
            a_row_rule("cast", "try_cast(transaction_id AS INT) > 0 AND amount / 2 > 1"),
        ]
    )


def test_the_rules_that_are_delivered_with_the_project_load() -> None:
    book = load_rule_book(Config.load(LOCAL).rules.quality, DROPS)
    for kind in ("transactions", "money_events", "fraud_scores"):
        rules = book.of(kind)
        assert rules.rows and rules.gates and rules.anomalies
    severities = {rule.severity for rule in book.of("transactions").rows}
    assert severities == set(RowSeverity)
