"""Whether Gold has what Silver says, and whether its totals are those of its money; pure.

First each contribution of Silver is looked for in Gold, by transaction and identity; then each
total of a Gold row is added up again from the money events that the row has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from gold.items import Bucket, items
from lakehouse.fold.rules import SUMS, ExceptionRule
from lakehouse.frames import broadcast_if_few
from lakehouse.records.codes import AccountDifference, Source
from lakehouse.tables import GOLD_TRANSACTIONS, Table

TOTALS = f"{GOLD_TRANSACTIONS.name}: money events -> totals"
"""The step inside Gold: what of its money a payment's totals count."""

_MONEY = "decimal(25,2)"
_SAID = ("withdrawn", "currency", "event_type", "amount")


@dataclass(frozen=True)
class Contributing:
    """A Silver table whose rows are contributions, and the sources Gold knows them by."""

    table: Table
    sources: tuple[Source, ...]
    time: str = "timestamp"
    of_money: bool = False
    has_types: bool = False

    @property
    def step(self) -> str:
        """How the step into Gold is called."""
        return f"{self.table.name} -> {GOLD_TRANSACTIONS.name}"


def contribution_items(
    silver: Sequence[tuple[Contributing, DataFrame]], gold: DataFrame
) -> DataFrame:
    """Items of contributions: each identity at its greatest revision, in its transaction.

    A withdrawn one counts as a record, and for no money. `key` is IDENTITY@REVISION.
    """
    wanted = reduce(DataFrame.unionByName, [_standing(kind, rows) for kind, rows in silver])
    found = _of_gold(gold, [kind for kind, _ in silver])
    place = ("step", "identity", "transaction_id")
    pairs = (
        wanted.withColumnRenamed("said", "wanted")
        .join(found.withColumnRenamed("said", "found"), [*place], "full_outer")
        .withColumns(
            {
                "name": F.col("transaction_id"),
                "key": key_of("identity", "revision"),
                "at": F.coalesce("at", "found_at"),
                "said": F.coalesce("wanted", "found"),
            }
        )
        .withColumns({name: F.col(f"said.{name}") for name in ("currency", "event_type")})
        .withColumn("amount", F.when(~F.col("said.withdrawn"), F.col("said.amount")))
    )
    is_wanted, is_found = F.col("revision").isNotNull(), F.col("copies").isNotNull()
    is_behind = is_wanted & (~is_found | (F.col("found_revision") < F.col("revision")))
    is_ahead = is_found & (
        ~is_wanted | (F.col("found_revision") > F.col("revision"))
    ) & ~F.col("found.withdrawn")  # fmt: skip
    same_revision = F.col("found_revision") == F.col("revision")
    is_altered = same_revision & ~F.col("wanted").eqNullSafe(F.col("found"))
    kind = F.when(is_behind, str(AccountDifference.MISSING)).when(
        is_altered, str(AccountDifference.ALTERED)
    )
    of_silver = pairs.where(is_wanted)
    bucket = F.when(~is_behind, str(Bucket.ACCEPTED))
    gap = F.when(is_altered, _apart()).otherwise(F.col("amount"))
    # Gold counts what it has, whatever Silver says by now
    of_gold = pairs.where(is_ahead).withColumn(
        "amount", F.when(~F.col("found.withdrawn"), F.col("found.amount"))
    )
    doubled = pairs.where(F.col("copies") > 1).withColumn("_more", F.col("copies") - 1)
    return reduce(
        DataFrame.unionByName,
        [
            items(of_silver, bucket=bucket, kind=kind, gap=gap),
            items(of_gold, delivered=0, kind=AccountDifference.UNDELIVERED),
            items(
                doubled,
                delivered=0,
                kind=AccountDifference.DOUBLED,
                cases=F.col("_more"),
                gap=F.col("amount") * F.col("_more"),
            ),
        ],
    )


def key_of(identity: str, revision: str) -> Column:
    """IDENTITY@REVISION of a contribution."""
    return F.concat(F.col(identity), F.lit("@"), F.col(revision).cast("string"))


def total_items(gold: DataFrame) -> DataFrame:
    """Items of money in Gold: counted in its payment's totals, or not and why; wrong totals; and
    payments that are there more than once.

    Money waits while nothing tells of its payment. If another row of its transaction does, nothing
    will come: it is MISSING in the payment's totals. Money in another currency than its payment is
    summed nowhere: Gold flags the row.
    """
    without = gold.where("currency IS NULL").select("transaction_id").distinct()
    paid = gold.where("currency IS NOT NULL").select("transaction_id")
    apart = (
        paid.join(broadcast_if_few(without), "transaction_id", "left_semi")
        .distinct()
        .withColumn("is_apart", F.lit(True))
    )
    money = (
        gold.join(broadcast_if_few(apart), "transaction_id", "left")
        .select(
            "transaction_id",
            F.col("currency").alias("paid_in"),
            "exceptions",
            "is_apart",
            F.explode(_money_of(F.col("contributions"))).alias("event"),
        )
        .select(
            F.lit(TOTALS).alias("step"),
            F.col("event.currency").alias("currency"),
            F.col("event.event_type").alias("event_type"),
            F.col("transaction_id").alias("name"),
            F.col("event.identity").alias("key"),
            F.col("event.event_time").alias("at"),
            F.col("event.amount").alias("amount"),
            "paid_in",
            "exceptions",
            "is_apart",
        )
    )
    is_unknown = F.col("paid_in").isNull()
    is_apart = is_unknown & F.col("is_apart").isNotNull()
    is_waiting = is_unknown & ~is_apart
    is_flagged = F.array_contains("exceptions", str(ExceptionRule.CURRENCY_MISMATCH))
    is_other = F.col("currency") != F.col("paid_in")
    bucket = F.when(is_waiting | (is_other & is_flagged), str(Bucket.HELD)).when(
        ~is_other, str(Bucket.ACCEPTED)
    )
    kind = (
        F.when(is_waiting, str(AccountDifference.WAITING))
        .when(is_other & is_flagged, str(AccountDifference.OTHER_CURRENCY))
        .when(is_other | is_apart, str(AccountDifference.MISSING))
    )
    found = items(money, bucket=bucket, kind=kind)
    return found.unionByName(_wrong_totals(gold)).unionByName(_doubled(gold))


