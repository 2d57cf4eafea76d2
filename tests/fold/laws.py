"""What is true of the pure fold: order, batching and repetition cannot matter."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.fold.pure import ContributionSet, derive, union
from lakehouse.records.gold import Contribution
from tests.fold.contributions import a_random_contribution, the_precedence, the_transitions

_POOL = [a_random_contribution(Random(seed)) for seed in range(600)]
_RULES = (the_precedence(), the_transitions())

deliveries = st.lists(st.sampled_from(_POOL), max_size=12)
sets = deliveries.map(lambda delivered: union((), delivered))


def check(law: Callable[..., None], cases: int) -> None:
    """Look for a case that breaks the law, among so many."""
    settings(max_examples=cases, deadline=None)(given(*LAWS[law])(law))()


def union_is_associative_commutative_and_idempotent(
    a: ContributionSet, b: ContributionSet, c: ContributionSet
) -> None:
    both = union(a, b)
    assert union(both, c) == union(a, union(b, c))
    assert both == union(b, a)
    assert union(a, a) == a == union(a, ())
    assert union(both, a) == both == union(both, b)  # whatever is delivered again


def union_loses_no_identity_and_lowers_no_revision(a: ContributionSet, b: ContributionSet) -> None:
    def revisions(members: ContributionSet) -> dict[tuple[str, str], int]:
        return {(c.identity, c.source): c.revision for c in members}

    both, left, right = revisions(union(a, b)), revisions(a), revisions(b)
    assert both == {who: max(left.get(who, 0), right.get(who, 0)) for who in left | right}


def shuffled_repeated_and_cut_into_batches_makes_the_same_row(
    delivered: list[Contribution], random: Random
) -> None:
    again = delivered + random.choices(delivered, k=len(delivered)) if delivered else []
    random.shuffle(again)
    cut = random.randint(0, len(again))
    batches = [again[:cut], again[cut:]]
    folded: ContributionSet = reduce(union, batches, ())
    assert derive("t", folded, *_RULES) == derive("t", union((), delivered), *_RULES)


def a_withdrawn_contribution_counts_for_nothing_and_stays(members: ContributionSet) -> None:
    row = derive("t", members, *_RULES)
    without = derive("t", [c for c in members if not c.withdrawn], *_RULES)
    assert row["contributions"] == members
    assert {**row, "contributions": ()} == {**without, "contributions": ()}


LAWS: dict[Callable[..., None], tuple[st.SearchStrategy[Any], ...]] = {
    union_is_associative_commutative_and_idempotent: (sets, sets, sets),
    union_loses_no_identity_and_lowers_no_revision: (sets, sets),
    shuffled_repeated_and_cut_into_batches_makes_the_same_row: (
        deliveries,
        st.randoms(use_true_random=False),
    ),
    a_withdrawn_contribution_counts_for_nothing_and_stays: (sets,),
}
"""Each law, and what its cases are made of."""
