"""Which files the verdicts hold back, and which release is of what."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from lakehouse.quality.batches import Content, GivenVerdict, Ledger, batch_of, content_hash, day_of
from lakehouse.records.codes import BatchVerdict

BATCH = "transactions/date=2026-03-03"
A0, A1, A2 = ((f"{BATCH}/a.csv", revision) for revision in range(3))
B0 = (f"{BATCH}/b.csv", 0)
HELD, RELEASED, PUBLISHED = BatchVerdict
MORNING = datetime(2026, 3, 9, tzinfo=UTC)


def ledger(*verdicts: tuple[BatchVerdict, set[Content]]) -> Ledger:
    """Verdicts on one batch, an hour apart."""
    return Ledger(
        [
            GivenVerdict(
                BATCH, content_hash(files), frozenset(files), verdict, (), None,
                MORNING + timedelta(hours=hour),
            )
            for hour, (verdict, files) in enumerate(verdicts)
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    "given, held_back",
    [
        ([], set()),
        ([(HELD, {A0})], {A0}),
        ([(HELD, {A0}), (RELEASED, {A0})], {A0}),
        ([(HELD, {A0}), (RELEASED, {A0}), (PUBLISHED, {A0})], set()),
        ([(PUBLISHED, {A0}), (HELD, {A1})], {A1}),
        ([(HELD, {A0}), (HELD, {A0, A1})], {A0, A1}),
        ([(HELD, {A0}), (PUBLISHED, {A0, A1})], set()),
        ([(HELD, {A0, B0}), (PUBLISHED, {A0})], {B0}),
    ],
)
def test_a_file_is_held_back_until_a_verdict_lets_it_through(
    given: list[tuple[BatchVerdict, set[Content]]], held_back: set[Content]
) -> None:
    known = ledger(*given)
    assert known.held_back == held_back
    assert known.waiting == ({BATCH} if held_back else set())


def test_a_release_is_of_the_files_that_stood_then() -> None:
    known = ledger((HELD, {A0}), (RELEASED, {A0}))
    assert known.release_of(BATCH, content_hash({A0})) is not None
    assert known.release_of(BATCH, content_hash({A1})) is None


def test_the_newest_hold_is_the_one_that_counts_while_the_batch_waits() -> None:
    hold = ledger((HELD, {A0}), (HELD, {A0, A1})).hold_of(BATCH)
    assert hold is not None and hold.files == {A0, A1}
    assert ledger((HELD, {A0}), (PUBLISHED, {A0, A2})).hold_of(BATCH) is None


def test_a_batch_is_the_folder_of_a_day() -> None:
    assert batch_of(A0[0]) == BATCH
    assert day_of(BATCH) == date(2026, 3, 3)
    assert content_hash([A0, B0]) == content_hash([B0, A0]) != content_hash([A1, B0])
