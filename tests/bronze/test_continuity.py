"""What is lost of a topic, from what it still has and from what has landed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from bronze.continuity import losses, next_offset, require_same
from lakehouse.errors import WrongRangeError
from lakehouse.kafka import Topic

TOPIC = Topic("payments", "this", first={0: 5, 1: 0}, end={0: 9, 1: 3})


@pytest.mark.parametrize(
    ("landed", "accepted", "expected"),
    [
        ({}, {}, []),  # before the first record, what expired was never the stream's own
        ({"this": {0: 4}}, {}, []),
        ({"this": {0: 8, 1: 2}}, {}, []),
        ({"this": {0: 2}}, {}, ["0:3-4"]),
        ({"this": {1: 0}}, {}, ["0:0-4"]),  # a partition that came while the job was down
        ({"this": {0: 2}}, {0: 4}, []),
        ({}, {0: 4}, []),
        ({"another": {0: 7, 1: 3}}, {}, ["0:8-", "1:4-"]),
        ({"another": {0: 7}, "this": {0: 6}}, {}, []),
    ],
)
def test_what_is_lost(
    landed: Mapping[str, Mapping[int, int]], accepted: Mapping[int, int], expected: list[str]
) -> None:
    assert [str(loss) for loss in losses(TOPIC, landed, accepted)] == expected


def test_a_partition_goes_on_behind_what_landed_or_was_given_up() -> None:
    assert [next_offset(p, {0: 4, 1: 9}, {1: 3, 2: 6}) for p in range(4)] == [5, 10, 7, 0]


def test_an_operator_names_exactly_what_is_lost() -> None:
    lost = losses(TOPIC, {"this": {0: 2}}, {})
    require_same(["0:3-4"], lost, accepted_before=[])
    require_same(["0:3-4", "0:0-1"], lost, accepted_before=["0:0-1"])
    require_same(["0:0-1"], [], accepted_before=["0:0-1"])
    for named in ([], ["0:3-5"], ["0:3-4", "1:0-0"]):
        with pytest.raises(WrongRangeError):
            require_same(named, lost, accepted_before=[])
