"""Each link between the records of a transaction that is not there is named: one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pytest import param

from lakehouse.cli.lineage import GoldState, Lineage, Sighting
from lakehouse.cli.links import Progress, Served, broken_links
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
    seen("bronze.drops_money_events", FILE),
    seen("silver.quarantine_live", REFUSED),
    seen("silver.fraud_scores", SCORE, identity="score", revision=0, source="TOPIC_SCORE"),
    seen("silver.live_transactions", KAFKA, identity="live", revision=0, source="LIVE_EVENT",
         score_id="score"),
    seen("silver.money_events", FILE, identity="settled", revision=0, source="MONEY_EVENT"),
]  # fmt: skip
WHOLE = Lineage(SIGHTINGS, [GoldState(3, NINE, [], [], KNOWN)], [KNOWN], NINE, [])
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
        param(lambda found: replace(found, gold=[], timestamp=None),
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
    ],
)
def test_a_payment_that_the_store_keeps_is_in_dynamodb(
    item: dict[str, object] | None, told: list[str]
) -> None:
    found = missing(WHOLE, replace(SERVED, item=item))
    assert len(found) == len(told)
    assert all(part in each for part, each in zip(told, found, strict=True))
    # one that cooled down is not looked for, nor where the store does not answer
    assert missing(WHOLE, Served(item, True, timedelta(hours=1))) == []
    assert missing(WHOLE, Served(item, False, timedelta(days=30))) == []
