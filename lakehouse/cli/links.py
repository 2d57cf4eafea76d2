"""Which links between the records of a transaction should be there, and are not; pure.

What a job has not read yet is no missing link: it waits, and is told as a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lakehouse.cli.lineage import Lineage, Sighting, path_in, tables_of
from lakehouse.records.codes import Source

_SILVER_OF = {
    Source.LIVE_EVENT: "silver.live_transactions",
    Source.BATCH_LOG: "silver.batch_transactions",
    Source.MONEY_EVENT: "silver.money_events",
    Source.API_SCORE: "silver.fraud_scores",
    Source.TOPIC_SCORE: "silver.fraud_scores",
    Source.OFFLINE_SCORE: "silver.offline_scores",
}
_SILVER_BEHIND = {
    "bronze.drops_transactions": "silver.batch_transactions",
    "bronze.drops_money_events": "silver.money_events",
    "bronze.drops_fraud_scores": "silver.offline_scores",
}
_SOURCES = ("kafka:", "file:")


@dataclass(frozen=True)
class Progress:
    """How many versions of what it reads each job has not read yet, by job; absent: none."""

    behind: Mapping[str, int]

    def waits_for(self, job: str) -> str | None:
        """Why something may not be there yet; null if the job has read everything."""
        versions = self.behind.get(job, 0)
        return f"{job} has {versions} versions to read" if versions else None


@dataclass(frozen=True)
class Served:
    """What DynamoDB has; `is_known` is false where it did not answer: nobody knows what it has.

    `retention` is how long after the event the group `live` stays.
    """

    item: Mapping[str, Any] | None
    is_known: bool
    retention: timedelta


@dataclass(frozen=True)
class Broken:
    """One link that is not there; `waits` says why it may come yet."""

    what: str
    waits: str | None = None


@dataclass(frozen=True)
class Look:
    """What was found at one time: by every layer, by the store, and which links are not there."""

    found: Lineage
    store: Served
    missing: list[str]
    waiting: list[str]


def missing_twice(look: Callable[[bool], Look]) -> Look:
    """What a look finds; where it misses a link, what a second look finds and misses as well.

    The first reads its tables while jobs go on, one sooner than the other. The second (`look` is
    told true) is to ask how far the jobs have come before it reads: what was written before the
    first, and a job says it has read by then, has to be there.
    """
    first = look(False)
    if not first.missing:
        return first
    second = look(True)
    return replace(second, missing=[each for each in second.missing if each in first.missing])


def broken_links(
    found: Lineage, progress: Progress, served: Served, now: datetime
) -> tuple[list[str], list[str]]:
    """Links that are missing, and notes on those that may come yet."""
    broken = [
        *_silver_without_bronze(found),
        *_bronze_without_silver(found, progress),
        *_decisions_without_score(found),
        *_corrections_not_taken(found, progress),
        *_silver_without_gold(found, progress),
        *_gold_without_silver(found),
        *_gold_without_history(found, progress),
        *_not_served(found, progress, served, now),
    ]
    missing = [each.what for each in broken if each.waits is None]
    return missing, [f"{each.what}: {each.waits}" for each in broken if each.waits]


def _silver_without_bronze(found: Lineage) -> Iterator[Broken]:
    delivered = {s.coordinates for s in tables_of(found.sightings, "bronze.")}
    for row in tables_of(found.sightings, "silver."):
        if row.coordinates.startswith(_SOURCES) and row.coordinates not in delivered:
            yield Broken(
                f"{row.table} has a record of {row.coordinates}, and Bronze has none there"
            )


def _bronze_without_silver(found: Lineage, progress: Progress) -> Iterator[Broken]:
    taken = {s.coordinates for s in tables_of(found.sightings, "silver.")}
    known = {s.identity for s in found.sightings if s.coordinates in taken and s.identity}
    for row in tables_of(found.sightings, "bronze."):
        if row.coordinates in taken:
            continue
        what = f"{row.table} has {row.coordinates}, which is neither in Silver nor in quarantine"
        if row.table not in _SILVER_BEHIND:
            # a repetition: with other content it would be in quarantine
            if row.identity not in known:
                yield Broken(what, progress.waits_for("enrich_live"))
        elif row.coordinates in found.set_aside:
            held = found.set_aside[row.coordinates]
            if held is not None:
                yield Broken(what, held)
        elif not _stands_for(_standing(found, row), row):
            yield Broken(what, progress.waits_for("build_batch"))


def _standing(found: Lineage, row: Sighting) -> Sighting | None:
    """The delivered row that Silver goes by, among those that say who `row` is."""
    taken = tables_of(found.sightings, _SILVER_BEHIND[row.table])
    # a row may be revised where it lies: the greatest revision is told last
    taken.sort(key=lambda s: s.revision or 0)
    revisions = {s.coordinates: s.revision or 0 for s in taken}
    rivals = [
        s for s in tables_of(found.sightings, row.table)
        if s.coordinates in revisions and s.identity is not None and s.identity == row.identity
    ]  # fmt: skip
    return max(rivals, key=lambda s: revisions[s.coordinates], default=None)


def _stands_for(standing: Sighting | None, row: Sighting) -> bool:
    """Whether Silver has no need of a row: what stands says the same, or was delivered after it.

    Of rows of one day their own times decide, unless a later revision of one file brought them.
    """
    if standing is None:
        return False
    if standing.content == row.content:
        return True
    if path_in(standing.coordinates) == path_in(row.coordinates):
        return (standing.revision or 0) >= (row.revision or 0)
    return standing.at is not None and row.at is not None and standing.at >= row.at


def _decisions_without_score(found: Lineage) -> Iterator[Broken]:
    scores = {s.identity for s in tables_of(found.sightings, "silver.fraud_scores")}
    for row in tables_of(found.sightings, "silver.live_transactions"):
        if row.score_id is not None and row.score_id not in scores:
            yield Broken(
                f"the decision on event {row.identity} used score {row.score_id}, which "
                "silver.fraud_scores has not"
            )


def _corrections_not_taken(found: Lineage, progress: Progress) -> Iterator[Broken]:
    refused = [s.coordinates for s in tables_of(found.sightings, "silver.quarantine_live")]
    taken = {s.coordinates for s in found.sightings if s.source is not None}
    for row in tables_of(found.sightings, "silver.corrections"):
        # one that came into conflict stands in quarantine once more
        if row.coordinates not in taken and refused.count(row.coordinates) < 2:
            yield Broken(
                f"the correction of {row.coordinates} is not in Silver",
                progress.waits_for("enrich_live"),
            )


def _newest(found: Lineage) -> dict[tuple[str, str], Sighting]:
    """Rows of Silver by identity and source, the greatest revision of each."""
    rows = [s for s in tables_of(found.sightings, "silver.") if s.source and s.identity]
    rows.sort(key=lambda s: s.revision or 0)
    return {(str(s.identity), str(s.source)): s for s in rows}


def _silver_without_gold(found: Lineage, progress: Progress) -> Iterator[Broken]:
    if len(found.gold) > 1:
        yield Broken(f"Gold has {len(found.gold)} rows of it (`lakehouse prove gold --heal`)")
    folded = {(c.identity, c.source): c.revision for row in found.gold for c in row}
    for key, row in _newest(found).items():
        revision = folded.get(key)
        if revision is None or revision < (row.revision or 0):
            has = "has it not" if revision is None else f"has revision {revision}"
            yield Broken(
                f"{row.table} has revision {row.revision} of {row.identity}, and Gold {has}",
                progress.waits_for("consolidate"),
            )


def _gold_without_silver(found: Lineage) -> Iterator[Broken]:
    stored = {(s.identity, s.source, s.revision) for s in tables_of(found.sightings, "silver.")}
    for row in found.gold:
        for c in row:
            if (c.identity, c.source, c.revision) not in stored:
                table = _SILVER_OF[Source(c.source)]
                yield Broken(
                    f"Gold has revision {c.revision} of {c.source} {c.identity} "
                    f"({c.coordinates}), and {table} has it not"
                )


def _gold_without_history(found: Lineage, progress: Progress) -> Iterator[Broken]:
    waits = progress.waits_for("record_history")
    if not found.gold:
        if found.states:
            yield Broken("gold.transaction_history knows it, and gold.transactions has no row")
        return
    now = {(c.identity, c.source, c.revision) for row in found.gold for c in row}
    last = found.states[-1].contributions if found.states else []
    if not found.states:
        yield Broken("gold.transaction_history has no row of it", waits)
    elif {(c.identity, c.source, c.revision) for c in last} != now:
        yield Broken(
            f"the newest row of gold.transaction_history (Gold version {found.states[-1].version}) "
            "has other contributions than Gold",
            waits,
        )


def _not_served(
    found: Lineage, progress: Progress, served: Served, now: datetime
) -> Iterator[Broken]:
    """What is missing of the item: of `live` while it stays, of `gold` while the payment is hot.

    Of a payment that cooled down a tombstone is left, or nothing: it may never have been told.
    """
    if not served.is_known:
        yield Broken("DynamoDB was not asked: it does not answer")
        return
    item = served.item or {}
    live = [s.at for s in tables_of(found.sightings, "silver.live_transactions") if s.at]
    if live and max(live) + served.retention > now and not item.get("live"):
        waits = progress.waits_for("enrich_live")
        yield Broken("DynamoDB has no group `live` of it, though Silver decided it", waits)
    if found.hot_until is None or found.hot_until <= now:
        return
    waits = progress.waits_for("sync_dynamodb")
    if not item.get("gold"):
        yield Broken("DynamoDB has no group `gold` of it, though Gold knows the payment", waits)
    elif found.states and int(item["gold_version"]) < found.states[-1].version:
        yield Broken(
            f"DynamoDB has it as of Gold version {item['gold_version']}, and version "
            f"{found.states[-1].version} changed it",
            waits,
        )
    elif item["gold"].get("cooled"):
        until = f"{found.hot_until:%Y-%m-%d %H:%M} UTC"
        yield Broken(f"DynamoDB has a tombstone of it, though it is hot until {until}", waits)
