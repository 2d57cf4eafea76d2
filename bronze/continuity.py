"""Whether a topic still has what comes next behind what has landed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lakehouse.errors import WrongRangeError
from lakehouse.kafka import Topic
from lakehouse.records.codes import LossReason


@dataclass(frozen=True)
class Loss:
    """Offsets of one partition that can't land any more; `last` is None where nobody knows it."""

    topic_id: str
    partition: int
    first: int
    last: int | None
    reason: LossReason

    def __str__(self) -> str:
        return f"{self.partition}:{self.first}-{'' if self.last is None else self.last}"


def losses(
    topic: Topic, landed: Mapping[str, Mapping[int, int]], position: Mapping[int, int]
) -> list[Loss]:
    """What is lost of a topic, by partition.

    `landed` is the greatest offset of each partition by topic id, without topics whose loss was
    accepted; `position` the next offset that the stream reads, or from which an operator let it go
    on. A partition of which nothing was read can't have lost anything: what expired before was
    never the stream's own.
    """
    if landed and topic.topic_id not in landed:
        # the position is one in the topic that was there before
        return [
            Loss(topic_id, partition, max(offset + 1, position.get(partition, 0)), None,
                 LossReason.RECREATED)
            for topic_id, offsets in landed.items()
            for partition, offset in sorted(offsets.items())
        ]  # fmt: skip
    own = landed.get(topic.topic_id, {})
    return [
        Loss(topic.topic_id, partition, following, first - 1, LossReason.EXPIRED)
        for partition, first in sorted(topic.first.items())
        if partition in own or partition in position
        if (following := max(own.get(partition, -1) + 1, position.get(partition, 0))) < first
    ]


def require_same(accepted: Collection[str], lost: Sequence[Loss]) -> None:
    """Compare what an operator goes on without with what is lost.

    Raises:
        WrongRangeError: they differ.
    """
    if set(accepted) != {str(loss) for loss in lost}:
        raise WrongRangeError(sorted(accepted), [str(loss) for loss in lost])
