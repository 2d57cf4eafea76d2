"""The pure fold: order, batching and repetition cannot matter.

`FOLD_CASES=10000 pytest tests/fold` looks longer: some two minutes.
"""

from __future__ import annotations

import os
from functools import reduce
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.fold.pure import ContributionSet, derive, union
from lakehouse.records.gold import Contribution, GoldTransaction
from tests.fold.contributions import a_random_contribution, the_precedence, the_transitions

_POOL = [a_random_contribution(Random(seed)) for seed in range(600)]
_RULES = (the_precedence(), the_transitions())

deliveries = st.lists(st.sampled_from(_POOL), max_size=12)
sets = deliveries.map(lambda delivered: union((), delivered))
many_cases = settings(max_examples=int(os.environ.get("FOLD_CASES", "150")), deadline=None)


@many_cases
@given(sets, sets, sets)
def test_union_is_associative_commutative_and_idempotent(
    a: ContributionSet, b: ContributionSet, c: ContributionSet
) -> None:
    both = union(a, b)
    assert union(both, c) == union(a, union(b, c))
    assert both == union(b, a)
    assert union(a, a) == a == union(a, ())
    assert union(both, a) == both == union(both, b)  # whatever is delivered again


@many_cases
@given(sets, sets)
def test_union_loses_no_identity_and_lowers_no_revision(
    a: ContributionSet, b: ContributionSet
) -> None:
    def revisions(members: ContributionSet) -> dict[tuple[str, str], int]:
        return {(c.identity, c.source): c.revision for c in members}

    both, left, right = revisions(union(a, b)), revisions(a), revisions(b)
    assert both == {who: max(left.get(who, 0), right.get(who, 0)) for who in left | right}


@many_cases
@given(deliveries, st.randoms(use_true_random=False))
def test_shuffled_repeated_and_cut_into_batches_makes_the_same_row(
    delivered: list[Contribution], random: Random
) -> None:
    again = delivered + random.choices(delivered, k=len(delivered)) if delivered else []
    random.shuffle(again)
    cut = random.randint(0, len(again))
    batches = [again[:cut], again[cut:]]
    folded: ContributionSet = reduce(union, batches, ())
    assert derive("t", folded, *_RULES) == derive("t", union((), delivered), *_RULES)


@many_cases
@given(sets)
def test_a_withdrawn_contribution_counts_for_nothing_and_stays(members: ContributionSet) -> None:
    row = derive("t", members, *_RULES)
    without = derive("t", [c for c in members if not c.withdrawn], *_RULES)
    assert row["contributions"] == members
    assert {**row, "contributions": ()} == {**without, "contributions": ()}


def test_the_derivation_fills_every_column_of_gold() -> None:
    for members in ((), union((), _POOL[:1]), union((), _POOL)):
        assert set(derive("t", members, *_RULES)) == set(GoldTransaction.model_fields)
