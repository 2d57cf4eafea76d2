"""Normalised money: each amount in the base currency, at the rate of the payment's day."""

from __future__ import annotations

from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.config import MoneySettings
from lakehouse.decision.currency import minor_digits, minor_units
from lakehouse.errors import ContractError
from lakehouse.records.codes import FxStatus
from lakehouse.records.silver import NormalisedMoney
from lakehouse.schema import spark_schema

_RATE_SCALE = 100_000_000  # a rate is DECIMAL(18,8): a whole number of these parts


def with_base_amount(payments: DataFrame, rates: DataFrame, money: MoneySettings) -> DataFrame:
    """Add the columns of records.silver.NormalisedMoney to each payment.

    The rate is that of the last day with one, up to the UTC date of the payment's `timestamp`:
    OK where it is at most `max_rate_age_days` old; STALE where it is older: rate and date are
    told, `amount_base` is null; MISSING where there is none. The base currency itself has rate 1
    of the day. `amount_base` is rounded half-even, once. `amount` is whole and not negative.

    `rates` are rows of records.silver.FxRate. Where their base is another than `base_currency`,
    the two rates of one day are crossed: `amount_base` follows from both unrounded, `fx_rate` is
    their quotient to eight decimals; a quotient that eight decimals or DECIMAL(18,8) cannot tell
    counts as no rate of that day.

    Raises:
        ContractError: ISO 4217 gives `base_currency` no smallest unit.
    """
    base = money.base_currency
    if base not in minor_digits():
        raise ContractError(
            f"money.base_currency: expected an ISO 4217 currency with a smallest unit, got {base}"
        )
    columns = spark_schema(NormalisedMoney).fieldNames()
    kept = [name for name in payments.columns if name not in columns]
    day = F.to_date("timestamp")
    # behind its last day a series goes on with its last rate, which grows stale
    days = F.datediff(day, F.col("_first_day"))
    place = F.least(days, F.size("_daily") - 1)
    is_base = F.col("currency") == base
    is_fresh = F.datediff(day, F.col("_quote.rate_date")) <= money.max_rate_age_days
    in_base = F.col("amount").cast("decimal(18,0)")
    of_other = {
        "amount_base": F.when(is_fresh, F.col("_converted")),
        "fx_rate": F.col("_quote.fx_rate"),
        "fx_rate_date": F.col("_quote.rate_date"),
        "fx_status": F.when(is_fresh, F.lit(str(FxStatus.OK)))
        .when(~is_fresh, F.lit(str(FxStatus.STALE)))
        .otherwise(F.lit(str(FxStatus.MISSING))),
    }
    of_base = {
        "amount_base": in_base,
        "fx_rate": F.lit(1).cast("decimal(18,8)"),
        "fx_rate_date": day,
        "fx_status": F.lit(str(FxStatus.OK)),
    }
    is_quoted = F.col("currency") == F.col("_currency")
    return (
        payments.select(*kept)
        .join(F.broadcast(_daily_quotes(rates, base)), is_quoted, "left")
        .withColumn("_quote", F.when(days >= 0, F.get("_daily", place)))
        .transform(_with_converted)
        .withColumns(
            {name: F.when(is_base, of_base[name]).otherwise(of_other[name]) for name in of_base}
        )
        .withColumn("base_currency", F.lit(base))
        .select(*kept, *columns)
    )


def _daily_quotes(rates: DataFrame, base: str) -> DataFrame:
    """One row per currency: `_daily`, its quote for each day from `_first_day` on, without a gap.

    A day without a rate repeats the one before. So the as-of join is one look-up by position in a
    few broadcast rows. `fx_rate` is in units per unit of `base`; `multiplier` and `divisor` are
    the whole numbers that turn smallest units into those of `base`.
    """
    rate = F.col("rate").cast("decimal(18,8)").alias("rate")
    one = F.lit(1).cast("decimal(18,8)").alias("rate")
    published = F.collect_list(F.struct("currency", rate))
    itself = F.struct(F.col("base").alias("currency"), one)
    in_quotes = F.filter("_quotes", lambda quote: quote["currency"] == base)
    fx_rate = F.bround(F.col("_rate") / F.col("_base_rate"), 8)
    # one that fits DECIMAL(18,8) and is not nothing
    is_usable = fx_rate.between(Decimal("0.00000001"), Decimal(9999999999))
    quote = F.struct(
        "rate_date",
        # where several bases quote a currency on one day, the last of this order stands
        (F.col("base") == base).alias("is_direct"),
        "base",
        fx_rate.cast("decimal(18,8)").alias("fx_rate"),
        (_parts(F.col("_base_rate")) * minor_units(F.lit(base))).alias("multiplier"),
        (_parts(F.col("_rate")) * minor_units(F.col("_currency"))).alias("divisor"),
    )
    return (
        rates.groupBy("base", "rate_date")
        .agg(F.concat(F.array(itself), published).alias("_quotes"))
        .withColumn("_base_rate", F.array_max(in_quotes["rate"]))
        .select("base", "rate_date", "_base_rate", F.inline("_quotes").alias("_currency", "_rate"))
        .where((F.col("_currency") != base) & minor_units(F.col("_currency")).isNotNull())
        .where((F.col("_rate") > 0) & (F.col("_base_rate") > 0))
        .where(is_usable)
        .groupBy("_currency")
        .agg(F.sort_array(F.collect_list(quote)).alias("_quotes"))
        .select(
            "_currency",
            F.get("_quotes", F.lit(0))["rate_date"].alias("_first_day"),
            F.flatten(F.transform("_quotes", _repeated)).alias("_daily"),
        )
    )


def _repeated(quote: Column, place: Column) -> Column:
    """A quote once for each day until the next quote; the last quote once."""
    next_day = F.get("_quotes", place + 1)["rate_date"]
    return F.array_repeat(quote, F.coalesce(F.datediff(next_day, quote["rate_date"]), F.lit(1)))


def _with_converted(quoted: DataFrame) -> DataFrame:
    """Add `_converted`: `amount` in smallest units of the base currency, by `_quote`.

    Null where DECIMAL(18,0) cannot hold it. Exact: dividend (at most 35 digits: amount 13, rate 18,
    units 4) and divisor (22) are whole, and so is what is divided once the remainder is off; the
    remainder alone decides the rounding, once, half-even. A quotient of any scale could fall on a
    tie that it is only near to.
    """
    dividend, divisor, rest = F.col("_dividend"), F.col("_divisor"), F.col("_rest")
    whole = F.col("_whole")
    is_above = rest * 2 > divisor
    is_tie_of_odd = (rest * 2 == divisor) & (whole % 2 == 1)
    rounded = whole + F.when(is_above | is_tie_of_odd, F.lit(1)).otherwise(F.lit(0))
    is_held = F.col("_rounded") < F.lit(Decimal(10**18))
    # step by step, so that each is computed once
    return (
        quoted.withColumns(
            {
                "_dividend": F.col("amount").cast("decimal(13,0)") * F.col("_quote.multiplier"),
                "_divisor": F.col("_quote.divisor"),
            }
        )
        .withColumn("_rest", dividend % divisor)
        .withColumn("_whole", ((dividend - rest) / divisor).cast("decimal(32,0)"))
        .withColumn("_rounded", rounded)
        .withColumn("_converted", F.when(is_held, F.col("_rounded")).cast("decimal(18,0)"))
    )


def _parts(rate: Column) -> Column:
    """A rate as a whole number of its smallest parts."""
    return (rate * F.lit(_RATE_SCALE)).cast("decimal(18,0)")
