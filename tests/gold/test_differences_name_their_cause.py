"""Each field that changed names the contributions that made it so, found by the fold itself."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import typer

from gold.differences import Change, Row, Rules, TransactionChange, changed
from gold.selection import MOST_IDS, Selection
from lakehouse.records.gold import Contribution
from tests.fold.contributions import (
    a_batch_row,
    a_live_event,
    money,
    the_precedence,
    the_transitions,
)

RULES = Rules(the_precedence(), the_transitions())


def row(*contributions: Contribution, **forged: Any) -> Row:
    """The Gold row that a set is, as the audit reads it."""
    derived = RULES.row_of("t-1", contributions)
    rest = {name: value for name, value in derived.items() if name != "contributions"}
    known = [json.loads(c.model_dump_json(), parse_float=Decimal) for c in contributions]
    return rest | {"contributions": known} | forged


def causes(change: TransactionChange) -> dict[str, list[str]]:
    return {each.field: each.caused_by for each in change.fields}


def test_of_several_that_came_each_field_names_its_own() -> None:
    live, settled, batch = a_live_event(), money("SETTLED", 900), a_batch_row(amount=Decimal(900))
    found = changed(row(live), row(live, settled, batch), RULES)
    told = causes(found)
    assert told["amount"] == told["amount_base"] == ["batch"]
    assert told["settled_amount"] == told["settlement_status"] == ["SETTLED-900"]
    assert "country" not in told
    assert {c.identity: c.change for c in found.contributions} == {
        "SETTLED-900": Change.NEW, "batch": Change.NEW,
    }  # fmt: skip


def test_a_sum_that_takes_two_names_both() -> None:
    live, one, other = a_live_event(), money("SETTLED", 600), money("SETTLED", 400)
    assert causes(changed(row(live), row(live, one, other), RULES))["settled_amount"] == [
        "SETTLED-400", "SETTLED-600",
    ]  # fmt: skip


def test_a_revision_and_a_withdrawal_are_causes() -> None:
    live, batch = a_live_event(), a_batch_row(amount=Decimal(900))
    lowered = batch.model_copy(update={"revision": 1, "amount": Decimal(800)})
    found = changed(row(live, batch), row(live, lowered), RULES)
    assert causes(found)["amount"] == ["batch"]
    assert found.contributions[0].change is Change.REVISED
    gone = batch.model_copy(update={"revision": 2, "withdrawn": True})
    found = changed(row(live, lowered), row(live, gone), RULES)
    assert causes(found)["amount"] == ["batch"]
    assert found.contributions[0].change is Change.WITHDRAWN


def test_what_no_contribution_explains_names_none() -> None:
    live = a_live_event()
    found = changed(row(live), row(live, amount=Decimal(1)), RULES)
    assert causes(found) == {"amount": []}
    assert found.contributions == []


def test_a_transaction_comes_and_may_be_gone() -> None:
    assert changed(None, row(a_live_event()), RULES).change is Change.NEW
    gone = changed(row(a_live_event()), None, RULES)
    assert gone.change is Change.GONE
    assert gone.contributions[0].change is Change.GONE


def test_a_selection_takes_names_that_are_listed_and_no_others() -> None:
    asked = Selection.of(["A", "a"], None, ["country=DE", "country=FR", "settlement_status="])
    assert asked.transactions == ("a",)
    assert asked.values == {"country": ["DE", "FR"], "settlement_status": [""]}
    for condition in ("user_id=x", "1=1 OR amount=1", "country", "amount; DROP TABLE x=1"):
        with pytest.raises(typer.BadParameter, match="NAME=VALUE"):
            Selection.of([], None, [condition])
    with pytest.raises(typer.BadParameter, match="more than"):
        Selection.of([str(n) for n in range(MOST_IDS + 1)], None, [])
    # of a user whose transactions are none of those asked for, nothing is meant
    assert asked.of_these(["b"]).transactions == []
