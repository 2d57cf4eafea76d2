"""`lakehouse lookup --user`: what a user paid lately, for people and for programs."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner, Result

from lakehouse.cli import app
from lakehouse.config import DynamoDbSettings
from lakehouse.dynamodb import ensure_table
from lakehouse.errors import FAILURE_EXIT_CODE, UserNotFoundError
from tests.conftest import override
from tests.index_items import MORNING, an_item, found, pushed

USER = "payer-4711"


@pytest.fixture
def settings(
    dynamodb: DynamoDbSettings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> DynamoDbSettings:
    """A table with three payments of one user, hour by hour; the commands ask this table."""
    ensure_table(dynamodb)
    pushed(
        spark,
        dynamodb,
        *(
            an_item(name, user_id=USER, timestamp=MORNING + timedelta(hours=place))
            for place, name in enumerate(("first", "second", "third"))
        ),
    )
    override(
        monkeypatch,
        {"DYNAMODB__ENDPOINT_URL": dynamodb.endpoint_url, "DYNAMODB__TABLE": dynamodb.table},
    )
    return dynamodb


def asked(*words: str) -> Result:
    return CliRunner().invoke(app, ["lookup", *words])


def test_programs_get_the_newest_items_first_each_as_a_lookup_by_id_gives_it(
    settings: DynamoDbSettings,
) -> None:
    items = json.loads(asked("--user", USER, "--json").output)
    assert [item["transaction_id"] for item in items] == ["third", "second", "first"]
    assert items[0] == json.loads(json.dumps(found(settings, "third"), default=str))


def test_people_get_one_line_for_each_payment(settings: DynamoDbSettings) -> None:
    told = asked("--user", f" {USER} ", "--limit", "2")
    assert told.exit_code == 0
    assert "2 payments, the newest first" in told.output
    assert told.output.index("third") < told.output.index("second")
    assert "first " not in told.output.partition("newest first")[2]


@pytest.mark.parametrize(
    ("since", "ids"),
    [
        ("2026-03-09", ["third", "second", "first"]),
        ("2026-03-09T10:00:00+01:00", ["third", "second"]),
        ("2026-03-09T09:00:00.000001Z", ["third"]),
    ],
)
def test_a_beginning_is_a_day_or_an_instant(
    settings: DynamoDbSettings, since: str, ids: list[str]
) -> None:
    items = json.loads(asked("--user", USER, "--since", since, "--json").output)
    assert [item["transaction_id"] for item in items] == ids


@pytest.mark.parametrize(
    "words", [("--user", "secret-user"), ("--user", USER, "--since", "2027-01-01")]
)
def test_a_user_of_whom_nothing_is_known_is_a_fault_that_does_not_repeat_the_id(
    settings: DynamoDbSettings, words: tuple[str, ...]
) -> None:
    fault = asked(*words).exception
    assert isinstance(fault, UserNotFoundError)
    assert fault.exit_code == FAILURE_EXIT_CODE
    assert settings.table in str(fault)
    assert words[1] not in str(fault)
