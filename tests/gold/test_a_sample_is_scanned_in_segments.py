"""How much of DynamoDB a sample scans: its share of all, in as many segments as a scan may have."""

from __future__ import annotations

import pytest
from pytest import param

from gold.compare_serving import segments_of


@pytest.mark.parametrize(
    ("share", "of_segments"),
    [
        param(1.0, 8, id="all of it"),
        param(0.01, 800, id="a hundredth"),
        # 100,000 of what 1,000 transactions a second leave in 400 days
        param(100_000 / 34_560_000_000, 1_000_000, id="more segments than DynamoDB takes"),
    ],
)
@pytest.mark.parametrize("seed", [None, 999_999])
def test_a_share_is_as_many_segments_as_it_needs(
    share: float, of_segments: int, seed: int | None
) -> None:
    total, segments = segments_of(share, seed)
    assert total == of_segments
    assert len(set(segments)) == 8 and all(0 <= each < total for each in segments)


def test_another_seed_scans_other_segments() -> None:
    assert not set(segments_of(0.001, 1)[1]) & set(segments_of(0.001, 4_000)[1])
