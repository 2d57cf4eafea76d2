"""A lake in which payments are decided, booked, settled and restated, by the real jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from shutil import copytree
from typing import Any

from pyspark.sql import SparkSession

from gold.consolidate import consolidate
from gold.record_history import record_history
from lakehouse.context import Lakehouse, Trigger
from lakehouse.delta import commit_times, latest_version, path_of
from lakehouse.lease import held_lease
from lakehouse.tables import GOLD_TRANSACTIONS, Table
from tests.silver.deliveries import a_policy
from tests.silver.live_records import a_payment, a_score, an_id
from tests.silver.two_paths import TwoPaths, as_booked, as_fields, now, two_paths

GEO = a_policy("geo", {"rule": "geo_block", "countries": ["KP"], "regions": []})
OFTEN = a_policy("often", {"rule": "velocity_limit", "max_count": 2, "window_seconds": 3600})
BACKDATED = a_policy("backdated", {"rule": "geo_block", "countries": ["DE"], "regions": []})

PLAIN = a_payment("plain", user_id="payer of plain")
BLOCKED = a_payment("blocked", user_id="payer of blocked", country="KP")
RISKY = a_payment("risky", user_id="payer of risky")
OFTEN_PAID = [
    a_payment(f"often {n}", user_id="a frequent payer", timestamp=f"2026-03-09T08:0{n}:00Z")
    for n in range(3)
]
RISKY_SCORE = a_score("risky", fraud_score=0.95, explanations={"location": 2.5})
PLAIN_SCORE = a_score("plain")
OFFLINE = a_score("plain", fraud_score=0.75, inference_time="2026-03-10T02:00:00Z")


def money(name: str, event_type: str, amount: int) -> dict[str, Any]:
    """A money event of a payment, on the day after."""
    return {
        "event_id": an_id(f"{event_type} of {name}"), "transaction_id": an_id(name),
        "event_type": event_type, "amount": str(amount), "currency": "EUR",
        "timestamp": "2026-03-10T09:00:00Z",
    }  # fmt: skip


@dataclass(frozen=True)
class Audited:
    """The lake, as its jobs see it; `versions` of Gold by what they were the first to know."""

    paths: TwoPaths
    gold: Lakehouse
    history: Lakehouse
    versions: dict[str, int]
    before_all: datetime

    @property
    def committed(self) -> dict[int, datetime]:
        """When each version of Gold was committed."""
        return commit_times(self.gold.spark, path_of(self.gold.config, GOLD_TRANSACTIONS))

    def forge(self, table: Table, name: str, **columns: str) -> None:
        """Change a payment's row behind the back of all jobs; `columns` are SQL expressions."""
        path = path_of(self.gold.config, table)
        spark = self.gold.spark
        spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
        changes = ", ".join(f"{column} = {value}" for column, value in columns.items())
        spark.sql(f"UPDATE delta.`{path}` SET {changes} WHERE transaction_id = '{an_id(name)}'")

    def copied(self, folder: Path) -> Lakehouse:
        """The same lake elsewhere, for whoever breaks it."""
        copytree(self.gold.config.lake.root, folder / "lake")
        place = self.gold.config.lake.model_copy(update={"root": str(folder / "lake")})
        return replace(self.history, config=self.gold.config.model_copy(update={"lake": place}))


def consolidated(lake: Lakehouse) -> int:
    """Fold what is new into Gold, and tell its version."""
    query = consolidate(lake)
    assert query is not None
    query.awaitTermination()
    assert not lake.faults
    return latest_version(lake.spark, path_of(lake.config, GOLD_TRANSACTIONS))


@contextmanager
def audited(folder: Path, spark: SparkSession) -> Iterator[Audited]:
    """Decided, then booked and settled under a backdated policy, then refunded, then charged back.

    History ends with the settlement.
    """
    with two_paths(folder, spark) as paths, ExitStack() as held:
        config = paths.batch.config

        def opened(job: str) -> Lakehouse:
            lease = held.enter_context(held_lease(config, job))
            return Lakehouse(config, spark, job, Trigger("once", 1), lease, now)

        gold, history = opened("consolidate"), opened("record_history")
        before_all, versions = now(), {}
        paths.deliver("policies", [GEO, OFTEN])
        paths.build()
        paths.decide(PLAIN, PLAIN_SCORE, BLOCKED, RISKY, RISKY_SCORE, OFTEN_PAID[0])
        paths.decide(*OFTEN_PAID[1:], number=1)
        versions["decided"] = consolidated(gold)
        record_history(history)
        paths.deliver("policies", [GEO, OFTEN, BACKDATED], revision=1)
        paths.deliver("transactions", [as_booked(PLAIN, amount="1100"), as_booked(BLOCKED)])
        paths.deliver("fraud_scores", [as_fields(OFFLINE)])
        settled = money("plain", "SETTLED", 1100)
        paths.deliver("money_events", [settled])
        paths.build()
        versions["settled"] = consolidated(gold)
        record_history(history)
        refunded = [settled, money("plain", "REFUNDED", 100)]
        disputed = [*refunded, money("plain", "CHARGEBACK", 500)]
        for revision, rows in ((1, refunded), (2, disputed)):
            paths.deliver("money_events", rows, revision=revision)
            paths.build()
            versions[("refunded", "disputed")[revision - 1]] = consolidated(gold)
        yield Audited(paths, gold, history, versions, before_all)
