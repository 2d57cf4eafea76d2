"""What was measured of a delivered batch, how it was judged, and what became of it."""

from __future__ import annotations

from datetime import date, datetime

from lakehouse.schema import Record


class Warned(Record):
    """One row that went on although it breaks rules that only warn, with every one of them.

    It stood when its file was let through, and is told of once: what superseded it since, or has
    the same content in another place, is looked up under `coordinates`. Of a build that died, and
    whose batch was held afterwards, rows of files may be left that bronze.drop_files knows, and
    that silver.quality_batches holds: they do not count.
    """

    source_table: str
    coordinates: str  # of the row in its Silver table
    rule_ids: list[str]
    reasons: list[str]
    identity: str | None
    transaction_id: str | None
    delivery_date: date  # partition


class QualityMetric(Record):
    """One check of one batch: what was measured, what was expected, and the verdict."""

    batch: str  # its folder below landing/: KIND/date=DAY
    kind: str
    delivery_date: date
    content: str  # which files of it were measured, as a hash
    source_table: str
    check_id: str
    measure: str  # such as completeness(user_id)
    over: str  # which rows: accepted, or all delivered
    severity: str  # codes.GateSeverity
    value: float | None  # null where nothing could be measured
    expected: str | None  # the bounds in words; null where there are none
    verdict: str  # codes.CheckVerdict
    reason: str | None  # why it failed or was not judged
    engine: str  # codes.Engine
    recorded_at: datetime  # UTC, by the job's clock


class JudgedFile(Record):
    """One content of one path."""

    path: str
    file_revision: int


class QualityBatch(Record):
    """One verdict on a batch: the newest that names a file says whether it is in Silver."""

    batch: str
    kind: str
    delivery_date: date
    content: str  # which files of it stood, as a hash: a release is of them alone
    files: list[JudgedFile]  # those that this verdict holds back, or lets through
    verdict: str  # codes.BatchVerdict
    failed: list[str]  # ids of the checks that hold it
    reason: str | None  # why it is held, or in the words of who released it
    recorded_at: datetime  # UTC, by the job's clock
