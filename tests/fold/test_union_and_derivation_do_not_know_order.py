"""The pure fold: order, batching and repetition cannot matter.

`tests/long` looks at ten thousand cases of each law.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from lakehouse.fold.pure import derive, union
from lakehouse.records.gold import GoldTransaction
from tests.fold.contributions import a_random_contribution, the_precedence, the_transitions
from tests.fold.laws import LAWS, check


@pytest.mark.parametrize("law", LAWS)
def test_law(law: Callable[..., None]) -> None:
    check(law, cases=150)


def test_the_derivation_fills_every_column_of_gold() -> None:
    pool = [a_random_contribution(Random(seed)) for seed in range(600)]
    for members in ((), union((), pool[:1]), union((), pool)):
        row = derive("t", members, the_precedence(), the_transitions())
        assert set(row) == set(GoldTransaction.model_fields)
