"""A micro-batch of `enrich_live` beside all that was committed before it, looked at at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.context import Batch, Lakehouse
from lakehouse.decision import DecisionRules, PolicyBook
from lakehouse.frames import Way
from lakehouse.meanwhile import Start
from lakehouse.quality import is_accepted
from lakehouse.tables import SILVER_LIVE_TRANSACTIONS
from silver import live
from silver.deliveries import PAYMENTS, SCORES
from silver.known import Days, Known, Policies
from silver.live import Standing

_CONFLICT_RULES = {PAYMENTS: "event_id_conflict", SCORES: "identity_conflict"}
_COUNTED = (
    "user_id", "transaction_id", "timestamp", "transaction_status", "currency", "amount",
)  # fmt: skip
"""What velocity counts by."""
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Turn:
    """One micro-batch under way: `now` is when it began, UTC."""

    lake: Lakehouse
    rules: DecisionRules
    batch: Batch
    now: datetime
    way: Way
    start: Start


@dataclass(frozen=True)
class Tally:
    """What a parsed micro-batch holds: days of accepted rows, delivery days of all, refusals."""

    event_days: frozenset[date]
    payment_days: frozenset[date]
    delivery_days: frozenset[date]
    refused: int


@dataclass(frozen=True)
class Past:
    """What came before: the policies as published now, and what velocity counts."""

    policies: PolicyBook
    earlier: DataFrame


@dataclass(frozen=True)
class Seen:
    """A micro-batch beside what was committed before it, `known`; `known_now` reads that again."""

    judged: DataFrame
    days: Days
    standings: Counter[tuple[str, ...]]
    known: Known
    known_now: Callable[[], Known]
    past: Past | None  # None where no payment has come

    def new(self, source: str) -> DataFrame | None:
        """Rows of a source that nobody stands for yet; None if there are none."""
        if not self.standings[source, Standing.NEW]:
            return None
        return from_source(source, self.judged.where(live.are(Standing.NEW)))


def tallied(way: Way, deliveries: DataFrame) -> Tally:
    """Count parsed deliveries. Runs a query, unless they are few."""
    is_good = is_accepted().alias("is_good")
    told = deliveries.select("source_table", is_good, "event_date", "quarantine_date")
    groups = way.counted(told)
    accepted = [(source, day) for source, stands, day, _ in groups if stands]
    return Tally(
        event_days=frozenset(day for _, day in accepted),
        payment_days=frozenset(day for source, day in accepted if source == PAYMENTS),
        delivery_days=frozenset(day for *_, day in groups),
        refused=sum(count for (_, stands, *_), count in groups.items() if not stands),
    )


def seen_beside(turn: Turn, delivered: DataFrame, tally: Tally, policies: Policies) -> Seen:
    """Look at all that is committed; what velocity counts, beside the rest."""
    lake, way = turn.lake, turn.way
    days = Days(tally.event_days, turn.now.date(), lake.config.gold.locate_window_days)
    accepted = delivered.where(is_accepted())
    known_now = partial(Known.of, lake, way, turn.start, accepted, days)
    looking_back = turn.start(
        partial(_past, turn, tally, from_source(PAYMENTS, accepted), policies)
    )
    known = known_now()
    judged = way.keep(live.judged(delivered, known.same, _CONFLICT_RULES))
    standings = way.counted(judged.select("source_table", "standing"))
    return Seen(judged, days, standings, known, known_now, looking_back())


def _past(turn: Turn, tally: Tally, payments: DataFrame, policies: Policies) -> Past:
    book = policies.now()
    return Past(book, turn.way.early(_earlier(turn.lake, turn.way, tally, payments, book)))


def _earlier(
    lake: Lakehouse, way: Way, tally: Tally, payments: DataFrame, policies: PolicyBook
) -> DataFrame:
    """What velocity counts beside these payments: committed ones of their users before them."""
    window = policies.longest_window_seconds
    first = way.least(payments.select(F.unix_seconds("timestamp")))
    if not window or first is None:
        return payments.limit(0)
    near_days = live.near("event_date", tally.payment_days, -(-window // _DAY_SECONDS))
    # files of before are passed over: what a micro-batch costs must not grow with the day; of whole
    # minutes, because Java compiles a query with another number in it anew
    since = (first - window) // 60 * 60
    is_late_enough = F.col("timestamp") >= F.timestamp_seconds(F.lit(since))
    committed = lake.read(SILVER_LIVE_TRANSACTIONS).where(near_days & is_late_enough)
    of_users = committed.join(payments.select("user_id"), "user_id", "left_semi")
    return of_users.select(*_COUNTED)


def from_source(source_table: str, rows: DataFrame) -> DataFrame:
    """Rows that were delivered by that table of Bronze."""
    return rows.where(F.col("source_table") == source_table)
