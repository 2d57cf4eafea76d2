"""How a topic lands in Bronze: each record once, and never over a gap that nobody has accepted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from bronze.continuity import Loss, losses, next_offset, require_same
from bronze.records import kafka_records
from lakehouse.context import Batch, Lakehouse
from lakehouse.errors import BrokerUnreachableError, RecordsLostError, TopicReplacedError
from lakehouse.kafka import Topic, topic_id_now, topic_now
from lakehouse.records.bronze import LostRange
from lakehouse.records.codes import LossReason
from lakehouse.secret_stores import secret
from lakehouse.tables import Table

AcceptLoss = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-loss",
        metavar="PARTITION:FIRST-LAST",
        help="Go on without these records, which the topic has lost; once for each range.",
    ),
]
_WHY = {
    LossReason.EXPIRED: "has let go of records that come next, by its retention",
    LossReason.RECREATED: "was deleted and created again",
}


@dataclass(frozen=True)
class Ingestion:
    """One topic, the table in which it lands, and the table of what is lost of it."""

    topic: str
    table: Table
    losses: Table

    def start(self, lake: Lakehouse, accept_loss: Sequence[str]) -> StreamingQuery:
        """Append what is new on the topic.

        What has landed says where the topic goes on, never a checkpoint: that could be lost,
        damaged, older than the table or newer.

        Raises:
            BrokerUnreachableError: no broker answers.
            RecordsLostError: the topic no longer has what comes next; recorded in `losses`.
            WrongRangeError: `accept_loss` names something else than what is lost.
        """
        topic = topic_now(lake.config.kafka, self.topic)
        known = [row for row in lake.read(self.losses).collect() if row.topic == self.topic]
        given_up = [row for row in known if row.accepted_at]
        landed = _landed(lake.read(self.table), self.topic)
        for row in given_up:
            if row.reason == str(LossReason.RECREATED):
                landed.pop(row.topic_id, None)
        accepted: dict[int, int] = {}
        for row in given_up:
            if row.topic_id == topic.topic_id:
                accepted[row.partition] = max(accepted.get(row.partition, -1), row.last_offset)
        lost = losses(topic, landed, accepted)
        if accept_loss:
            require_same(accept_loss, lost, {str(_loss_of(row)) for row in given_up})
            self._record(lake, lost, known, accepted_at=lake.clock())
        elif lost:
            self._record(lake, lost, known, accepted_at=None)
            ranges, why = [str(loss) for loss in lost], _WHY[lost[0].reason]
            raise RecordsLostError(lake.job, self.topic, ranges, why)
        own = landed.get(topic.topic_id, {})
        starting = {
            partition: max(first, next_offset(partition, own, accepted))
            for partition, first in topic.first.items()
        }
        card_key = secret(lake.config.cards.token_key).encode()
        source = lake.topic(topic, starting)
        records = kafka_records(source, topic.topic_id, card_key, self.table)

        def append(batch_rows: DataFrame, _: Batch) -> None:
            _require_still(lake, topic)
            lake.append(batch_rows, to=self.table)

        return lake.each_batch(records, append)

    def _record(
        self,
        lake: Lakehouse,
        lost: Sequence[Loss],
        known: Sequence[Row],
        accepted_at: datetime | None,
    ) -> None:
        """Append what is not recorded yet: a run that finds the same loss again adds nothing."""
        recorded = {(_loss_of(row), bool(row.accepted_at)) for row in known}
        rows = [
            LostRange(
                topic=self.topic,
                topic_id=loss.topic_id,
                partition=loss.partition,
                first_offset=loss.first,
                last_offset=loss.last,
                reason=str(loss.reason),
                found_at=lake.clock(),
                accepted_at=accepted_at,
            )
            for loss in lost
            if (loss, bool(accepted_at)) not in recorded
        ]
        if rows:
            frame = lake.spark.createDataFrame(
                [row.model_dump() for row in rows], self.losses.schema
            )
            lake.append(frame, to=self.losses)


def _landed(bronze: DataFrame, topic: str) -> dict[str, dict[int, int]]:
    """The greatest offset of each partition of a topic, by topic id."""
    greatest = (
        bronze.where(F.col("topic") == topic)
        .groupBy("topic_id", "partition")
        .agg(F.max("offset").alias("offset"))
        .collect()
    )
    found: dict[str, dict[int, int]] = {}
    for row in greatest:
        found.setdefault(row["topic_id"], {})[row["partition"]] = row["offset"]
    return found


def _loss_of(row: Row) -> Loss:
    return Loss(
        row.topic_id, row.partition, row.first_offset, row.last_offset, LossReason(row.reason)
    )


def _require_still(lake: Lakehouse, topic: Topic) -> None:
    """Look whether the topic was replaced while the stream runs: its offsets would mean others.

    What is replaced between this look and the read is stopped by Spark, which meets an end before
    its position, unless as many records have come again by then.

    Raises:
        TopicReplacedError: it was.
    """
    # a broker that is away for a while is no reason to end: the reader waits for it, too
    with suppress(BrokerUnreachableError):
        if topic_id_now(lake.config.kafka, topic.name) != topic.topic_id:
            raise TopicReplacedError(lake.job, topic.name)