def _doubled(gold: DataFrame) -> DataFrame:
    """An item per transaction that has several rows, about what all but the greatest say of it.

    Consolidation looks for a row near the days that it knows: what live and batch date far apart
    makes two, until `lakehouse prove gold --heal`.
    """
    several = gold.groupBy("transaction_id").agg(
        F.count("*").alias("_rows"),
        F.max("currency").alias("currency"),
        F.min("timestamp").alias("at"),
        (F.sum("amount") - F.max("amount")).alias("amount"),
    )
    return items(
        several.where("_rows > 1").select(
            F.lit(TOTALS).alias("step"),
            "currency",
            F.lit(None).cast("string").alias("event_type"),
            F.col("transaction_id").alias("name"),
            F.col("transaction_id").alias("key"),
            "at",
            "amount",
            "_rows",
        ),
        delivered=0,
        kind=AccountDifference.DOUBLED,
        cases=F.col("_rows") - 1,
    )


def _wrong_totals(gold: DataFrame) -> DataFrame:
    totals = F.array(
        *[
            F.struct(
                F.lit(str(kind)).alias("event_type"),
                (F.coalesce(F.col(column), F.lit(0)) - _sum_of(str(kind))).alias("apart"),
            )
            for column, kind in SUMS.items()
        ]
    )
    wrong = gold.select(
        F.lit(TOTALS).alias("step"),
        F.col("event_date").alias("day"),
        "currency",
        F.col("transaction_id").alias("name"),
        F.col("transaction_id").alias("key"),
        F.col("timestamp").alias("at"),
        F.inline(totals),
    ).where("apart <> 0")
    return items(
        wrong.withColumn("amount", F.abs("apart")),
        delivered=0,
        kind=AccountDifference.SUM_DIFFERS,
    )


def _sum_of(event_type: str) -> Column:
    def counts(event: Column) -> Column:
        return (event["event_type"] == event_type) & (event["currency"] == F.col("currency"))

    counted = F.filter(_money_of(F.col("contributions")), counts)
    amounts = F.transform(counted, lambda event: event["amount"].cast(_MONEY))
    nothing = F.lit(0).cast(_MONEY)
    return F.aggregate(amounts, nothing, lambda sum_, amount: (sum_ + amount).cast(_MONEY))


def _money_of(contributions: Column) -> Column:
    is_money = str(Source.MONEY_EVENT)
    return F.filter(contributions, lambda c: (c["source"] == is_money) & ~c["withdrawn"])


def _standing(kind: Contributing, rows: DataFrame) -> DataFrame:
    """Each identity of a Silver table at its greatest revision, and what is said of it."""
    nothing = F.lit(None)
    values = {
        "withdrawn": F.col("withdrawn"),
        "currency": (F.col("currency") if kind.of_money else nothing).cast("string"),
        "event_type": (F.col("event_type") if kind.has_types else nothing).cast("string"),
        "amount": (F.col("amount") if kind.of_money else nothing).cast(_MONEY),
    }
    row = F.struct(
        "transaction_id",
        F.col(kind.time).alias("at"),
        F.struct(*[values[name].alias(name) for name in _SAID]).alias("said"),
    )
    standing = rows.groupBy("identity").agg(
        F.max("revision").alias("revision"), F.max_by(row, "revision").alias("row")
    )
    return standing.select(F.lit(kind.step).alias("step"), "identity", "revision", "row.*")


def _of_gold(gold: DataFrame, kinds: Sequence[Contributing]) -> DataFrame:
    """Contributions of Gold by transaction and identity, and how many `copies` there are."""
    step_of = F.create_map(
        *[F.lit(text) for kind in kinds for name in kind.sources for text in (name, kind.step)]
    )
    # scores repeat their transaction's currency nowhere: their amount is null on both sides
    said = F.struct(*[F.col(f"c.{name}").alias(name) for name in ("withdrawn", "currency")],
                    F.col("c.event_type").alias("event_type"),
                    F.col("c.amount").cast(_MONEY).alias("amount"))  # fmt: skip
    contributions = gold.select("transaction_id", F.explode("contributions").alias("c")).select(
        F.element_at(step_of, F.col("c.source")).alias("step"),
        F.col("c.identity").alias("identity"),
        "transaction_id",
        F.col("c.revision").alias("found_revision"),
        F.col("c.event_time").alias("found_at"),
        said.alias("said"),
    )
    return contributions.groupBy("step", "identity", "transaction_id").agg(
        F.count("*").alias("copies"),
        F.max("found_revision").alias("found_revision"),
        F.max_by("said", "found_revision").alias("said"),
        F.max("found_at").alias("found_at"),
    )


def _apart() -> Column:
    """How far Gold's contribution lies from Silver's: all of it, where more than the amount."""
    wanted, found = F.col("wanted.amount"), F.col("found.amount")
    same = reduce(
        lambda one, other: one & other,
        [F.col(f"wanted.{name}").eqNullSafe(F.col(f"found.{name}")) for name in _SAID[:-1]],
    )
    return F.when(same, F.abs(wanted - found)).otherwise(F.greatest(wanted, found))
