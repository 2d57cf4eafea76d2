"""What a second reader of a topic proves, partition by partition."""

from __future__ import annotations

import pytest

from lakehouse.cli.offsets import Delivered, Landed, proof_of
from lakehouse.intervals import Interval

FAULTS = ("missing", "doubled", "unknown", "lost")


def intervals(*pairs: tuple[int, int]) -> list[Interval]:
    """Those intervals."""
    return [Interval(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("delivered", "landed", "expected"),
    [
        ((0, 10, [(0, 9)]), [(0, 9)], {}),
        ((0, 10, [(0, 9)]), [(0, 6)], {"waiting": 3}),
        ((0, 10, [(0, 9)]), [(0, 2), (4, 6)], {"missing": [(3, 3)], "waiting": 3}),
        # let go by retention: what landed before stands for itself, what did not is lost
        ((5, 10, [(5, 9)]), [(2, 9)], {"gaps": [(0, 1)]}),
        ((5, 10, [(5, 9)]), [(0, 2)], {"lost": [(3, 4)], "waiting": 5}),
        ((0, 10, [(0, 3), (5, 8)]), [(0, 3), (5, 8)], {"gaps": [(4, 4), (9, 9)]}),
        # an aborted record that landed, and one that the topic never had
        ((0, 10, [(0, 3), (5, 9)]), [(0, 9)], {"unknown": [(4, 4)]}),
        ((0, 10, [(0, 9)]), [(0, 11)], {"unknown": [(10, 11)]}),
    ],
)
def test_a_partition_is_compared_offset_by_offset(
    delivered: tuple[int, int, list[tuple[int, int]]],
    landed: list[tuple[int, int]],
    expected: dict[str, object],
) -> None:
    start, end, seen = delivered
    found = proof_of("t", 0, Delivered(start, end, intervals(*seen)), Landed(intervals(*landed)))
    nothing: list[Interval] = []
    named: dict[str, object] = dict.fromkeys(FAULTS, nothing) | {"gaps": nothing, "waiting": 0}
    assert {name: getattr(found, name) for name in named} == named | expected
    assert found.holds == expected.keys().isdisjoint(FAULTS)


def test_what_was_given_up_is_a_gap_and_what_came_before_the_first_run_too() -> None:
    seen = Delivered(5, 10, intervals((5, 9)))
    given_up = proof_of("t", 0, seen, Landed(intervals((0, 2))), accepted=intervals((3, 4)))
    assert (given_up.lost, given_up.gaps) == ([], [(3, 4)])
    first = proof_of("t", 0, seen, Landed(), begun=False)
    assert (first.lost, first.gaps) == ([], [(0, 4)])
    # other partitions have begun: this one was to be read from 0
    assert proof_of("t", 0, seen, Landed()).lost == [(0, 4)]


def test_a_compacted_topic_forgets_what_has_landed() -> None:
    seen = Delivered(0, 10, intervals((0, 3), (9, 9)))
    assert proof_of("t", 0, seen, Landed(intervals((0, 9))), compacted=True).holds
