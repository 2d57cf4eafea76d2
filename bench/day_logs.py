"""Daily drops of any size, from a seed: what the generator would make, written by Spark.

A log has one row in fifty twice: corrected within its own file, under a greater sequence. Half of
the payments have offline scores, one in twenty of these by two versions of the model. One currency
in ten has no rate, and the payments of a Sunday are converted at Friday's.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.local.generator import DropFile, write_drops
from lakehouse.local.generator.rates import BASE, RATE_COLUMNS, ecb_rates

SUNDAY = date(2026, 3, 8)

_DAY_MS = 86_400_000
_PAYMENTS_PER_USER = 8
_COUNTRIES = ("DE", "FR", "GB", "US", "US", "CA", "BR", "AE", "ZA", "JP", "IN", "SG", "AU", "KP")
_CURRENCIES = ("EUR", "EUR", "EUR", "USD", "USD", "GBP", "JPY", "PLN", "SEK", "KWD")
_STATUSES = ("AUTHORIZED", "AUTHORIZED", "AUTHORIZED", "AUTHORIZED", "DECLINED")
_POLICIES = (
    ("pol-velocity", {"rule": "velocity_limit", "max_count": 3, "window_seconds": 3600}, 0),
    ("pol-geo", {"rule": "geo_block", "countries": ["KP"], "regions": []}, 0),
    ("pol-amount", {"rule": "amount_limit", "currency": "EUR", "max_amount": 450_000}, 0),
    ("pol-merchant", {"rule": "merchant_block", "merchants": ["m-7"]}, 0),
    # from noon of the Sunday on
    ("pol-amount", {"rule": "amount_limit", "currency": "EUR", "max_amount": 400_000}, 12),
)


def write_reference(landing: Path) -> None:
    """Deliver the policies, one of which changes within the Sunday, and the rates around it."""
    header = ("policy_id", "policy_name", "policy_data", "effective_date")
    versions = [
        (name, name, json.dumps(data),
         f"{SUNDAY}T{hour:02}:00:00Z" if hour else "2026-01-01T00:00:00Z")
        for name, data, hour in _POLICIES
    ]  # fmt: skip
    rates = [
        (str(day), BASE, currency, rate)
        for day, found in ecb_rates(SUNDAY - timedelta(days=45), SUNDAY + timedelta(days=2)).items()
        for currency, rate in found.items()
    ]
    drops = [
        DropFile(f"policies/date={SUNDAY}/policies.csv", _csv(header, versions)),
        DropFile(f"policies/date={SUNDAY}/_SUCCESS", b""),
        DropFile(f"fx_rates/date={SUNDAY}/ecb.csv", _csv(RATE_COLUMNS, rates)),
        DropFile(f"fx_rates/date={SUNDAY}/_SUCCESS", b""),
    ]
    write_drops(drops, landing)


def write_log(
    spark: SparkSession, landing: Path, day: date, rows: int, *, correction: int = 0
) -> Path:
    """Deliver so many payments of a UTC day, the day after; return the one file.

    A `correction` is the same log, but for the amount of one payment in a hundred, and without
    one payment in a thousand: other ones for each number of it.
    """
    payments = _payments(spark, day, rows)
    if correction:
        roll = _drawn(F.col("number"), f"correction {correction}")
        raised = F.when(roll % 100 == 1, F.col("amount") + correction).otherwise(F.col("amount"))
        payments = payments.where(roll % 1000 != 0).withColumn("amount", raised)
    twice = payments.where(F.col("number") % 50 == 0).withColumns(
        {"sequence": F.lit(2), "amount": F.col("amount") + 1}
    )
    log = payments.unionByName(twice).drop("number")
    return _write(log, landing / f"transactions/date={day + timedelta(days=1)}" / "log.csv")


def write_scores(spark: SparkSession, landing: Path, day: date, rows: int) -> Path:
    """Deliver the offline scores of the payments of a UTC day, on the day after."""
    payments = _payments(spark, day, rows).where(F.col("number") % 2 == 0)
    first = payments.select(
        F.lit("offline-1").alias("model_version"),
        "transaction_id",
        _score("number", "first").alias("fraud_score"),
        F.format_string('{"amount":0.%06d}', _drawn(F.col("number"), "why")).alias("explanations"),
        F.lit(f"{day + timedelta(days=1)}T02:00:00Z").alias("inference_time"),
        "number",
    )
    second = first.where(F.col("number") % 20 == 0).withColumns(
        {
            "model_version": F.lit("offline-2"),
            "fraud_score": _score("number", "second"),
            "inference_time": F.lit(f"{day + timedelta(days=1)}T03:00:00Z"),
        }
    )
    scores = first.unionByName(second).drop("number")
    return _write(scores, landing / f"fraud_scores/date={day + timedelta(days=1)}" / "scores.csv")


def _payments(spark: SparkSession, day: date, rows: int) -> DataFrame:
    """Payments of a day in columns of the log, and `number`; a user's are never at one time."""
    number = F.col("id").alias("number")
    digits = F.md5(F.concat(F.lit(f"{day}/"), F.col("id").cast("string")))
    uuid = F.concat_ws(
        "-", digits.substr(1, 8), digits.substr(9, 4), F.concat(F.lit("4"), digits.substr(14, 3)),
        F.concat(F.lit("8"), digits.substr(18, 3)), digits.substr(21, 12),
    )  # fmt: skip
    users = max(1, rows // _PAYMENTS_PER_USER)
    # spread over the day in steps that no other payment of the user shares
    millis = _drawn(F.col("id"), "time", _DAY_MS // _PAYMENTS_PER_USER - 1) * _PAYMENTS_PER_USER + (
        F.floor(F.col("id") / users) % _PAYMENTS_PER_USER
    )
    midnight = F.lit(f"{day} 00:00:00Z").cast("timestamp")
    moment = F.timestamp_millis(F.unix_millis(midnight) + millis)
    return spark.range(rows).select(
        number,
        uuid.alias("transaction_id"),
        F.format_string("user-%d", F.col("id") % users).alias("user_id"),
        F.date_format(moment, "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").alias("timestamp"),
        (_drawn(F.col("id"), "amount", 500_000) + 1).alias("amount"),
        _one_of(_CURRENCIES, "currency").alias("currency"),
        _one_of(_COUNTRIES, "country").alias("country"),
        F.format_string("m-%d", _drawn(F.col("id"), "merchant", 500)).alias("merchant_id"),
        F.concat(F.lit("tok-"), digits.substr(1, 16)).alias("payment_token"),
        _one_of(_STATUSES, "status").alias("transaction_status"),
        F.lit(1).alias("sequence"),
    )


def _write(rows: DataFrame, file: Path) -> Path:
    """Write rows as one CSV file of a complete day."""
    made = file.parent.with_name(f".{file.parent.name}")
    rows.coalesce(1).write.mode("overwrite").options(
        header=True, escape='"', maxRecordsPerFile=0
    ).csv(str(made))
    file.parent.mkdir(parents=True, exist_ok=True)
    (part,) = made.glob("part-*.csv")
    part.replace(file)
    shutil.rmtree(made)
    (file.parent / "_SUCCESS").touch()
    return file


def _csv(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def _drawn(number: Column, what: str, below: int = 1_000_000) -> Column:
    return F.pmod(F.xxhash64(number, F.lit(what)), F.lit(below))


def _score(number: str, what: str) -> Column:
    return (_drawn(F.col(number), what, 1_000_000) / 1_000_000).cast("decimal(7,6)")


def _one_of(values: tuple[str, ...], what: str) -> Column:
    listed = F.array(*[F.lit(value) for value in values])
    return F.get(listed, _drawn(F.col("id"), what, len(values)).cast("int"))
