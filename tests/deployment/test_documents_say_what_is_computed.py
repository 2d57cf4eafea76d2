"""Figures in the documents are those that the scripts print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from bench import cost, scale
from lakehouse.tables import TABLES
from tests.conftest import ROOT


@pytest.mark.parametrize(
    "document, table", [("deploy.md", cost.table()), ("scale.md", scale.table())]
)
def test_the_table_of_a_document_is_what_its_script_prints(document: str, table: str) -> None:
    assert table in (ROOT / "docs" / document).read_text(), "run: python -m bench.cost (or scale)"


def test_a_dearer_unit_and_more_transactions_cost_more() -> None:
    price = cost.prices()
    base = cost.monthly(1_000, price)
    dearer = cost.monthly(
        1_000, price | {"dynamodb_write_million": 2 * price["dynamodb_write_million"]}
    )
    assert dearer["DynamoDB requests"] > base["DynamoDB requests"]
    assert {part for part in base if dearer[part] != base[part]} == {"DynamoDB requests"}
    assert sum(cost.monthly(10_000, price).values()) > sum(base.values())


def test_writes_are_counted_by_hand_once() -> None:
    price = cost.prices() | {"dynamodb_write_million": 1.0, "dynamodb_read_million": 0.0}
    # 100/s for 730 hours are 262.8 million transactions, of four units each
    assert cost.monthly(100, price)["DynamoDB requests"] == pytest.approx(262.8 * 4)


def test_each_name_in_capitals_of_the_config_is_one_that_the_step_says_to_set() -> None:
    text = (ROOT / "conf" / "aws.yaml").read_text()
    values = " ".join(_texts(yaml.safe_load(text)))
    # a currency and a cipher are shorter
    placeholders = set(re.findall(r"\b(?:[A-Z]+(?:_[A-Z]+)+|[A-Z]{4,})\b", values))
    assert "BUCKET" in placeholders
    document = (ROOT / "docs" / "deploy.md").read_text()
    step = document[document.index("## 4.") : document.index("## 5.")]
    assert set(re.findall(r"`([A-Z][A-Z_]+)`", step)) == placeholders


def _texts(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for each in value.values():
                yield from _texts(each)
        case list():
            for each in value:
                yield from _texts(each)
        case str():
            yield value


def test_growth_names_tables_that_exist() -> None:
    assert {each.table for each in scale.MEASURED} <= set(TABLES)


@pytest.mark.parametrize("name", ["docs/deploy.md", "docs/scale.md", "SECURITY.md"])
def test_each_file_and_template_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text()
    folder = (ROOT / name).parent
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert all((folder / link).exists() for link in links)
    for template in re.findall(r"^put (\w+)", text, flags=re.MULTILINE):
        assert (ROOT / "deploy" / f"{template}.yaml").is_file()
