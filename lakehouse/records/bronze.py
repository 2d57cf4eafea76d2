"""Bronze: what was delivered, as it was delivered; nothing is parsed, so nothing is refused."""

from __future__ import annotations

from datetime import date, datetime

from lakehouse.schema import DayOrNull, InstantOrNull, Long, LongOrNull, Record


class KafkaHeader(Record):
    """One header of a Kafka record."""

    key: str
    value: bytes | None


class KafkaRecord(Record):
    """One record of a topic; (topic, topic_id, partition, offset) is its coordinate."""

    topic: str
    topic_id: str  # the broker's: a topic that was deleted and created again has another
    partition: int
    offset: Long
    timestamp: datetime  # Kafka's own, not the event's
    timestamp_type: int
    key: bytes | None
    value: bytes | None  # card numbers in text are tokens already
    headers: list[KafkaHeader] | None
    redactions: int  # card numbers replaced in `value`
    ingest_date: date  # UTC day of `timestamp`


class LostRange(Record):
    """Offsets that a topic let go of before they landed: one row when found, one when accepted."""

    topic: str
    topic_id: str  # of the topic whose records are lost
    partition: int
    first_offset: Long
    last_offset: LongOrNull  # null: nobody knows how many there were
    reason: str  # codes.LossReason
    found_at: datetime  # UTC, by the job's clock
    accepted_at: InstantOrNull  # when an operator went on without them


class DropRow(Record):
    """One row of a delivered file; (path, file_sha256, row_number) is its coordinate."""

    delivery_date: date  # the day of delivery, from the folder's name
    path: str  # below landing/
    file_sha256: str
    file_revision: int  # 0, then 1 for other content at the same path, and so on
    row_number: Long  # 1 is the first row after any header
    format: str  # csv | json | parquet
    header: str | None  # CSV: the header line
    raw: str  # the line; Parquet: the row as JSON
    redactions: int


class DropFile(Record):
    """One judgement of a delivered file (a path with one content): what became of it.

    The newest row of a path, by `judged_at`, is what holds of it.
    """

    kind: str  # the folder: transactions, money_events, policies, fraud_scores, fx_rates
    delivery_date: DayOrNull  # null: it lies in no folder of a day
    path: str
    file_sha256: str | None  # null: its content was not looked at
    file_revision: int | None
    size_bytes: Long
    modified_at: datetime
    format: str
    row_count: Long
    verdict: str  # codes.Verdict
    reason: str | None  # what is wrong with it, with its facts
    fault: str | None  # codes.DropFault; a loaded file has one if a person released it
    release_reason: str | None  # why a person let it load all the same
    judged_at: datetime  # UTC, by the job's clock; rises from run to run
