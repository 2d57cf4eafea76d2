"""Whether every record that a topic delivers is in Bronze exactly once.

The topic is read a second time by a consumer of its own, which sees committed records only. What
lies between them without a record (transaction markers, aborted or compacted records) is a gap.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from pyspark.sql import DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse.cli.topics import seen_now
from lakehouse.config import Config, KafkaSettings
from lakehouse.delta import exists, path_of
from lakehouse.errors import BrokerUnreachableError, ServiceError, TableNotFoundError
from lakehouse.intervals import Interval, common, joined, size, without
from lakehouse.kafka import Topic, client_options, is_compacted, topic_now
from lakehouse.tables import (
    BRONZE_FRAUD_SCORES,
    BRONZE_LOSSES_FRAUD_SCORES,
    BRONZE_LOSSES_TRANSACTIONS,
    BRONZE_TRANSACTIONS,
    Table,
)

_ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.2
_RECORDS_AT_ONCE = 10_000


@dataclass
class Delivered:
    """What a consumer saw of one partition, from `start` up to but without `end`."""

    start: int
    end: int
    intervals: list[Interval] = field(default_factory=list)


@dataclass(frozen=True)
class Landed:
    """The offsets of one partition that Bronze holds, and those it holds more than once."""

    intervals: Sequence[Interval] = ()
    doubled: Sequence[Interval] = ()


@dataclass(frozen=True)
class PartitionProof:
    """One partition: how many records were delivered and landed, and every offset that differs."""

    topic: str
    partition: int
    delivered: int
    landed: int
    missing: Sequence[Interval]  # delivered, and passed over
    doubled: Sequence[Interval]  # in Bronze more than once
    unknown: Sequence[Interval]  # in Bronze, but the topic delivers no such record
    lost: Sequence[Interval]  # let go by the topic before they landed, and not accepted
    gaps: Sequence[Interval]  # no record: a transaction's marker, aborted, compacted, or given up
    waiting: int  # delivered, and behind all that has landed

    @property
    def holds(self) -> bool:
        """Whether each record up to the last that landed is in Bronze exactly once."""
        return not (self.missing or self.doubled or self.unknown or self.lost)


def prove_offsets(spark: SparkSession, config: Config) -> list[PartitionProof]:
    """Compare both topics with their Bronze tables, partition by partition.

    Raises:
        BrokerUnreachableError: no broker answers.
        ServiceError: the broker has no such topic.
        TableNotFoundError: nothing was ingested yet.
    """
    topics = config.kafka.topics
    return [
        *_of_topic(spark, config, topics.transactions,
                   BRONZE_TRANSACTIONS, BRONZE_LOSSES_TRANSACTIONS),
        *_of_topic(spark, config, topics.fraud_scores,
                   BRONZE_FRAUD_SCORES, BRONZE_LOSSES_FRAUD_SCORES),
    ]  # fmt: skip


def delivered_of(kafka: KafkaSettings, topic: Topic) -> dict[int, Delivered]:
    """Read a whole topic as it is, by a consumer that joins no group: offsets by partition.

    Raises:
        BrokerUnreachableError: the broker went away.
        ServiceError: records expired meanwhile.
    """
    consumer = Consumer(
        client_options(kafka)
        | {
            "group.id": "lakehouse",  # the library wants a name
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            # else it would jump over what expires while it reads, and call that a gap
            "auto.offset.reset": "error",
        }
    )
    seen = {n: Delivered(first, topic.end[n]) for n, first in topic.first.items()}
    unread = {number for number, part in seen.items() if part.end > part.start}
    try:
        consumer.assign([TopicPartition(topic.name, n, part.start) for n, part in seen.items()])
        heard = time.monotonic()
        while unread:
            for record in consumer.consume(_RECORDS_AT_ONCE, _POLL_SECONDS):
                heard = time.monotonic()
                _note(record, seen, unread)
            if time.monotonic() - heard > _ANSWER_SECONDS:
                raise BrokerUnreachableError(kafka.bootstrap_servers)
    except KafkaException as fault:
        if fault.args[0].code() == KafkaError._AUTO_OFFSET_RESET:
            raise ServiceError(
                f"Kafka topic {topic.name} let go of records while they were being compared. "
                "Prove again."
            ) from None
        raise BrokerUnreachableError(kafka.bootstrap_servers) from None
    finally:
        consumer.close()
    return seen


def landed_of(bronze: DataFrame, topic: Topic) -> dict[int, Landed]:
    """The offsets that Bronze holds of this very topic, by partition."""
    place = F.row_number().over(Window.partitionBy("partition", "doubled").orderBy("offset"))
    runs = (
        bronze.where((F.col("topic") == topic.name) & (F.col("topic_id") == topic.topic_id))
        .groupBy("partition", "offset")
        .agg((F.count(F.lit(1)) > 1).alias("doubled"))
        # in a run of consecutive offsets, offset and place rise together
        .withColumn("run", F.col("offset") - place)
        .groupBy("partition", "doubled", "run")
        .agg(F.min("offset").alias("first"), F.max("offset").alias("last"))
        .collect()
    )
    found: dict[int, list[Row]] = {}
    for run in runs:
        found.setdefault(run["partition"], []).append(run)
    return {
        partition: Landed(
            joined((run["first"], run["last"]) for run in own),
            joined((run["first"], run["last"]) for run in own if run["doubled"]),
        )
        for partition, own in found.items()
    }


def proof_of(
    topic: str,
    partition: int,
    delivered: Delivered,
    landed: Landed,
    *,
    accepted: Sequence[Interval] = (),
    begun: bool = True,
    compacted: bool = False,
) -> PartitionProof:
    """Compare one partition.

    `accepted` are offsets that an operator gave up. `begun` says whether anything of the topic has
    landed: what expired before was never the stream's own. A compacted topic forgets records that
    it has delivered.
    """
    position = landed.intervals[-1].last + 1 if landed.intervals else 0
    read = common(delivered.intervals, _below(position))
    unknown = without(landed.intervals, delivered.intervals)
    # what the topic has let go of cannot be compared; at or beyond its end nothing ever was
    unknown = without(unknown, _below(delivered.end if compacted else delivered.start))
    let_go = without(_below(delivered.start), _below(position)) if begun else []
    lost = without(let_go, joined(accepted))
    known = joined([*delivered.intervals, *landed.intervals, *lost])
    return PartitionProof(
        topic=topic,
        partition=partition,
        delivered=size(delivered.intervals),
        landed=size(landed.intervals),
        missing=without(read, landed.intervals),
        doubled=list(landed.doubled),
        unknown=unknown,
        lost=lost,
        gaps=without(_below(delivered.end), known),
        waiting=size(without(delivered.intervals, read)),
    )


def _below(end: int) -> list[Interval]:
    return [Interval(0, end - 1)] if end > 0 else []


def _of_topic(
    spark: SparkSession, config: Config, name: str, table: Table, losses: Table
) -> list[PartitionProof]:
    if not exists(spark, path_of(config, table)):
        raise TableNotFoundError(table.name, table.written_by)
    # in this order: while the stream goes on, what has landed was delivered
    topic = seen_now(config.kafka, name)
    landed = landed_of(spark.read.format("delta").load(path_of(config, table)), topic)
    delivered = delivered_of(config.kafka, topic_now(config.kafka, name))
    accepted = _accepted(spark, path_of(config, losses), topic)
    compacted = is_compacted(config.kafka, name)
    return [
        proof_of(
            name,
            number,
            delivered.get(number, Delivered(0, 0)),
            landed.get(number, Landed()),
            accepted=accepted.get(number, []),
            begun=bool(landed),
            compacted=compacted,
        )
        for number in sorted(delivered.keys() | landed.keys())
    ]


def _accepted(spark: SparkSession, path: str, topic: Topic) -> dict[int, list[Interval]]:
    """Offsets of this very topic that an operator gave up, by partition."""
    found: dict[int, list[Interval]] = {}
    if exists(spark, path):
        rows = spark.read.format("delta").load(path).where("accepted_at IS NOT NULL")
        for row in rows.where(F.col("topic_id") == topic.topic_id).collect():
            found.setdefault(row.partition, []).append(Interval(row.first_offset, row.last_offset))
    return found


def _note(record: Message, seen: Mapping[int, Delivered], unread: set[int]) -> None:
    number, offset, fault = record.partition(), record.offset(), record.error()
    if fault is not None and fault.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(fault)
    assert number is not None and offset is not None  # a record, or the end of a partition
    part = seen[number]
    if fault is not None or offset >= part.end - 1:
        unread.discard(number)
    if fault is not None or offset >= part.end:
        return
    if part.intervals and part.intervals[-1].last == offset - 1:
        part.intervals[-1] = Interval(part.intervals[-1].first, offset)
    else:
        part.intervals.append(Interval(offset, offset))
