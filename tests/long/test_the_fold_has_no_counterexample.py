"""Ten thousand cases of each law of the pure fold: one and a half minutes at most."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fold.laws import LAWS, check


@pytest.mark.parametrize("law", LAWS)
def test_ten_thousand_cases_keep_the_law(law: Callable[..., None]) -> None:
    check(law, cases=10_000)
