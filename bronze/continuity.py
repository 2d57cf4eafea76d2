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
    topic: Topic, landed: Mapping[str, Mapping[int, int]], accepted: Mapping[int, int]
) -> list[Loss]:
    """What is lost of a topic, by partition.

    `landed` is the greatest offset of each partition by topic id, without topics whose loss was
    accepted; `accepted` the last offset of each partition that an operator goes on without. Where
    nothing of the topic has landed in any partition, nothing is lost: what expired before the first
    record was never the stream's own.
    """
    own = landed.get(topic.topic_id, {})
    if landed and not own:
        return [
            Loss(topic_id, partition, offset + 1, None, LossReason.RECREATED)
            for topic_id, offsets in landed.items()
            for partition, offset in sorted(offsets.items())
        ]
    if not own and not accepted:
        return []
    return [
        Loss(topic.topic_id, partition, following, first - 1, LossReason.EXPIRED)
        for partition, first in sorted(topic.first.items())
        if (following := next_offset(partition, own, accepted)) < first
    ]


def next_offset(partition: int, landed: Mapping[int, int], accepted: Mapping[int, int]) -> int:
    """The first offset of a partition that neither landed nor was given up."""
    return max(landed.get(partition, -1), accepted.get(partition, -1)) + 1


def require_same(
    named: Collection[str], lost: Sequence[Loss], accepted_before: Collection[str]
) -> None:
    """Compare what an operator goes on without with what is lost.

    A run that is started again with the same words names what was accepted already.

    Raises:
        WrongRangeError: they differ.
    """
    found = {str(loss) for loss in lost}
    if set(named) - set(accepted_before) != found - set(accepted_before):
        raise WrongRangeError(sorted(named), sorted(found))
