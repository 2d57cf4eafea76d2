"""Intervals answer as sets of numbers do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.intervals import Interval, common, joined, size, without

pieces = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda p: (p[0], p[0] + p[1])), max_size=12
)


def numbers(intervals: list[Interval] | list[tuple[int, int]]) -> set[int]:
    return {number for first, last in intervals for number in range(first, last + 1)}


@given(pieces, pieces)
def test_union_difference_and_intersection_are_those_of_the_sets(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    a, b = joined(one), joined(other)
    assert numbers(a) == numbers(one)
    assert size(a) == len(numbers(one))
    assert numbers(without(a, b)) == numbers(one) - numbers(other)
    assert numbers(common(a, b)) == numbers(one) & numbers(other)
    for result in (a, without(a, b), common(a, b)):
        assert joined(result) == result
