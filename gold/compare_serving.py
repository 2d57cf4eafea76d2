"""DynamoDB beside Gold as of the position of sync_dynamodb: drift by kind; `--repair` mends it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Annotated

import typer
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from gold.drift import AHEAD, UNEQUAL, Drift, Versions, compared, replace_equal, scanned
from gold.following import (
    NOTHING_YET,
    Span,
    changes_in,
    gold_table_id,
    kept_behind,
    newest_gold_version,
)
from gold.position import position_of
from gold.serving import contents_of, items_of, tombstones_of
from lakehouse.context import Lakehouse
from lakehouse.dynamodb import push
from lakehouse.errors import NotSyncedError, ServingDriftError
from lakehouse.frames import Keep, keeping
from lakehouse.hot import hot_until, is_hot
from lakehouse.job import run
from lakehouse.monitoring import log
from lakehouse.tables import GOLD_TRANSACTIONS

MOST_NAMED = 20
_SEGMENTS = 8  # of a scan, side by side
_PARTS = 1_000_000
_MOST_SEGMENTS = 1_000_000  # DynamoDB refuses a scan in more


@dataclass(frozen=True)
class ServingReport:
    """What was compared, and what drifts. `ahead` was written meanwhile, and is none."""

    version: int  # the Gold version that was compared
    newest_version: int
    payments: int  # in Gold, but those that still wait for their transaction
    hot: int
    compared: int
    ahead: int
    drift: Mapping[str, int]  # by kind, 0 included
    named: Mapping[str, list[str]]  # the first MOST_NAMED transactions of each kind, sorted
    repaired: int
    seed: int | None  # of the sample; null: all were compared

    @property
    def drifting(self) -> int:
        """Items that are not what Gold says."""
        return sum(self.drift.values())


def compare_serving(
    lake: Lakehouse,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Compare about so many payments; else all.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Which sample; else another each time.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write what drifts, by the same conditional writes.")
    ] = False,
    only_report: Annotated[
        bool, typer.Option("--only-report", help="Do not fail for what drifts.")
    ] = False,
) -> ServingReport:
    """Compare items with Gold, and those that nobody expects with nothing.

    Raises:
        NotSyncedError: no push has ended yet, or its version is beyond time travel.
        IndexNotFoundError, DynamoDbError: the store has no such table, or does not answer.
        ServingDriftError: items drift, and were not mended.
    """
    if sample is not None and seed is None:
        seed = secrets.randbelow(_PARTS)
    look = Look.at_position(lake, sample, seed)
    report = look.report(repaired=0)
    if repair and report.drifting:
        repaired = look.mend()
        report = replace(look.report(repaired), seed=report.seed)
    if look.is_whole:
        log("compared", job=lake.job, version=report.version, counts=dict(report.drift))
    else:
        log("sampled", job=lake.job, version=report.version, counts=dict(report.drift))
    if report.drifting and not only_report:
        raise ServingDriftError(lake.config.dynamodb.table, report.drift, report.named)
    return report


def segments_of(share: float, seed: int | None) -> tuple[int, list[int]]:
    """In how many segments the store is scanned, and which of them hold about that share of it."""
    of_segments = min(_MOST_SEGMENTS, max(_SEGMENTS, ceil(_SEGMENTS / share)))
    first = (seed or 0) % of_segments
    return of_segments, [(first + number) % of_segments for number in range(_SEGMENTS)]


@dataclass(frozen=True)
class Look:
    """Gold at one version, and the store as it is now."""

    lake: Lakehouse
    versions: Versions
    gold: DataFrame
    share: float  # of all payments that are compared
    seed: int | None

    @classmethod
    def at_position(cls, lake: Lakehouse, sample: int | None, seed: int | None) -> Look:
        """Where sync_dynamodb stands."""
        table = lake.config.dynamodb.table
        newest = newest_gold_version(lake)
        position = position_of(replace(lake, job="sync_dynamodb"), gold_table_id(lake))
        if position == NOTHING_YET:
            raise NotSyncedError(table, "no push has ended yet")
        at = min(position, newest)  # beyond it, Gold was restored
        try:
            gold = lake.read(GOLD_TRANSACTIONS, at)
        except AnalysisException:
            raise NotSyncedError(table, f"Gold keeps no version {at} any more") from None
        gold = gold.withColumn("version", F.lit(at).cast("long"))
        versions = Versions(at, newest)
        look = cls(lake, versions, gold, 1.0, seed)
        if sample is None:
            return look
        return replace(look, share=min(1.0, sample / max(1, look._known().count())))

    @property
    def is_whole(self) -> bool:
        """Whether every payment and every item is compared."""
        return self.share == 1

    def report(self, repaired: int) -> ServingReport:
        """Compare, and count by kind."""
        known = self._known()
        counts = known.agg(
            F.count("*").alias("payments"),
            F.count_if(self._is_hot()).alias("hot"),
            F.count_if(self._is_hot() & self._is_sampled()).alias("compared"),
        ).first()
        assert counts is not None  # an aggregate has one row
        with keeping() as keep:
            found = keep(self._drifting(keep))
            by_kind = {row["kind"]: row["count"] for row in found.groupBy("kind").count().collect()}
            named = {
                str(kind): [
                    row[0]
                    for row in found.where(F.col("kind") == str(kind))
                    .select("transaction_id")
                    .orderBy("transaction_id")
                    .limit(MOST_NAMED)
                    .collect()
                ]
                for kind in Drift
                if str(kind) in by_kind
            }
        return ServingReport(
            version=self.versions.compared,
            newest_version=self.versions.newest,
            payments=counts["payments"],
            hot=counts["hot"],
            compared=counts["compared"],
            ahead=by_kind.get(AHEAD, 0),
            drift={str(kind): by_kind.get(str(kind), 0) for kind in Drift},
            named=named,
            repaired=repaired,
            seed=self.seed,
        )

    def mend(self) -> int:
        """Write what drifts: items of hot payments, tombstones in the place of all else."""
        config, now = self.lake.config, self.lake.clock()
        with keeping() as keep:
            is_mendable = ~F.col("kind").isin(str(Drift.BACKWARDS), AHEAD)
            drifting = keep(self._drifting(keep).where(is_mendable))
            drifting.count()  # all of it, before the first write changes what is found
            wanted = self.gold.join(F.broadcast(drifting), "transaction_id", "left_semi")
            items = keep(items_of(wanted, config, now))
            others = drifting.join(items, "transaction_id", "left_anti").select(
                "transaction_id", F.lit(self.versions.compared).cast("long").alias("version")
            )
            items = keep(items.unionByName(tombstones_of(others, config, now)))
            self.lake.lease.check()
            written = push(items, "gold", config.dynamodb).written
            # a push goes over smaller versions alone
            own = drifting.where(F.col("seen_version") == self.versions.compared)
            equal = items.join(F.broadcast(own), "transaction_id", "left_semi")
            return written + replace_equal(equal, config.dynamodb)

    def _drifting(self, keep: Keep) -> DataFrame:
        """Items that drift, or are ahead: `transaction_id, kind, seen_version`."""
        config, now = self.lake.config, self.lake.clock()
        settings, known = config.dynamodb, self._known()
        served = items_of(known.where(self._is_sampled()), config, now)
        of_hot = compared(served.withColumn("is_hot", F.lit(True)), settings, self.versions)
        found = self._found().join(known.where(self._is_hot()), "transaction_id", "left_anti")
        cold = known.join(found, "transaction_id", "left_semi")
        left = contents_of(cold, config, now).withColumn("is_hot", F.lit(False))
        of_cold = compared(left, settings, self.versions)
        of_none = found.join(known, "transaction_id", "left_anti").select(
            "transaction_id", self._kind_of_extra().alias("kind"), "seen_version"
        )
        return self._dated(keep(of_hot.unionByName(of_cold).unionByName(of_none)))

    def _dated(self, drifting: DataFrame) -> DataFrame:
        """UNEQUAL items become stale where Gold has changed them since, else differing.

        What lies behind Gold's change feed tells nothing: a change of then counts as none.
        """
        is_unequal = F.col("kind") == UNEQUAL
        oldest = drifting.where(is_unequal).agg(F.min("seen_version").alias("version")).first()
        if oldest is None or oldest["version"] is None:
            return drifting
        changed = self._changed_behind(oldest["version"])
        later = F.col("changed_in") > F.col("seen_version")
        kind = F.when(F.coalesce(later, F.lit(False)), str(Drift.STALE)).otherwise(
            str(Drift.DIFFERING)
        )
        return drifting.join(changed, "transaction_id", "left").select(
            "transaction_id", F.when(is_unequal, kind).otherwise(F.col("kind")).alias("kind"),
            "seen_version",
        )  # fmt: skip

    def _changed_behind(self, version: int) -> DataFrame:
        """Transactions that changed behind a version, and in which last: `changed_in`.

        As far as Gold's change feed reaches back.
        """
        after = max(version, kept_behind(self.lake))
        if after >= self.versions.compared:
            return self.gold.limit(0).select("transaction_id", F.col("version").alias("changed_in"))
        feed = changes_in(self.lake, Span(after, self.versions.compared))
        last = F.max("_commit_version").alias("changed_in")
        return feed.groupBy("transaction_id").agg(last)

    def _found(self) -> DataFrame:
        """Items of the store, of the same share of its keys."""
        of_segments, segments = segments_of(self.share, self.seed)
        return scanned(self.lake.spark, self.lake.config.dynamodb, of_segments, segments)

    def _known(self) -> DataFrame:
        return self.gold.where(hot_until(self.lake.config.dynamodb.hot).isNotNull())

    def _is_hot(self) -> Column:
        return is_hot(self.lake.config.dynamodb.hot, self.lake.clock())

    def _is_sampled(self) -> Column:
        place = F.pmod(F.xxhash64("transaction_id", F.lit(self.seed or 0)), F.lit(_PARTS))
        # of a huge Gold a small sample would be none at all
        return place < F.lit(max(1, round(self.share * _PARTS)))

    def _kind_of_extra(self) -> Column:
        seen = F.col("seen_version")
        return (
            F.when(seen > self.versions.newest, str(Drift.BACKWARDS))
            .when(seen > self.versions.compared, AHEAD)
            .otherwise(str(Drift.EXTRA))
        )


if __name__ == "__main__":
    run(compare_serving)
