"""Lines of an account without Spark: a difference ages while it stands, and starts anew after."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import Row
from pytest import param

from gold.control import Control, control_of
from gold.lines import Run, published, reported_in
from lakehouse.cli.counts import by_step
from lakehouse.cli.money import by_currency, difference_cells, document
from lakehouse.records.gold import Reconciliation

DAY = date(2026, 3, 8)
MONDAY, TUESDAY = datetime(2026, 3, 9, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC)
LINE = {"step": "a -> b", "day": DAY, "currency": "EUR", "event_type": "SETTLED"}


def a_run(at: datetime, *kinds: str, reported: Any = None) -> list[Reconciliation]:
    names = ("accepted", "duplicates", "quarantined", "held", "unexplained")
    sums = {"delivered": 3, "accepted": 2, "duplicates": 0, "quarantined": 0, "held": 0,
            "unexplained": len(kinds), "delivered_amount": Decimal("30.00"),
            **{f"{name}_amount": None for name in names}}  # fmt: skip
    differences = [
        Row(**LINE, kind=kind, records=25, amount=Decimal("10.00"), named=25,
            names=[f"t-{n:02d}" for n in range(20)], oldest_at=MONDAY)
        for kind in kinds
    ]  # fmt: skip
    run = Run("run", at, 4, {"silver.b": 2, "bronze.a": 7})
    return published(run, ["a -> b", "b -> c"], [Row(**LINE, **sums)], differences, reported or {})


def as_rows(lines: list[Reconciliation]) -> list[Row]:
    return [
        Row(**{name: getattr(line, name) for name in LINE},
            differences=[Row(**each.model_dump()) for each in line.differences])
        for line in lines
    ]  # fmt: skip


def test_a_difference_is_as_old_as_the_first_run_that_reported_it() -> None:
    first = a_run(MONDAY, "MISSING")
    second = a_run(TUESDAY, "MISSING", "WAITING", reported=reported_in(as_rows(first)))
    since = {each.kind: each.reported_since for each in second[0].differences}
    assert since == {"MISSING": MONDAY, "WAITING": TUESDAY}
    healed = a_run(TUESDAY, reported=reported_in(as_rows(first)))
    again = a_run(TUESDAY, "MISSING", reported=reported_in(as_rows(healed)))
    assert again[0].differences[0].reported_since == TUESDAY


def test_a_line_tells_what_is_unexplained_in_a_few_words_and_names_a_few() -> None:
    [line, empty] = a_run(MONDAY, "MISSING", "WAITING")
    assert line.told == ["a -> b: 25 MISSING, 10 EUR (t-00, t-01, t-02)"]
    assert (empty.step, empty.delivered, empty.differences) == ("b -> c", 0, [])
    assert [(each.table, each.version) for each in line.inputs] == [
        ("bronze.a", 7),
        ("silver.b", 2),
    ]
    [unexplained, waiting] = difference_cells([line, empty])
    assert unexplained[1:3] == ["MISSING", "NO"] and waiting[1:3] == ["WAITING", "yes"]
    assert unexplained[-1] == "t-00, t-01, t-02 and 22 more"
    assert [step.delivered for step in by_step([line, empty])] == [3, 0]
    assert [money.cells()[:4] for money in by_currency([line])] == [
        ["a -> b", "EUR", "SETTLED", 30]
    ]
    told = document([line, empty])
    assert told["holds"] is False and told["inputs"] == {"bronze.a": 7, "silver.b": 2}


@pytest.mark.parametrize(
    "text, expected",
    [
        param('{"rows": 2, "amount": {"USD": "123400"}}', (2, {"USD": Decimal(123400)}), id="both"),
        param('{"rows": 2}', (2, None), id="rows alone"),
        param('{"amount": {"EUR": 5}}', (None, {"EUR": Decimal(5)}), id="a number"),
        param('{"amount": {" EUR ": "5"}}', (None, {" EUR ": Decimal(5)}), id="a code as written"),
        param("[]", None, id="no object"),
        param("{", None, id="no JSON"),
        param('{"amount": {"EUR": "five"}}', None, id="no number"),
    ],
)
def test_a_control_file_is_read_or_left_to_load_drops(text: str, expected: Any) -> None:
    found = control_of("money_events", "2026-03-08", text)
    assert found == (expected and Control("money_events", DAY, *expected))
    assert control_of("money_events", "yesterday", text) is None
