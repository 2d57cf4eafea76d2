"""A Gold table of any size, and deliveries to it, made by Spark expressions from numbers.

Payments are numbered, and `PER_DAY` of them lie on each UTC day, spread evenly over its seconds and
over five regions; each has an event of the topic and its row of the daily log. Days are counted
from `FIRST_DAY`.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.config import Config
from lakehouse.decision import load_regions, region_of
from lakehouse.fold.precedence import load_precedence
from lakehouse.fold.rules import contribution_type
from lakehouse.fold.spark import Derivation, derivation
from lakehouse.fold.transitions import load_transitions
from lakehouse.records.codes import MoneyEventType, Source
from lakehouse.tables import GOLD_TRANSACTIONS

FIRST_DAY = date(2025, 1, 1)
PER_DAY = 50_000

_PER_TASK = 250_000
_COUNTRIES = ("DE", "US", "JP", "BR", "ZA")


def gold_rows(
    spark: SparkSession, config: Config, days: range, per_day: int = PER_DAY
) -> DataFrame:
    """Complete rows of gold.transactions, derived from two contributions each."""
    payments = _payments(spark, config, days, per_day)
    live = _contribution(Source.LIVE_EVENT, F.lit("live"), **_facts())
    log = _contribution(Source.BATCH_LOG, F.lit("log"), **_facts())
    sets = payments.select("transaction_id", F.array(live, log).alias("contributions"))
    return rules_of(config)(sets)


def rules_of(config: Config) -> Derivation:
    """The project's own rules, compiled."""
    rules = config.rules
    return derivation(load_precedence(rules.precedence), load_transitions(rules.transitions))


def money(
    spark: SparkSession,
    config: Config,
    days: range,
    per_day: int,
    kind: MoneyEventType,
    dated: bool,
) -> DataFrame:
    """(transaction_id, contribution): one money event of each of so many payments of these days.

    Where it is `dated` it says on which day the payment was made.
    """
    known = {
        "event_time": F.col("event_time") + F.make_dt_interval(days=F.lit(1)),
        "amount": F.col("amount"),
        "currency": F.lit("EUR"),
        "event_type": F.lit(str(kind)),
    }
    if dated:
        known["payment_date"] = F.col("day")
    event = _contribution(Source.MONEY_EVENT, F.lit(kind.lower()), **known)
    payments = _payments(spark, config, days, per_day)
    return payments.select("transaction_id", event.alias("contribution"))


def live(spark: SparkSession, config: Config, days: range, per_day: int) -> DataFrame:
    """(transaction_id, contribution): the event of the topic of so many payments of these days."""
    payments = _payments(spark, config, days, per_day)
    event = _contribution(Source.LIVE_EVENT, F.lit("live"), **_facts())
    return payments.select("transaction_id", event.alias("contribution"))


def write_gold(rows: DataFrame, path: str) -> None:
    """Append rows as consolidation leaves them: one file for each partition."""
    by = GOLD_TRANSACTIONS.partitioned_by
    rows.repartition(*by).write.format("delta").mode("append").partitionBy(*by).save(path)


def _payments(spark: SparkSession, config: Config, days: range, per_day: int) -> DataFrame:
    numbers = spark.range(
        days.start * PER_DAY,
        days.stop * PER_DAY,
        numPartitions=max(2, len(days) * PER_DAY // _PER_TASK),
    ).withColumnRenamed("id", "number")
    # one of each region, then the next
    turn = (F.col("number") / len(_COUNTRIES)).cast("long")
    return numbers.where(turn % (PER_DAY // per_day) == 0).withColumns(_payment(config))


def _payment(config: Config) -> dict[str, Column]:
    number = F.col("number")
    digest = F.md5(number.cast("string"))
    parts = [
        digest.substr(at, length) for at, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    ]
    countries = F.array(*[F.lit(country) for country in _COUNTRIES])
    country = F.get(countries, (number % len(_COUNTRIES)).cast("int"))
    seconds = (number % PER_DAY) * 86_400 / PER_DAY
    day = F.date_add(F.lit(FIRST_DAY), (number / PER_DAY).cast("int"))
    return {
        "transaction_id": F.concat_ws("-", *parts),
        "day": day,
        "event_time": (F.unix_timestamp(day.cast("timestamp")) + seconds).cast("timestamp"),
        "country": country,
        "region": region_of(country, load_regions(config.rules.regions)),
        "amount": (F.lit(100) + number % 99_991).cast("decimal(15,2)"),
    }


def _facts() -> dict[str, Column]:
    return {
        "event_time": F.col("event_time"),
        "payment_date": F.col("day"),
        "amount": F.col("amount"),
        "currency": F.lit("EUR"),
        "country": F.col("country"),
        "region": F.col("region"),
        "merchant_id": F.concat(F.lit("merchant-"), (F.col("number") % 1000).cast("string")),
        "payment_token": F.concat(F.lit("tok_"), F.md5(F.col("transaction_id"))),
        "user_id": F.concat(F.lit("payer-"), (F.col("number") % 100_003).cast("string")),
        "transaction_status": F.lit("AUTHORIZED"),
        "sequence": F.lit(1),
        "policy_flag": F.lit("NONE"),
    }


def _contribution(source: Source, what: Column, **known: Column) -> Column:
    columns = known | {
        "identity": F.concat_ws("/", what, F.col("transaction_id")),
        "revision": F.lit(0),
        "withdrawn": F.lit(False),
        "source": F.lit(str(source)),
        "version": F.lit(1),
        "coordinates": F.concat(F.lit("bench:"), F.col("number").cast("string")),
    }
    kind = contribution_type()
    fields = [columns.get(name, F.lit(None)).alias(name) for name in kind.fieldNames()]
    return F.struct(*fields).cast(kind.simpleString())
