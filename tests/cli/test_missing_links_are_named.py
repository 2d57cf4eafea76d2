"""Each link between the records of a transaction that is not there is named: one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pytest import param

from lakehouse.cli.lineage import GoldState, Lineage, Sighting
from lakehouse.cli.links import Look, Progress, Served, broken_links, missing_twice
from tests.fold.contributions import NINE, a_live_event, a_score, money

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
KAFKA, SCORE, FILE, REFUSED = "kafka:p/0/1@x", "kafka:s/0/1@x", "file:m@1#1", "kafka:p/0/9@x"
KNOWN = [
    a_live_event("live", coordinates=KAFKA),
    a_score("score", "TOPIC_SCORE", coordinates=SCORE),
    money("SETTLED", 1000, "settled", coordinates=FILE),
]


def seen(table: str, coordinates: str, **more: object) -> Sighting:
    return Sighting(table, NINE, coordinates, "", **more)  # type: ignore[arg-type]


SIGHTINGS = [
    seen("bronze.transactions", KAFKA, identity="live"),
    seen("bronze.transactions", "kafka:p/0/2@x", identity="live"),  # delivered twice
    seen("bronze.transactions", REFUSED),
    seen("bronze.fraud_scores", SCORE),
    seen("bronze.drops_money_events", FILE, identity="settled", revision=0, content="1000"),
    seen("silver.quarantine_live", REFUSED),
    seen("silver.fraud_scores", SCORE, identity="score", revision=0, source="TOPIC_SCORE"),
    seen("silver.live_transactions", KAFKA, identity="live", revision=0, source="LIVE_EVENT",
         score_id="score"),
    seen("silver.money_events", FILE, identity="settled", revision=0, source="MONEY_EVENT"),
]  # fmt: skip
HOT_UNTIL = NINE + timedelta(days=30)
WHOLE = Lineage(SIGHTINGS, [GoldState(3, NINE, [], [], KNOWN)], [KNOWN], HOT_UNTIL, [])
ITEM = {"live": {"as_of": "x"}, "gold": {"as_of": "x"}, "gold_version": 3}
SERVED = Served(ITEM, True, timedelta(days=30))

Plant = Callable[[Lineage], Lineage]


def missing(found: Lineage, served: Served = SERVED) -> list[str]:
    return broken_links(found, Progress({}), served, NOW)[0]


def without(table: str, coordinates: str) -> Plant:
    return lambda found: replace(
        found,
        sightings=[s for s in found.sightings if (s.table, s.coordinates) != (table, coordinates)],
    )


def with_one(*more: Sighting) -> Plant:
    return lambda found: replace(found, sightings=[*found.sightings, *more])


def test_a_whole_lineage_lacks_nothing() -> None:
    assert broken_links(WHOLE, Progress({}), SERVED, NOW) == ([], [])


@pytest.mark.parametrize(
    ("plant", "told", "job"),
    [
        param(without("bronze.transactions", KAFKA),
              "silver.live_transactions has a record of kafka:p/0/1@x", None, id="no Bronze row"),
        param(without("bronze.drops_money_events", FILE), "a record of file:m@1#1", None,
              id="no row of a file"),
        param(without("silver.quarantine_live", REFUSED), "neither in Silver nor in quarantine",
              "enrich_live", id="a record that went nowhere"),
        param(with_one(seen("bronze.drops_transactions", "file:t@1#1")),
              "bronze.drops_transactions has file:t@1#1", "build_batch", id="a lost row"),
        param(with_one(seen("bronze.drops_money_events", "file:m@1#2", identity="refunded",
                            revision=0, content="100")),
              "bronze.drops_money_events has file:m@1#2", "build_batch",
              id="a lost row beside another of its kind"),
        param(without("silver.fraud_scores", SCORE), "used score score", None,
              id="the score of a decision"),
        param(with_one(seen("silver.corrections", REFUSED)),
              "the correction of kafka:p/0/9@x", "enrich_live", id="a correction that nobody took"),
        param(with_one(seen("silver.money_events", FILE, identity="settled", revision=1,
                            source="MONEY_EVENT")),
              "and Gold has revision 0", "consolidate", id="a revision that is not in Gold"),
        param(lambda found: replace(found, gold=[KNOWN[:2]], states=[]),
              "and Gold has it not", "consolidate", id="a contribution that is not in Gold"),
        param(lambda found: replace(found, gold=[KNOWN, KNOWN]), "Gold has 2 rows", None,
              id="two rows"),
        param(without("silver.money_events", FILE),
              "Gold has revision 0 of MONEY_EVENT settled", None, id="no Silver row"),
        param(lambda found: replace(found, states=[]), "has no row of it", "record_history",
              id="no history"),
        param(lambda found: replace(found, states=[GoldState(3, NINE, [], [], KNOWN[:1])]),
              "other contributions than Gold", "record_history", id="another history"),
        param(lambda found: replace(found, gold=[], hot_until=None),
              "gold.transactions has no row", None, id="no Gold row that history knows"),
    ],
)  # fmt: skip
def test_a_link_that_is_not_there_is_named_and_waits_only_for_a_job_that_is_behind(
    plant: Plant, told: str, job: str | None
) -> None:
    found = plant(WHOLE)
    assert told in " / ".join(missing(found))
    behind = {} if job is None else {job: 2}
    still, waiting = broken_links(found, Progress(behind), SERVED, NOW)
    is_waiting = [f"{job} has 2 versions to read" in each for each in waiting if told in each]
    assert is_waiting == ([] if job is None else [True])
    assert (told in " / ".join(still)) == (job is None)


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (None, ["no group `live`", "no group `gold`"]),
        (ITEM | {"gold": None}, ["no group `gold`"]),
        (ITEM | {"live": None}, ["no group `live`"]),
        (ITEM | {"gold_version": 2}, ["as of Gold version 2, and version 3 changed it"]),
        (ITEM | {"gold": {"cooled": True}}, ["a tombstone of it, though it is hot until 2026-04-"]),
    ],
)
def test_a_payment_that_is_hot_is_in_dynamodb(
    item: dict[str, object] | None, told: list[str]
) -> None:
    found = missing(WHOLE, replace(SERVED, item=item))
    assert len(found) == len(told)
    assert all(part in each for part, each in zip(told, found, strict=True))


@pytest.mark.parametrize("hot_until", [NOW, NINE - timedelta(days=1), None])
@pytest.mark.parametrize("gold", [None, {"cooled": True}, ITEM["gold"]], ids=str)
@pytest.mark.parametrize("version", [3, 2])
def test_of_a_payment_that_cooled_down_or_never_was_hot_nothing_is_asked(
    hot_until: datetime | None, gold: dict[str, object] | None, version: int
) -> None:
    # of aws.yaml: hot for 120 days, and the group `live` stays for 400
    cold = replace(WHOLE, hot_until=hot_until)
    served = replace(SERVED, item=ITEM | {"gold": gold, "gold_version": version})
    assert missing(cold, served) == []
    of_live = replace(served, item=ITEM | {"live": None, "gold": gold})
    assert ["no group `live`" in each for each in missing(cold, of_live)] == [True]
    assert missing(cold, Served(None, True, timedelta(hours=1))) == []


def test_the_live_group_waits_for_the_job_that_writes_it() -> None:
    lacking = replace(SERVED, item=ITEM | {"live": None})
    still, waiting = broken_links(WHOLE, Progress({"enrich_live": 1}), lacking, NOW)
    assert still == []
    assert ["`live`" in each and "enrich_live has 1 versions" in each for each in waiting] == [True]


def looks(*each: list[str]) -> tuple[list[bool], Callable[[bool], Look]]:
    """What successive looks miss, and how each was asked for."""
    asked: list[bool] = []

    def look(is_second: bool) -> Look:
        asked.append(is_second)
        return Look(WHOLE, SERVED, each[len(asked) - 1], [f"look {len(asked)}"])

    return asked, look


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        param(["a", "b"], ["b", "c"], ["b"], id="what both miss"),
        param(["a"], [], [], id="what was written meanwhile"),
    ],
)
def test_a_link_is_missing_if_it_is_at_a_second_look(
    first: list[str], second: list[str], told: list[str]
) -> None:
    asked, look = looks(first, second)
    assert missing_twice(look) == Look(WHOLE, SERVED, told, ["look 2"])
    assert asked == [False, True]


def test_where_nothing_is_missing_one_look_is_enough() -> None:
    asked, look = looks([])
    assert missing_twice(look).waiting == ["look 1"]
    assert asked == [False]


@pytest.mark.parametrize("job", [None, "sync_dynamodb"])
def test_a_store_that_does_not_answer_is_a_missing_link(job: str | None) -> None:
    behind = Progress({} if job is None else {job: 2})
    silent = Served(None, False, timedelta(days=30))
    assert broken_links(WHOLE, behind, silent, NOW) == (
        ["DynamoDB was not asked: it does not answer"], [],
    )  # fmt: skip


def booked(place: str, days: int = 0, **more: object) -> Sighting:
    """A delivered row that says who FILE is, so many days after it."""
    usual = {"identity": "settled", "revision": 0, "content": "1100"}
    row = seen("bronze.drops_money_events", place, **usual | more)
    return replace(row, at=NINE + timedelta(days=days))


@pytest.mark.parametrize(
    ("row", "is_missing"),
    [
        param(booked("file:n@2#1", 1, content="1000"), False, id="delivered again, the same"),
        param(booked("file:n@2#1", 1), True, id="delivered again, other than what stands"),
        param(booked("file:n@2#1", -1), False, id="of an earlier day than what stands"),
        param(booked("file:n@2#1"), False, id="of one day: their own times decide"),
        param(booked("file:m@2#1", revision=1), True, id="of a correction that nobody took"),
        param(booked("file:n@2#1", 1, content="1000", identity=None), True, id="of nobody"),
    ],
)
def test_a_row_that_silver_has_not_is_needed_unless_another_stands_for_it(
    row: Sighting, is_missing: bool
) -> None:
    found = missing(with_one(row)(WHOLE))
    assert any(row.coordinates in each for each in found) == is_missing


def test_what_stands_is_the_greatest_revision_that_silver_has() -> None:
    corrected = booked("file:m@2#1", revision=1)
    taken = seen("silver.money_events", corrected.coordinates, identity="settled", revision=1,
                 source="MONEY_EVENT")  # fmt: skip
    # what was corrected is sent again: it should stand again
    lost = booked("file:n@3#1", 1, content="1000")
    found = missing(with_one(corrected, taken, lost)(WHOLE))
    assert any(lost.coordinates in each for each in found)


def test_a_row_of_a_file_that_was_replaced_or_is_held_is_not_lost() -> None:
    row = booked("file:n@2#1", 1)
    replaced = replace(with_one(row)(WHOLE), set_aside={row.coordinates: None})
    assert missing(replaced) == []
    held = replace(replaced, set_aside={row.coordinates: "a gate holds n"})
    still, waiting = broken_links(held, Progress({}), SERVED, NOW)
    assert still == []
    assert [each.endswith("in quarantine: a gate holds n") for each in waiting] == [True]
