"""What was known of policies before time travel reaches is told by the days they were recorded."""

from __future__ import annotations

from datetime import UTC, datetime

from silver.policy_books import Book, Version, recorded_before


def day(number: int) -> datetime:
    """Midnight of a day of March 2026."""
    return datetime(2026, 3, number, tzinfo=UTC)


FIRST = Version("p", 1, day(1), day(5), recorded_at=day(2))
SECOND = Version("p", 2, day(5), day(5), recorded_at=day(3))
INSTEAD = Version("p", 3, day(5), None, recorded_at=day(4))
OTHER = Version("q", 1, day(1), None, recorded_at=day(3))


def test_each_delivery_day_has_the_book_of_what_was_recorded_by_then() -> None:
    books = recorded_before(Book(7, day(9), None, (FIRST, SECOND, INSTEAD, OTHER)))
    in_force = [
        [(v.policy_id, v.number, v.effective_date, v.effective_to) for v in book.listed]
        for book in books
    ]
    assert in_force == [
        [("p", 1, day(1), None)],
        [("p", 1, day(1), day(5)), ("p", 2, day(5), None), ("q", 1, day(1), None)],
        [("p", 1, day(1), day(5)), ("p", 3, day(5), None), ("q", 1, day(1), None)],
    ]


def test_a_book_of_before_stood_from_its_day_until_the_oldest_commit_at_most() -> None:
    books = recorded_before(Book(7, day(9), None, (FIRST, SECOND)))
    assert [(book.number, book.since, book.until) for book in books] == [
        (-1, day(2), day(9)),
        (-2, day(3), day(9)),
    ]


def test_nothing_is_known_before_there_was_a_policy() -> None:
    assert recorded_before(Book(7, day(9), None, ())) == []
