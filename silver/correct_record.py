"""A quarantined Kafka record, put right by a person -> silver.corrections, for enrich_live.

The corrected record stands in the place of the delivered one: its coordinates, its identity where
that could be read, and its time of delivery. It is parsed here by the same contract, so that what
would be refused again is refused now. Bronze keeps what was delivered.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Annotated

import typer
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from lakehouse.cards import exempt_fields, redacted
from lakehouse.context import Lakehouse
from lakehouse.errors import CorrectionRefusedError, NotInQuarantineError
from lakehouse.identity import kafka_coordinates
from lakehouse.job import run
from lakehouse.monitoring import log
from lakehouse.records.silver import Correction
from lakehouse.secret_stores import secret
from lakehouse.tables import (
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    SILVER_CORRECTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_QUARANTINE_LIVE,
)
from silver.deliveries import PAYMENTS, SCORES, as_payments, as_scores, delivered
from silver.live import Standing, judged

_CONTRACTS = {
    PAYMENTS: (BRONZE_TRANSACTIONS, as_payments),
    SCORES: (BRONZE_FRAUD_SCORES, as_scores),
}


def correct_record(
    lake: Lakehouse,
    coordinates: Annotated[str, typer.Option(help="Of the quarantined record: kafka:...")],
    payload: Annotated[
        Path, typer.Option(help="File with the whole corrected value.", exists=True, dir_okay=False)
    ],
    reason: Annotated[str, typer.Option(help="Why it may go on; is recorded.")],
) -> Correction:
    """Check a correction and hand it to enrich_live, whose next micro-batch takes it.

    Raises:
        NotInQuarantineError: no record of a topic is in quarantine under these coordinates.
        CorrectionRefusedError: it breaks a rule, is another record, or was corrected before.
    """
    held = lake.read(SILVER_QUARANTINE_LIVE).where(F.col("coordinates") == coordinates).first()
    if held is None:
        raise NotInQuarantineError(coordinates)
    committed = _committed(lake)
    corrected = _judged(lake, held, payload.read_bytes(), committed)
    problems = [*_problems(held, corrected), *_of_earlier(lake, coordinates, committed)]
    if problems:
        raise CorrectionRefusedError(coordinates, problems)
    known = corrected.asDict()
    correction = Correction(
        **{name: known[name] for name in Correction.model_fields if name in known},
        reason=reason,
        recorded_at=lake.clock(),
    )
    rows = lake.spark.createDataFrame([correction.model_dump()], SILVER_CORRECTIONS.schema)
    lake.append(rows, to=SILVER_CORRECTIONS)
    log("corrected", job=lake.job, table=held["source_table"], rows=1)
    return correction


def _committed(lake: Lakehouse) -> DataFrame:
    tables = (SILVER_LIVE_TRANSACTIONS, SILVER_FRAUD_SCORES)
    rows = [lake.read(table).select("identity", "content_hash", "event_date") for table in tables]
    return reduce(DataFrame.unionByName, rows)


def _judged(lake: Lakehouse, held: Row, payload: bytes, committed: DataFrame) -> Row:
    """The delivered record with another value, parsed, and beside what Silver has."""
    bronze, parsed = _CONTRACTS[held["source_table"]]
    card_key = secret(lake.config.cards.token_key).encode()
    redaction = redacted(F.col("value"), card_key, exempt_fields(bronze))
    record = (
        lake.read(bronze)
        .where(F.col("ingest_date") == held["quarantine_date"])
        .where(kafka_coordinates() == held["coordinates"])
        .limit(1)
        .withColumn("value", F.lit(bytearray(payload)))
        .withColumn("value", redaction["value"])
    )
    deliveries = parsed(lake.config, delivered(record, held["source_table"]))
    row = judged(deliveries, committed.drop("event_date"), {}).first()
    if row is None:
        raise CorrectionRefusedError(held["coordinates"], [f"{bronze.name} has no such record"])
    return row


def _problems(held: Row, corrected: Row) -> Iterator[str]:
    yield from (violation["reason"] for violation in corrected["violations"])
    for name in ("identity", "transaction_id"):
        if held[name] is not None and corrected[name] not in (None, held[name]):
            yield f"its {name} is another than that of the delivered record"
    if corrected["standing"] == Standing.CONFLICT:
        yield "another record with other content has its identity already"


def _of_earlier(lake: Lakehouse, coordinates: str, committed: DataFrame) -> Iterator[str]:
    """Why an earlier correction of the same record forbids a second one."""
    earlier = lake.read(SILVER_CORRECTIONS).where(F.col("coordinates") == coordinates)
    is_same = F.col("taken.content_hash") == F.col("content_hash")
    taken = committed.select("identity", F.struct("content_hash").alias("taken"))
    outcomes = earlier.join(taken, "identity", "left").select(is_same.alias("is_same")).collect()
    if any(outcome["is_same"] for outcome in outcomes):
        yield "it was corrected before, and is resolved"
    elif any(outcome["is_same"] is None for outcome in outcomes):
        yield "an earlier correction of it waits for the next micro-batch of enrich_live"


if __name__ == "__main__":
    run(correct_record)
